"""Room on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.errors import NoSpace

RESERVE_BYTES = 256 * 2**20  # left to the rest of the machine


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raises:
    NoSpace: the disk that holds a folder (which need not exist yet) has less room than that, and a reserve.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes + RESERVE_BYTES:
        raise full(needed_bytes + RESERVE_BYTES, free)


def full(needed_bytes: int, free_bytes: int) -> NoSpace:
    """The error that says how much room is missing."""
    needed, free = in_words(needed_bytes), in_words(free_bytes)
    message = f"The disk is too full: this needs {needed}, {free} are free. Delete what you do not need and pull again."
    return NoSpace(message, needed=needed, free=free)


def in_words(size: float) -> str:
    """A number of bytes, e.g. "148 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
