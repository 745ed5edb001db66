"""What is heard becomes the shape of a mouth."""
