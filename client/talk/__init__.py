"""A conversation with an avatar: heard, answered, spoken and shown, typed or live."""
