"""Avatars that are kept, loaded and described."""
