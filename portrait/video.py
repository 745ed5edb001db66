"""Reading and writing recordings: rotated, re-timed, and never more than a few frames in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from portrait.errors import RecordingError

FRAME_RATE = 25
SAMPLE_RATE = 16_000
REC_709 = 1
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE
KEYFRAME_EVERY = 25
CRF = 14
"""x264's rate factor of finished video: at 18 coding alone would cost more than the talking head's own softness."""

Frame = NDArray[np.uint8]
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """What a media file says about itself; width and height are as displayed, after rotation."""

    duration_s: float
    fps: float
    width: int
    height: int
    has_audio: bool
    codec: str
    audio_codec: str
    rotation: int


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise RecordingError("not-media", "This file could not be read as a video.") from error


def probe(video: Path) -> Recording:
    """Describe a recording without decoding more than its first frame; RecordingError if there is no picture."""
    with _open(video) as container:
        if not container.streams.video:
            raise RecordingError("no-video", "This file has no picture track.")
        stream = container.streams.video[0]
        first = _first_frame(container, stream)
        sideways = first.rotation % 180 != 0
        audio = container.streams.audio[0] if container.streams.audio else None
        return Recording(
            duration_s=_duration(container, stream),
            fps=float(stream.average_rate or stream.guessed_rate or FRAME_RATE),
            width=first.height if sideways else first.width,
            height=first.width if sideways else first.height,
            has_audio=audio is not None,
            codec=stream.codec_context.name,
            audio_codec=audio.codec_context.name if audio is not None else "",
            rotation=first.rotation,
        )


def _first_frame(container: av.container.InputContainer, stream: av.VideoStream) -> av.VideoFrame:
    try:
        return next(container.decode(stream))
    except (FFmpegError, StopIteration) as error:
        raise RecordingError("no-video", "This file's picture could not be decoded.") from error


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / av.time_base


def _upright(frame: av.VideoFrame) -> Frame:
    picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def frames(
    video: Path, *, fps: float = FRAME_RATE, start_s: float = 0.0, end_s: float = math.inf
) -> Iterator[tuple[float, Frame]]:
    """Yield (seconds, RGB uint8 (H, W, 3)) on a regular clock, one at a time.

    Each tick shows the latest frame at or before it, as a player would, so variable frame rates and up-converted
    clips come out at `fps`. Seconds count from the first frame. A broken tail ends the iteration.
    """
    with _open(video) as container:
        if not container.streams.video:
            raise RecordingError("no-video", "This file has no picture track.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield from _on_clock(_decoded(container, stream), fps, start_s, end_s)


def _decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[tuple[float, av.VideoFrame]]:
    origin: float | None = None
    try:
        for frame in container.decode(stream):
            seconds = frame.time if frame.time is not None else 0.0
            origin = seconds if origin is None else origin
            yield seconds - origin, frame
    except FFmpegError:
        return


def _on_clock(
    decoded: Iterator[tuple[float, av.VideoFrame]], fps: float, start_s: float, end_s: float
) -> Iterator[tuple[float, Frame]]:
    tick = math.ceil(start_s * fps)
    shown: av.VideoFrame | None = None
    last_s, gap_s = 0.0, 1.0 / fps
    for seconds, frame in decoded:
        picture: Frame | None = None
        # Half a millisecond of slack: containers round their timestamps.
        while shown is not None and tick / fps < min(seconds - 5e-4, end_s):
            picture = _upright(shown) if picture is None else picture
            yield tick / fps, picture
            tick += 1
        if tick / fps >= end_s:
            return
        gap_s, last_s, shown = seconds - last_s or gap_s, seconds, frame
    while shown is not None and tick / fps < min(last_s + gap_s - 5e-4, end_s):
        yield tick / fps, _upright(shown)
        tick += 1


def audio_blocks(media: Path, *, rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Yield mono float32 blocks in [-1, 1] at `rate`, aligned so that sample 0 is heard with the first frame."""
    with _open(media) as container:
        if not container.streams.audio:
            raise RecordingError("no-audio", "This file has no sound track.")
        stream = container.streams.audio[0]
        lead = _audio_lead(container, stream)
        pending = round(lead * rate)
        if pending < 0:
            yield np.zeros(-pending, np.float32)
        for block in _resampled(container, stream, rate):
            skip = min(max(pending, 0), len(block))
            pending -= skip
            if len(block) > skip:
                yield block[skip:]


