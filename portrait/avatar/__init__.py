"""An avatar on disk, and how it speaks."""
