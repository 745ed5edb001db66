"""Looking into a recording without decoding all of it: what it is, a look at it now and then, how it sounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

LOOKS = 60  # frames looked at, at most
LOOKS_PER_S = 1.5
WIDEST = 1280  # pictures are scaled down to this for looking at


class NotMedia(Exception):
    """The file cannot be read as media; `is_cut` when it is the beginning of something that could."""

    def __init__(self, *, is_cut: bool) -> None:
        super().__init__()
        self.is_cut = is_cut


@dataclass(frozen=True)
class Outline:
    """What the packets of a recording tell; sizes are as shown, after rotation."""

    width: int
    height: int
    fps: float
    duration_s: float  # of what is really there
    declared_s: float  # of what the file says is there
    has_picture: bool
    has_sound: bool
    keyframes_s: tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """One picture: RGB (H, W, 3), its second, and how much it was scaled."""

    second: float
    picture: np.ndarray
    scale: float


def outline(path: Path) -> Outline:
    """Read a recording's packets.

    Raises:
        NotMedia: it is none.
    """
    try:
        with av.open(str(path)) as container:
            return _outline(container)
    except (FFmpegError, ValueError, OSError) as error:
        raise NotMedia(is_cut=_begins_like_media(path)) from error


def _outline(container: av.container.InputContainer) -> Outline:
    has_sound = bool(container.streams.audio)
    stream = container.streams.video[0] if container.streams.video else None
    if stream is None or not stream.codec_context.width or _is_still(container, stream):
        return Outline(0, 0, 0.0, 0.0, 0.0, False, has_sound, ())
    seconds, keyframes = _times(container, stream)
    span = seconds[-1] - seconds[0] if len(seconds) > 1 else 0.0
    fps = (len(seconds) - 1) / span if span else 0.0
    declared = (
        float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
    )
    container.seek(0)
    rotation = _rotation(container, stream)
    width, height = stream.codec_context.width, stream.codec_context.height
    if rotation % 180:
        width, height = height, width
    length = span + (1 / fps if fps else 0.0)
    return Outline(width, height, fps, length, declared, True, has_sound, tuple(keyframes))


def _is_still(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """A picture file, or the cover of a song."""
    name = container.format.name
    return name == "image2" or name.endswith("_pipe") or bool(stream.disposition & Disposition.attached_pic)


def _times(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[list[float], list[float]]:
    """Seconds of all pictures and of the keyframes, from the first picture on."""
    seconds, keyframes = [], []
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                seconds.append(float(packet.pts * packet.time_base))
                if packet.is_keyframe:
                    keyframes.append(seconds[-1])
    except FFmpegError:
        pass  # cut off: what came before counts
    first = min(seconds, default=0.0)
    return sorted(second - first for second in seconds), sorted(second - first for second in keyframes)


def _rotation(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    frame = next(container.decode(stream), None)
    return round(frame.rotation) if frame else 0


def _begins_like_media(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF")  # MP4 and MOV, Matroska and WebM, AVI


def looks(path: Path, about: Outline) -> Iterator[Look]:
    """Pictures spread evenly over the recording, decoding little more than needed."""
    count = max(8, min(LOOKS, round(about.duration_s * LOOKS_PER_S)))
    step = about.duration_s / count
    wanted = [_snapped((i + 0.5) * step, about.keyframes_s, step / 3) for i in range(count)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from _at(container, stream, wanted, about.keyframes_s)


def _snapped(second: float, keyframes: tuple[float, ...], reach: float) -> float:
    """The nearest keyframe, if it is near: it can be decoded alone."""
    index = int(np.searchsorted(keyframes, second))
    near = min(keyframes[max(0, index - 1) : index + 1], key=lambda at: abs(at - second), default=second)
    return near if abs(near - second) <= reach else second


def _at(
    container: av.container.InputContainer, stream: av.VideoStream, wanted: list[float], keyframes: tuple[float, ...]
) -> Iterator[Look]:
    origin = float((stream.start_time or 0) * stream.time_base)
    position = -1.0
    frames = container.decode(stream)
    for second in wanted:
        before = max((at for at in keyframes if at <= second + 1e-3), default=0.0)
        if before > position + 0.5:  # nothing is lost by jumping there
            container.seek(int((before + origin) / stream.time_base), stream=stream)
            frames = container.decode(stream)
        try:
            frame = next(frame for frame in frames if frame.time is not None and frame.time - origin >= second - 0.02)
        except (FFmpegError, StopIteration):
            return  # the rest cannot be decoded
        position = frame.time - origin
        yield _look(frame, position)


def _look(frame: av.VideoFrame, second: float) -> Look:
    scale = min(1.0, WIDEST / max(frame.width, frame.height))
    size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
    picture = frame.reformat(*size, format="rgb24").to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return Look(second, np.ascontiguousarray(np.rot90(picture, turns)), scale)
