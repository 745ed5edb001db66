"""One blueprint per flow, each with its page and its part of the REST interface."""
