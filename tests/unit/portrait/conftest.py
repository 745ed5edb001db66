"""A made-up person: weights drawn by chance, footage drawn by arithmetic; renders as any avatar, has no face.

And `record`, which writes recordings the way cameras, phones, editors and browsers do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from portrait.avatar.stored import BASE, Avatar, Ear
from portrait.face.detail import Gallery
from portrait.face.network import FaceNet
from portrait.face.trained_face import TrainedFace
from portrait.footage.walk import Footage
from portrait.media.video import Movie
from portrait.mouth.hearing import Directions
from portrait.mouth.motion import Motion, Speech, train_motion
from portrait.mouth.shape import COMPONENTS, Shape
from portrait.sound.encoder import TOKENS, fingerprint
from portrait.tracking.geometry import MOUTH_POINTS, Canon
from tests.tiny_whisper import make

SIZE, SIDE, FRAMES, IDLE = 96, 48, 200, 70
RATE = 44_100
TICKS = 90_000


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Write pictures, shown at `times` or regularly, and sound (channels, samples at `rate`), heard from `heard_s`."""

    def write(
        pictures: Iterable[np.ndarray], sound: np.ndarray | None = None, *, name: str = "video.mp4", fps: float = 25,
        times: list[float] | None = None, start_s: float = 0.0, heard_s: float = 0.0, gap: tuple[float, float] = (0, 0),
        codec: str = "libx264", audio_codec: str = "aac", rate: int = RATE, options: dict[str, str] | None = None,
        **stream_options: Any,
    ) -> Path:  # fmt: skip
        path, pictures = tmp_path / name, list(pictures)
        per_second = Fraction(fps).limit_denominator(1001)
        with av.open(str(path), "w", options=options or {}) as container:
            video = _video(container, codec, per_second, pictures[0], stream_options)
            heard = None
            if sound is not None:
                heard = container.add_stream(audio_codec, rate=rate, layout="stereo" if len(sound) > 1 else "mono")
            for index, shown in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(shown, "rgb24")
                frame.pts, frame.time_base = index, 1 / per_second
                if video.codec_context.time_base == Fraction(1, TICKS):
                    seconds = times[index] if times else float(index / per_second)
                    frame.pts, frame.time_base = round((seconds + start_s) * TICKS), Fraction(1, TICKS)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if heard is not None:
                _add_sound(container, heard, sound, start_s + heard_s, gap)
        return path

    return write


def _video(container: Any, codec: str, rate: Fraction, shown: np.ndarray, options: dict[str, Any]) -> Any:
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = shown.shape[:2]
    stream.pix_fmt = options.pop("pix_fmt", "yuv420p")
    stream.options = {"preset": "ultrafast", "crf": "8", "x265-params": "log-level=0"} | options.pop("coding", {})
    if codec.startswith("libx26") and container.format.name != "avi":
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
    if rotation := options.pop("rotation", 0):
        stream.set_display_rotation(rotation)
    for key, value in options.items():
        setattr(stream.codec_context, key, value)
    return stream


