"""Room on the disk, asked for before work begins rather than missed in its middle."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from pathlib import Path

from services.common.errors import StorageFull

_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_FULL_CODES = {
    "errno": _FULL_ERRNOS,
    "sqlite_errorcode": (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE),  # of the file beside its log
    "sqlstate": ("53100",),  # PostgreSQL's disk_full
}
_FULL_WORDS = [os.strerror(number) for number in _FULL_ERRNOS]  # all that is left of it where Rust or C++ pass it on
RESERVE_BYTES = 256 * 2**20  # left to the rest of the machine


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raises:
    StorageFull: the disk that holds `folder` (which need not exist yet) has less room than that, and a reserve.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    needed = needed_bytes + RESERVE_BYTES
    if free < needed:
        raise full(needed, free)


def is_full(error: BaseException | None) -> bool:
    """Whether something failed because a disk is full, whichever library found out, and whatever it made of it."""
    while error is not None:
        if any(getattr(error, name, None) in codes for name, codes in _FULL_CODES.items()):
            return True
        if any(words in str(error) for words in _FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def forget_leftovers(folder: Path, pattern: str, older_than_s: float = 24 * 3600) -> int:
    """Delete the folders that a killed process left behind while something arrived or was made in them; how many."""
    left = [path for path in folder.glob(pattern) if time.time() - path.stat().st_mtime > older_than_s]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def age_s(folder: Path) -> float:
    """How long ago something in a folder was last changed, in seconds."""
    return time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def full(needed_bytes: int, free_bytes: int) -> StorageFull:
    """The error that says how much room is missing."""
    needed, free = (f"{size / 2**20:.0f} MB" for size in (needed_bytes, free_bytes))
    message = f"The disk is too full: this needs {needed}, {free} are free. Delete what you do not need and try again."
    return StorageFull(message, values={"needed": needed, "free": free})
