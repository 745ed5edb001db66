"""A mouth's shape becomes a face: learned from a recording, or bent from a photo."""
