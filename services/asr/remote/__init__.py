"""What recognisers on somebody else's server have in common."""