def _add_sound(container: Any, stream: Any, sound: np.ndarray, start_s: float, gap: tuple[float, float]) -> None:
    for at in range(0, sound.shape[1], 1024):
        if gap[0] <= at / stream.rate < gap[1]:
            continue
        block = np.ascontiguousarray(sound[:, at : at + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(block, "fltp", stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = (
            stream.rate,
            at + round(start_s * stream.rate),
            Fraction(1, stream.rate),
        )
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def presenter(demo_clip: Path) -> list[np.ndarray]:
    """The drawn presenter's twelve seconds, RGB (256, 256, 3)."""
    with av.open(str(demo_clip)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="session")
def voice(demo_clip: Path) -> np.ndarray:
    """What the presenter says, (1, samples) at 44.1 kHz."""
    from portrait.media.video import audio

    return audio(demo_clip, rate=RATE)[None]


def picture(index: int, size: int = SIZE) -> np.ndarray:
    """A frame that differs from every other: soft waves that drift."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(7 * x + 0.3 * index), np.cos(5 * y - 0.2 * index), np.sin(4 * (x + y) + 0.1 * index)]
    return (127 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.fixture(scope="session")
def footage() -> Footage:
    """Two stretches with jumps within and between them; the idle loop is frames 20 to 89."""
    jumps = np.array([[89, 20], [110, 130], [190, 30], [95, 5], [185, 125], [80, 140]], np.int32)
    landings = np.clip(np.arange(FRAMES) - 20, 2, IDLE - 3).astype(np.int32)
    activity = np.abs(np.arange(FRAMES, dtype=np.float32) - 55)
    return Footage(np.array([[0, 120], [120, 200]], np.int32), jumps, activity, landings)


@pytest.fixture(scope="session")
def canon() -> Canon:
    """A crop of 48 pixels with a round mask."""
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.where((x - 24) ** 2 + (y - 26) ** 2 < 18**2, 255, 0).astype(np.uint8)
    template = np.array([[8, 2], [18, 2], [30, 2], [40, 2], [24, 0], [24, 6], [20, 8], [28, 8]], np.float32)
    return Canon(template, 24.0, SIDE, mask)


@pytest.fixture(scope="session")
def shape() -> Shape:
    """Twelve orthonormal directions around a mouth in the middle of the crop."""
    rng = np.random.default_rng(1)
    directions = np.linalg.qr(rng.normal(size=(2 * len(MOUTH_POINTS), COMPONENTS)))[0].T
    return Shape(np.zeros(114, np.float32), directions.astype(np.float32), np.full(COMPONENTS, 0.03, np.float32))


@pytest.fixture(scope="session")
def motion(shape: Shape) -> Motion:
    """An ensemble that has seen two steps of noise."""
    rng = np.random.default_rng(2)
    speech = Speech(rng.normal(size=(400, 248)).astype(np.float32), 0)
    wanted = rng.normal(size=(100, COMPONENTS)).astype(np.float32)
    return train_motion([speech], wanted, np.ones(100, bool), shape.aperture, seed=0, steps=2, nets=1)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encoder whose weights are drawn by chance."""
    return make(tmp_path_factory.mktemp("encoder"), [" word"], seed=0)


@pytest.fixture(scope="session")
def ear(shape: Shape, encoder: Path) -> Ear:
    """A motion model that hears by it, and has seen two steps of noise."""
    rng = np.random.default_rng(5)
    learned = Directions.learn(rng.normal(size=(400, 64)).astype(np.float32))
    directions = rng.normal(size=(25, TOKENS, 64)).astype(np.float32)
    speech = Speech(rng.normal(size=(400, 248)).astype(np.float32), 0, directions)
    wanted = rng.normal(size=(100, COMPONENTS)).astype(np.float32)
    motion = train_motion([speech], wanted, np.ones(100, bool), shape.aperture, seed=0, steps=2, nets=1,
                          directions=learned)  # fmt: skip
    return Ear(motion, fingerprint(encoder))


@pytest.fixture(scope="session")
def avatar(
    tmp_path_factory: pytest.TempPathFactory, canon: Canon, shape: Shape, motion: Motion, footage: Footage
) -> Avatar:
    """An avatar on disk, as training leaves it."""
    folder: Path = tmp_path_factory.mktemp("avatars") / "nobody"
    folder.mkdir()
    torch.manual_seed(3)
    angle = np.linspace(0, np.pi, len(MOUTH_POINTS))
    mouth = np.stack([1 + 0.4 * np.cos(angle), 1 + 0.2 * np.sin(angle)], axis=-1).astype(np.float32)
    shift = np.array([[1, 0, -20], [0, 1, -40]], np.float32)
    gallery = Gallery(np.stack([picture(50 + i, SIDE) for i in range(3)]), np.repeat(mouth[None], 3, axis=0))
    face = TrainedFace(FaceNet().eval(), gallery, 1.1)
    made = Avatar(
        folder, SIZE, canon, shape, motion, face, np.zeros(COMPONENTS, np.float32),
        np.repeat(shift[None], FRAMES, axis=0), np.repeat(mouth[None], FRAMES, axis=0),
        np.zeros((FRAMES, COMPONENTS), np.float32), footage, card={"metrics": {"psnr": 30.0}},
    )  # fmt: skip
    made.save()
    with Movie(folder / BASE, size=(SIZE, SIZE), crf=10, seekable=True) as movie:
        for index in range(FRAMES):
            movie.push(picture(index))
    return Avatar.load(folder)
