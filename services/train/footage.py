"""Looking into a recording without decoding all of it: what it is, a look at it now and then, how it sounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from portrait.decoding import Still, pictures
from portrait.media import open_media

LOOKS = 60  # frames looked at, at most
LOOKS_PER_S = 1.5
HDR = (16, 18)  # transfer functions PQ and HLG, ITU-T H.273
WIDEST = 1280  # pictures are scaled down to this for looking at


class NotMedia(Exception):
    """The file cannot be read as media; `is_cut` when it is the beginning of something that could."""

    def __init__(self, *, is_cut: bool) -> None:
        super().__init__()
        self.is_cut = is_cut


@dataclass(frozen=True)
class Outline:
    """What the packets of a recording and its first picture tell; sizes are as shown: square pixels, upright."""

    width: int
    height: int
    fps: float
    duration_s: float  # of what is really there
    declared_s: float  # of what the file says is there
    has_picture: bool
    has_sound: bool
    keyframes_s: tuple[float, ...]
    is_hdr: bool = False
    is_interlaced: bool = False


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
        with open_media(path) as container:
            return _outline(container)
    except (FFmpegError, ValueError, OSError) as error:
        raise NotMedia(is_cut=_begins_like_media(path)) from error


def _outline(container: av.container.InputContainer) -> Outline:
    has_sound = bool(container.streams.audio)
    stream = container.streams.best("video")
    if stream is None or not stream.codec_context.width or _is_still(stream):
        return Outline(0, 0, 0.0, 0.0, 0.0, False, has_sound, ())
    seconds, keyframes = _times(container, stream)
    span = seconds[-1] - seconds[0] if len(seconds) > 1 else 0.0
    fps = (len(seconds) - 1) / span if span else 0.0
    declared = (
        float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
    )
    container.seek(0)
    size = stream.codec_context.width, stream.codec_context.height  # before decoding, which may forget it
    first = next(pictures(container, stream), None)
    length = span + (1 / fps if fps else 0.0)
    if first is None:
        return Outline(*size, fps, length, declared, True, has_sound, tuple(keyframes))
    still = first[1]
    return Outline(
        *still.size, fps, length, declared, True, has_sound, tuple(keyframes),
        is_hdr=still.frame.color_trc in HDR, is_interlaced=bool(still.frame.interlaced_frame),
    )  # fmt: skip


def _is_still(stream: av.VideoStream) -> bool:
    """The cover of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def _times(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[list[float], list[float]]:
    """Seconds of all pictures and of the keyframes, from the first picture on."""
    seconds, keyframes = [], []
    try:
        for packet in container.demux(stream):
            at = packet.dts if packet.pts is None else packet.pts
            if at is not None and packet.size and not packet.is_discard:
                seconds.append(float(at * packet.time_base))
                if packet.is_keyframe:
                    keyframes.append(seconds[-1])
    except FFmpegError:
        pass  # cut off: what came before counts
    first = min(seconds, default=0.0)
    return sorted(second - first for second in seconds), sorted(second - first for second in keyframes)


def _begins_like_media(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF")  # MP4 and MOV, Matroska and WebM, AVI


def looks(path: Path, about: Outline) -> Iterator[Look]:
    """Pictures spread evenly over the recording, decoding little more than needed."""
    count = max(8, min(LOOKS, round(about.duration_s * LOOKS_PER_S)))
    step = about.duration_s / count
    wanted = [_snapped((i + 0.5) * step, about.keyframes_s, step / 3) for i in range(count)]
    with open_media(path) as container:
        stream = container.streams.best("video")
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
        still = Still(frame, stream.sample_aspect_ratio)
        scale = min(1.0, WIDEST / max(still.size))
        yield Look(position, still.rgb(scale), scale)
