"""One module per engine; adding one is adding a file."""
