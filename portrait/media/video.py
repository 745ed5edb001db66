"""Reading and writing recordings: rotated, re-timed, and never more than a few frames in memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from portrait.arrays import Frame, Samples
from portrait.errors import RecordingError
from portrait.media import decoding
from portrait.media.cadence import Cadence
from portrait.media.decoding import Still
from portrait.media.opening import best_audio, best_video, open_media

FRAME_RATE = 25
SAMPLE_RATE = 16_000
REC_709 = 1
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE
KEYFRAME_EVERY = 25
CRF = 14
"""x264's rate factor of finished video: at 18 coding alone would cost more than the talking head's own softness."""


@dataclass(frozen=True)
class Recording:
    """What a media file says about itself; width and height are as displayed: square pixels, upright."""

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
        return open_media(path)
    except (FFmpegError, OSError) as error:
        raise RecordingError("not-media", "This file could not be read as a video.") from error


def probe(video: Path) -> Recording:
    """Describe a recording without decoding more than its first frame.

    Raises:
        RecordingError: it is no media file ("not-media"), or has no picture that can be decoded ("no-video").
    """
    with _open(video) as container:
        stream = best_video(container)
        if stream is None:
            raise RecordingError("no-video", "This file has no picture track.")
        first = _first_still(container, stream)
        width, height = first.size
        audio = best_audio(container)
        return Recording(
            duration_s=_duration(container, stream),
            fps=float(stream.average_rate or stream.guessed_rate or FRAME_RATE),
            width=width,
            height=height,
            has_audio=audio is not None,
            codec=stream.codec_context.name,
            audio_codec=audio.codec_context.name if audio is not None else "",
            rotation=first.rotation,
        )


def _first_still(container: av.container.InputContainer, stream: av.VideoStream) -> Still:
    try:
        return next(decoding.pictures(container, stream))[1]
    except (FFmpegError, StopIteration) as error:
        raise RecordingError("no-video", "This file's picture could not be decoded.") from error


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """What the file says, or, where it says nothing as browsers' recordings do, what its packets say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration) / av.time_base
    container.seek(0)
    base = stream.time_base or Fraction(1, FRAME_RATE)
    seconds = [float(p.pts * base) for p in container.demux(stream) if p.pts is not None]
    return max(seconds, default=0.0) - min(seconds, default=0.0)


def frames(
    video: Path,
    *,
    fps: float = FRAME_RATE,
    start_s: float = 0.0,
    end_s: float = math.inf,
    scale: float = 1.0,
    cadence: Cadence | None = None,
) -> Iterator[tuple[float, Frame]]:
    """Yield (seconds, RGB uint8 (H, W, 3)) on a regular clock, one at a time: upright, with square pixels.

    Each tick shows the frame nearest to it, though none more than half a tick early: variable frame rates come out at
    `fps` without drift. Seconds count from the first frame. `scale` shrinks pictures while they are converted;
    `cadence` leaves out the copies that a conversion to a higher frame rate put in. A broken tail ends the iteration.
    """
    decoded = stills(video)
    if cadence is not None:
        decoded = cadence.retimed(decoded)
    for seconds, still in _on_clock(decoded, fps, start_s, end_s):
        yield seconds, still.rgb(scale)


def stretch(movie: Path, start: int, stop: int) -> Iterator[Frame]:
    """Frames `start` to `stop` - 1 of a movie written with `seekable=True`, without decoding all that comes before."""
    with _open(movie) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 2
        container.seek(_ticks(start, stream), stream=stream)
        for seconds, still in decoding.pictures(container, stream):
            index = round(seconds * FRAME_RATE)
            if index >= stop:
                return
            if index >= start:
                yield still.rgb()


def _ticks(index: int, stream: av.VideoStream) -> int:
    return int(Fraction(index, FRAME_RATE) / (stream.time_base or Fraction(1, FRAME_RATE)))


def stills(video: Path) -> Iterator[tuple[float, Still]]:
    """Yield every frame as (seconds since the first, still), not converted yet.

    Raises:
        RecordingError: it is no media file ("not-media"), or has no picture track ("no-video").
    """
    with _open(video) as container:
        stream = best_video(container)
        if stream is None:
            raise RecordingError("no-video", "This file has no picture track.")
        stream.thread_type = "AUTO"
        origin: float | None = None
        for seconds, still in decoding.pictures(container, stream):
            origin = seconds if origin is None else origin
            yield seconds - origin, still


def _on_clock(
    decoded: Iterator[tuple[float, Still]], fps: float, start_s: float, end_s: float
) -> Iterator[tuple[float, Still]]:
    tick = math.ceil(start_s * fps)
    shown: Still | None = None
    last_s, gap_s = 0.0, 1.0 / fps
    for index, (seconds, still) in enumerate(decoded):
        from_s = seconds - min(seconds - last_s, 1.0 / fps) / 2
        while shown is not None and tick / fps < min(from_s, end_s):
            yield tick / fps, shown
            tick += 1
        if tick / fps >= end_s:
            return
        gap_s = min(seconds - last_s, seconds / index) if index else gap_s  # how long the last one stays
        last_s, shown = seconds, still
    while shown is not None and tick / fps < min(last_s + gap_s - 5e-4, end_s):
        yield tick / fps, shown
        tick += 1


