"""Files that nobody else on the machine can read: recordings, faces, chats, whose ids are their whole secret."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def from_now_on() -> None:
    """Whatever this process and its children make from now on, only its user can read."""
    os.umask(0o077)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that is there becomes so, unless it is not ours alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):
        close(folder)


def close(path: Path) -> None:
    """Leave a file or folder to its owner alone, unless it is one that all share, like /tmp.

    Raises:
        OSError: it is not there, or not ours to change.
    """
    mode = path.stat().st_mode
    if not mode & stat.S_ISVTX:
        path.chmod(stat.S_IMODE(mode) & 0o700)


def write(path: Path, text: str) -> None:
    """Write a file that only its owner can read; readers see the old one or the new one, never half."""
    partial = path.with_suffix(".partial")
    try:
        with open(partial, "w", encoding="utf-8", opener=_open) as file:
            file.write(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
