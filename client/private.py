"""Files that nobody else on the machine can read: a chat's id, which is its whole secret, is the name of one."""

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
    if not folder.stat().st_mode & stat.S_ISVTX:  # set on folders that are shared, like /tmp
        with contextlib.suppress(PermissionError):
            folder.chmod(0o700)


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
