"""Files that nobody else on the machine can read."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that is there becomes so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
