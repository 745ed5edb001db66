"""What is seen of an avatar that nobody speaks with: its idle loop, and a thumbnail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from portrait.arrays import Frame
from portrait.avatar.stored import IDLE, THUMBNAIL, Avatar
from portrait.avatar.synthesis import Synthesizer
from portrait.media.video import Movie


def film_idle(avatar: Avatar, on_step: Callable[[int, int], None], device: str = "auto") -> None:
    """Write both into the avatar's folder; `on_step` hears how many frames are done, of how many."""
    total = avatar.footage.idle_length
    with Movie(avatar.folder / IDLE, size=(avatar.size, avatar.size), crf=20) as movie:
        for index, picture in enumerate(Synthesizer(avatar, device=device).idle(total)):
            movie.push(picture)
            if index == 0:
                write_picture(avatar.folder / THUMBNAIL, picture, width=256)
            on_step(index + 1, total)


def write_picture(path: Path, picture: Frame, *, width: int) -> None:
    """Write a JPEG of the given width atomically."""
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data.tobytes())
    part.replace(path)
