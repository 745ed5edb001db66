"""What speaks to the services: channels, deadlines, errors, files, pages."""
