"""Recordings of every kind, made from the drawn presenter's clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

RATE = 16_000
Film = Callable[..., Path]


@pytest.fixture(scope="session")
def pictures(demo_clip: Path) -> list[np.ndarray]:
    """The clip's frames, RGB."""
    with av.open(str(demo_clip)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="session")
def speech(demo_clip: Path) -> np.ndarray:
    """The clip's sound, float32 at 16 kHz."""
    from services.common.audio import decode

    return decode(demo_clip, RATE)


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Write frames and sound into a container, any of both left out."""

    def write(
        pictures: Iterable[np.ndarray],
        sound: np.ndarray | None,
        *,
        name: str = "video.mp4",
        codec: str = "libx264",
        fps: float = 25,
        times: Iterable[int] | None = None,
        audio_codec: str = "aac",
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        pictures = list(pictures)
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if codec == "libx264":
                stream.options = {"preset": "ultrafast", "crf": "20"}
            heard = container.add_stream(audio_codec, rate=RATE, layout="mono") if sound is not None else None
            for index, tick in zip(range(len(pictures)), times or range(len(pictures)), strict=False):
                frame = av.VideoFrame.from_ndarray(pictures[index], "rgb24")
                frame.pts, frame.time_base = tick, 1 / Fraction(fps).limit_denominator(1001)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if heard is not None:
                add_sound(container, heard, sound)
        return path

    return write


def add_sound(container: Any, stream: Any, sound: np.ndarray) -> None:
    for start in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, start : start + 1024]), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
