"""What the views share: who may come in, fields, errors, pages, downloads, the live protocol."""
