"""Files for the videos of replies."""

from __future__ import annotations

from pathlib import Path


def next_video(folder: Path, avatar: str) -> Path:
    """The first free name in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{avatar}-{number:03}.mp4").exists():
        number += 1
    return path
