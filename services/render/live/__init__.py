"""Replies as they are spoken, and the idle loops between them."""
