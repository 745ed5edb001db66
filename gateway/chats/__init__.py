"""Chats that are open or stored, their replies, and their export."""
