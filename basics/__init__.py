"""What every room may use. It imports none of them, and nothing but what a file needs for itself."""
