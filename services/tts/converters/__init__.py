"""Programs of other people's that convert speech, each run by the Python that has its packages, over a base voice."""
