"""Recordings and pictures: opened, put right, read and written."""