def _audio_lead(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Seconds of sound before the first picture (negative: the sound starts later)."""
    if not container.streams.video:
        return 0.0
    picture = container.streams.video[0]
    starts = [
        float(s.start_time * s.time_base) if s.start_time is not None and s.time_base is not None else 0.0
        for s in (picture, stream)
    ]
    return starts[0] - starts[1]


def _resampled(container: av.container.InputContainer, stream: av.AudioStream, rate: int) -> Iterator[Samples]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    try:
        for frame in container.decode(stream):
            frame.pts = None
            for block in resampler.resample(frame):
                yield block.to_ndarray().reshape(-1)
    except FFmpegError:
        pass  # a truncated tail: keep what was readable
    for block in resampler.resample(None):
        yield block.to_ndarray().reshape(-1)


def audio(media: Path, *, rate: int = SAMPLE_RATE) -> Samples:
    """The whole sound track as mono float32 at `rate`: 230 MB for an hour, so use `audio_blocks` for long files."""
    blocks = list(audio_blocks(media, rate=rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


class Movie:
    """Writes H.264 (and AAC when sound is pushed) to an MP4 that appears under its name only when it is complete."""

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int],
        crf: int = CRF,
        preset: str = "veryfast",
        sound: bool = False,
        seekable: bool = False,
        most_bits: int | None = None,
    ) -> None:
        """`size` is (width, height), both even; `sound` adds a 16 kHz mono track; `seekable` suits `FrameReader`.

        `most_bits` bounds the bits a second, over any two seconds.
        """
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        self._video = self._container.add_stream("libx264", rate=FRAME_RATE)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"crf": str(crf), "preset": preset}
        if seekable:
            every = str(KEYFRAME_EVERY)
            self._video.options |= {"g": every, "keyint_min": every, "sc_threshold": "0", "bf": "0"}
        if most_bits is not None:
            self._video.options |= {"maxrate": str(most_bits), "bufsize": str(2 * most_bits)}
        context = self._video.codec_context
        context.thread_count = 2
        # Named, because players guess otherwise: BT.709 (ITU-T H.273 code 1) in the usual narrow range.
        context.color_primaries = context.color_trc = REC_709
        context.colorspace, context.color_range = REC_709, ColorRange.MPEG
        self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound else None
        self._index = self._heard = 0

    def push(self, picture: Frame) -> None:
        """Add one RGB frame."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._index, Fraction(1, FRAME_RATE)
        self._index += 1
        self._container.mux(self._video.encode(frame))

    def hear(self, samples: Samples) -> None:
        """Add mono float32 sound at 16 kHz."""
        if self._audio is None:
            raise ValueError("this movie was opened without sound")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._heard, Fraction(1, SAMPLE_RATE)
        self._heard += len(samples)
        self._container.mux(self._audio.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Drop an unfinished file."""
        self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Movie:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class FrameReader:
    """Frames of a movie written with `seekable=True`, in any order; quick as long as runs of them are read forwards.

    Two places are kept open, so that two runs that turn into one another are both read forwards.
    """

    def __init__(self, path: Path) -> None:
        self._cursors = [_Cursor(path), _Cursor(path)]

    def __getitem__(self, index: int) -> Frame:
        """Frame `index` as RGB (H, W, 3); not to be written to. IndexError when the movie is shorter."""
        cursor = next((c for c in self._cursors if c.reaches(index)), self._cursors[0])
        self._cursors.sort(key=lambda each: each is cursor)  # the one used longest ago comes first
        return cursor.read(index)

    def close(self) -> None:
        """Close the file."""
        for cursor in self._cursors:
            cursor.close()


class _Cursor:
    """A place in a movie."""

    def __init__(self, path: Path) -> None:
        self._container = _open(path)
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1  # frame threads would hold frames back after every seek
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._last, self._picture = -1, np.zeros((0, 0, 3), np.uint8)

    def reaches(self, index: int) -> bool:
        """Whether a frame is here or shortly ahead."""
        return self._last >= 0 and self._last <= index <= self._last + KEYFRAME_EVERY // 2

    def read(self, index: int) -> Frame:
        """Go to a frame and decode it."""
        if index == self._last:
            return self._picture
        if not self.reaches(index):
            base = self._stream.time_base or Fraction(1, FRAME_RATE)
            self._container.seek(int(Fraction(index, FRAME_RATE) / base), stream=self._stream)
            self._decoded = self._container.decode(self._stream)
        for frame in self._decoded:
            if frame.time is not None and round(frame.time * FRAME_RATE) >= index:
                self._last, self._picture = index, frame.to_ndarray(format="rgb24")
                return self._picture
        raise IndexError(f"no frame {index}")

    def close(self) -> None:
        """Close the file."""
        self._container.close()