def audio_blocks(media: Path, *, rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Yield mono float32 blocks in [-1, 1] at `rate`, aligned so that sample 0 is heard with the first frame.

    Silence stands for what is missing, so the sound keeps its place to the end.

    Raises:
        RecordingError: it is no media file ("not-media"), or has no sound track ("no-audio").
    """
    with _open(media) as container:
        stream = best_audio(container)
        if stream is None:
            raise RecordingError("no-audio", "This file has no sound track.")
        yield from decoding.sound(container, stream, rate, _origin(media))


def _origin(media: Path) -> float:
    """When the first picture is shown, in the file's own time; 0 without one."""
    with _open(media) as container:
        stream = best_video(container)
        if stream is None:
            return 0.0
        first = next(decoding.pictures(container, stream), None)
        return first[0] if first else 0.0


def heard(media: Path) -> tuple[float, float]:
    """When the sound begins and ends, in seconds since the first picture, by its packets.

    Raises:
        RecordingError: it is no media file ("not-media"), or has no sound track ("no-audio").
    """
    with _open(media) as container:
        stream = best_audio(container)
        if stream is None:
            raise RecordingError("no-audio", "This file has no sound track.")
        base = stream.time_base or Fraction(1, SAMPLE_RATE)
        spans = [(p.pts, p.pts + (p.duration or 0)) for p in container.demux(stream) if p.pts is not None]
    start, end = min((a for a, _ in spans), default=0) * base, max((b for _, b in spans), default=0) * base
    return float(start) - _origin(media), float(end) - _origin(media)


def audio(media: Path, *, rate: int = SAMPLE_RATE) -> Samples:
    """The whole sound track as mono float32 at `rate`: 230 MB for an hour, so use `audio_blocks` for long files."""
    blocks = list(audio_blocks(media, rate=rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


class Movie:
    """Writes H.264 (and AAC when sound is pushed) to an MP4 that appears under its name only when it is complete.

    One thread converts and another encodes while the next pictures are made.
    """

    AHEAD = 8
    """Pictures that may wait for it."""

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
        context.thread_count = 4
        # Named, because players guess otherwise: BT.709 (ITU-T H.273 code 1) in the usual narrow range.
        context.color_primaries = context.color_trc = REC_709
        context.colorspace, context.color_range = REC_709, ColorRange.MPEG
        self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound else None
        self._index = self._heard = 0
        self._converter = VideoReformatter()
        self._threads = ThreadPoolExecutor(1, "converter"), ThreadPoolExecutor(1, "encoder")
        self._waiting: deque[Future[None]] = deque()

    def push(self, picture: Frame) -> None:
        """Add one RGB frame, which must not change afterwards."""
        convert, encode = self._threads
        self._waiting.append(encode.submit(self._encode, convert.submit(self._converted, picture), self._index))
        self._index += 1
        self._wait(self.AHEAD)

    def _converted(self, picture: Frame) -> av.VideoFrame:
        return self._converter.reformat(
            av.VideoFrame.from_ndarray(picture, format="rgb24"),
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG,
        )  # fmt: skip

    def _encode(self, converted: Future[av.VideoFrame], index: int) -> None:
        frame = converted.result()
        frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
        self._container.mux(self._video.encode(frame))

    def _wait(self, most: int) -> None:
        """Let no more than `most` pictures wait; what went wrong with one of them is raised here."""
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def _rest(self) -> None:
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)

    def hear(self, samples: Samples) -> None:
        """Add mono float32 sound at 16 kHz."""
        if self._audio is None:
            raise ValueError("this movie was opened without sound")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        self._wait(0)
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._heard, Fraction(1, SAMPLE_RATE)
        self._heard += len(samples)
        self._container.mux(self._audio.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._wait(0)
        self._rest()
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Drop an unfinished file."""
        self._rest()
        self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Movie:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
                return
        finally:
            if self._part.exists():
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
        self._last = -1
        self._picture: Frame = np.zeros((0, 0, 3), np.uint8)

    def reaches(self, index: int) -> bool:
        """Whether a frame is here or shortly ahead."""
        return self._last >= 0 and self._last <= index <= self._last + KEYFRAME_EVERY // 2

    def read(self, index: int) -> Frame:
        """Go to a frame and decode it."""
        if index == self._last:
            return self._picture
        if not self.reaches(index):
            self._container.seek(_ticks(index, self._stream), stream=self._stream)
            self._decoded = self._container.decode(self._stream)
        for frame in self._decoded:
            if frame.time is not None and round(frame.time * FRAME_RATE) >= index:
                self._last, self._picture = index, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                return self._picture
        raise IndexError(f"no frame {index}")

    def close(self) -> None:
        """Close the file."""
        self._container.close()
