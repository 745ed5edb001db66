"""The frames that an avatar plays on: which, in what order, and where they may jump."""
