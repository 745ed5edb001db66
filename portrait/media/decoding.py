"""What cameras, phones, editors and browsers write, put right: times, rotation, pixel shape, colours, gaps in sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, overload

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

HIGH_DEFINITION = 720
"""Shorter side from which players take a picture that does not say so for BT.709 instead of BT.601."""
UNSPECIFIED = 2
"""ITU-T H.273's code for a colour property that is not named."""
SLIP_S = 0.03
"""Least difference between a sound track's own clock and its count of samples that is put right."""
LONGEST_GAP_S = 600
"""A longer gap in the sound is taken for a clock that is wrong: nobody films ten minutes without sound."""
CANCELLED = 0.05
"""A mean of the channels with less than this share of the louder one's energy: they are in opposite phase."""


class Converters:
    """What turns the frames of one track into pictures. Setting up a conversion costs more than doing it."""

    def __init__(self) -> None:
        self.rgb, self.thumbnail = VideoReformatter(), VideoReformatter()


@dataclass(frozen=True)
class Still:
    """A decoded frame and its pixels' shape."""

    frame: av.VideoFrame
    aspect: Fraction | None = None
    converters: Converters = field(default_factory=Converters)

    @property
    def rotation(self) -> int:
        """Degrees, as the file says."""
        return self.frame.rotation

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown: pixels made square (the wider way), upright."""
        width, height = self.frame.width, self.frame.height
        if self.aspect and self.aspect != 1 and 0.25 < self.aspect < 4:
            wider = self.aspect > 1
            width, height = (round(width * self.aspect), height) if wider else (width, round(height / self.aspect))
        return (height, width) if self._turns % 2 else (width, height)

    @property
    def _turns(self) -> int:
        return round(self.frame.rotation / 90) % 4

    def rgb(self, scale: float = 1.0) -> NDArray[np.uint8]:
        """RGB (H, W, 3) as shown, scaled while it is converted."""
        size = tuple(max(2, round(scale * length)) for length in self.size)
        width, height = size[::-1] if self._turns % 2 else size
        shrunk = width * height < self.frame.width * self.frame.height
        picture = self.converters.rgb.reformat(
            self.frame, width, height, "rgb24", src_colorspace=_colours(self.frame),
            interpolation=Interpolation.AREA if shrunk else Interpolation.BILINEAR,
        ).to_ndarray()  # fmt: skip
        return np.asarray(np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture, np.uint8)

    def thumbnail(self) -> NDArray[np.int16]:
        """(96, 96) single pixels of the luminance, as stored: enough to know a copy by, and next to free."""
        small = self.converters.thumbnail.reformat(self.frame, 96, 96, "gray", interpolation=Interpolation.POINT)
        return small.to_ndarray().astype(np.int16)


def pictures(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, Still]]:
    """Yield (seconds, still) in the order of showing; damaged packets cost only themselves, a broken tail ends it."""
    clock = _decoding_times(container, stream) if container.format.name == "avi" else []
    converters = Converters()
    for index, frame in enumerate(_decoded(container, stream)):
        still = Still(frame, stream.sample_aspect_ratio, converters)
        if index < len(clock):
            yield clock[index], still
        else:
            yield frame.time if frame.time is not None else index / float(stream.average_rate or 25), still


def _decoding_times(container: av.container.InputContainer, stream: av.VideoStream) -> list[float]:
    """AVI knows only in which order frames are decoded; the same moments, in order, are when they are shown."""
    base = stream.time_base or Fraction(1, 25)
    seconds = [float((p.dts or 0) * base) for p in container.demux(stream) if p.size]
    container.seek(0)
    return seconds


@overload
def _decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]: ...


@overload
def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]: ...


def _decoded(container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def _colours(frame: av.VideoFrame) -> Colorspace | None:
    if frame.colorspace != UNSPECIFIED or frame.format.is_rgb:
        return None
    return Colorspace.ITU709 if min(frame.width, frame.height) >= HIGH_DEFINITION else Colorspace.ITU601


def sound(
    container: av.container.InputContainer, stream: av.AudioStream, rate: int, origin: float
) -> Iterator[NDArray[np.float32]]:
    """Yield mono float32 blocks at `rate`, sample 0 being heard `origin` seconds into the file's own time.

    What comes before is dropped; silence stands for what is missing at the beginning and in gaps, so that sound and
    picture never drift apart.
    """
    at = done = 0
    for seconds, block in _timed(container, stream, rate):
        at = at if seconds is None else round((seconds - origin) * rate)
        if at - done > LONGEST_GAP_S * rate:
            at = done
        while at > done:
            missing = min(at - done, rate)
            yield np.zeros(missing, np.float32)
            done += missing
        fresh = block[max(0, done - at) :]
        at += len(block)
        if len(fresh):
            done += len(fresh)
            yield fresh


def _timed(
    container: av.container.InputContainer, stream: av.AudioStream, rate: int
) -> Iterator[tuple[float | None, NDArray[np.float32]]]:
    """(Second of the first sample, or None where it just follows, samples)."""
    resampler = av.AudioResampler(format="flt", rate=rate)
    expected: float | None = None
    for frame in _decoded(container, stream):
        seconds, count = frame.time, frame.samples / frame.sample_rate
        jumped = seconds is not None and (expected is None or abs(seconds - expected) > SLIP_S)
        if jumped and expected is not None:
            yield from ((None, _mono(block)) for block in resampler.resample(None))
            resampler = av.AudioResampler(format="flt", rate=rate)
        expected = (seconds if seconds is not None and jumped else expected or 0.0) + count
        frame.pts = None
        for block in resampler.resample(frame):
            yield (seconds if jumped else None), _mono(block)
            jumped = False
    if expected is not None:
        yield from ((None, _mono(block)) for block in resampler.resample(None))


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    """The mean of the channels; the loudest alone where they cancel each other out (one is wired the wrong way)."""
    channels = np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.layout.nb_channels).T
    mean, energy = channels.mean(axis=0), np.square(channels).sum(axis=1)
    return np.asarray(
        channels[energy.argmax()] if np.square(mean).sum() < CANCELLED * energy.max() else mean, np.float32
    )
