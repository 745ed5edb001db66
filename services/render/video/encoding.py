"""Pictures and sound to H.264 and AAC in MP4 on one clock: as fragments while they are made, or as a file."""

from __future__ import annotations

import contextlib
import struct
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from basics.media import open_media
from services.common.arrays import Frame, Samples

SOUND_RATE = 48_000
SOUND_BIT_RATE = 96_000
REC_709 = 1  # ITU-T H.273: primaries and transfer of BT.709
FRAGMENTS_S = (0.12, 0.2, 0.4)
"""Lengths of the first fragments; the last repeats. Short ones come soon, and each lasts until the next is made."""


@dataclass(frozen=True)
class Format:
    """How a video is encoded."""

    width: int
    height: int
    fps: float
    crf: int = 20
    preset: str = "veryfast"
    threads: int = 2


@dataclass(frozen=True)
class Fragment:
    """A moof and mdat pair."""

    data: bytes
    frame_index: int
    frame_count: int
    encoding_s: float = 0.0
    """Time spent on encoding it."""


class Sink(Protocol):
    """What a video is written to."""

    def write(self, data: bytes) -> int: ...


class _Muxer:
    """An MP4 file being written: what pictures from anywhere and sound have in common."""

    def __init__(self, target: str | Sink, metadata: dict[str, str], flags: str, *, has_sound: bool = True) -> None:
        self._container = av.open(
            target, "w", format="mp4", options={"movflags": f"{flags}+use_metadata_tags", "flush_packets": "1"}
        )
        self._container.metadata.update(metadata)
        self._has_sound = has_sound
        self.frame_count = 0
        self._sample_count = 0

    def _begin(self, video: av.VideoStream, rate: Fraction) -> None:
        """Take the picture track, at so many frames a second; the sound's track comes after it."""
        self._video, self._tick = video, 1 / rate
        self._audio = self._add_sound() if self._has_sound else None

    def _add_sound(self) -> av.AudioStream:
        return self._container.add_stream("aac", rate=SOUND_RATE, layout="mono", bit_rate=SOUND_BIT_RATE)

    def _hear(self, samples: Samples) -> None:
        if not len(samples) or self._audio is None:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self._sample_count, Fraction(1, SOUND_RATE)
        self._sample_count += len(samples)
        self._container.mux(self._audio.encode(frame))

    def _finish_sound(self) -> None:
        # Both tracks end together, so that the next stretch can be appended without a gap.
        missing = round(self.frame_count * self._tick * SOUND_RATE) - self._sample_count
        self._hear(np.zeros(max(0, missing), np.float32))
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))

    def discard(self) -> None:
        """Give back what the encoder holds, whether or not it was closed."""
        self._container.close()


class Encoder(_Muxer, ABC):
    """Pictures and sound into one container; what is ready to be sent comes out as fragments."""

    def __init__(
        self,
        target: str | Sink,
        video: Format,
        metadata: dict[str, str],
        flags: str,
        options: dict[str, str],
        *,
        has_sound: bool = True,
    ) -> None:
        super().__init__(target, metadata, flags, has_sound=has_sound)
        rate = Fraction(video.fps).limit_denominator(1001)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.options = {"crf": str(video.crf), "preset": video.preset, **options}
        context = stream.codec_context
        context.thread_count = video.threads
        context.color_primaries = context.color_trc = REC_709
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        self._begin(stream, rate)
        self._converter = VideoReformatter()  # setting up a conversion costs as much as doing it

    def hear(self, samples: Samples) -> None:
        """Add float32 mono sound at 48 kHz. Sound runs ahead of the pictures, never behind."""
        self._hear(samples)

    @abstractmethod
    def show(self, picture: Frame) -> list[Fragment]:
        """Add the next RGB frame (height, width, 3), which must not change afterwards; returns what became complete."""

    @abstractmethod
    def close(self) -> list[Fragment]:
        """Complete the video; returns the last fragments."""

    def _count(self) -> int:
        """The next frame's number."""
        self.frame_count += 1
        return self.frame_count - 1

    def _encode(self, picture: Frame, index: int, keyframe: bool = False) -> None:
        frame = self._converter.reformat(
            av.VideoFrame.from_ndarray(picture, "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = index, self._tick
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._container.mux(self._video.encode(frame))

    def _finish(self) -> None:
        self._finish_sound()
        self._container.mux(self._video.encode(None))
        self._container.close()


class Splice(_Muxer):
    """Joins pieces that were encoded apart to a progressive MP4, its index at the front, and adds their sound."""

    def __init__(self, path: Path, metadata: dict[str, str]) -> None:
        super().__init__(str(path), metadata, "faststart")

    def append(self, piece: Path, samples: Samples) -> None:
        """Add a piece, as MovieFile writes them, without coding it anew, and float32 mono sound at 48 kHz."""
        with open_media(piece) as container:
            source = container.streams.video[0]
            assert source.average_rate and source.time_base  # we wrote it
            if not self.frame_count:
                self._begin(self._container.add_stream_from_template(source), source.average_rate)
            begin = round(self.frame_count * self._tick / source.time_base)
            self._hear(samples)
            for packet in container.demux(source):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts = packet.pts + begin, packet.dts + begin
                    packet.stream = self._video
                    self._container.mux(packet)
                    self.frame_count += 1

    def close(self) -> None:
        """Complete the file."""
        if self.frame_count:
            self._finish_sound()
        self._container.close()


class MovieFile(Encoder):
    """Writes a progressive MP4, its index at the front, in a thread of its own while the next frames are drawn."""

    AHEAD = 8
    """Frames and pieces of sound that may wait for the encoder."""

    def __init__(self, path: Path, video: Format, metadata: dict[str, str], *, has_sound: bool = True) -> None:
        super().__init__(str(path), video, metadata, "faststart", {}, has_sound=has_sound)
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._waiting: deque[Future[None]] = deque()

    def hear(self, samples: Samples) -> None:
        """The same, when the thread comes to it."""
        self._enqueue(self._hear, samples)

    def show(self, picture: Frame) -> list[Fragment]:
        """Add the next frame; a file has no fragments."""
        self._enqueue(self._encode, picture, self._count())
        return []

    def close(self) -> list[Fragment]:
        """Complete the file."""
        self._enqueue(self._finish)
        self._wait(0)
        return []

    def discard(self) -> None:
        """Give back what the encoder holds, whether or not it was closed."""
        self._thread.shutdown(cancel_futures=True)
        super().discard()

    def _enqueue(self, work: Callable[..., None], *arguments: object) -> None:
        self._waiting.append(self._thread.submit(work, *arguments))
        self._wait(self.AHEAD)

    def _wait(self, most: int) -> None:
        """Let no more than `most` wait; what went wrong with one of them is raised here."""
        while len(self._waiting) > most:
            self._waiting.popleft().result()


class LiveMovie(Encoder):
    """Writes fragments for MediaSource: each begins with a keyframe and holds both tracks for the same time."""

    def __init__(self, video: Format, metadata: dict[str, str]) -> None:
        self._sink = _Sink()
        flags = "frag_keyframe+delay_moov+default_base_moof+skip_trailer"  # delay_moov: the edit list is known by then
        options = {
            "tune": "zerolatency",
            "profile": "main",
            "forced-idr": "1",
            "x264-params": "keyint=infinite:scenecut=0",
        }
        super().__init__(self._sink, video, metadata, flags, options)
        self._lengths = [max(1, round(seconds * video.fps)) for seconds in FRAGMENTS_S]
        self._sent = 0
        self._spent_s = 0.0  # on encoding, since the last fragment

    def hear(self, samples: Samples) -> None:
        """Add float32 mono sound at 48 kHz."""
        with self._timed():
            super().hear(samples)

    def show(self, picture: Frame) -> list[Fragment]:
        """Add the next frame; returns the fragments that became complete."""
        index = self._count()
        with self._timed():
            self._encode(picture, index, keyframe=self._length_at(index) > 0)
        return self._fragments()

    def close(self) -> list[Fragment]:
        """Complete the stream; returns the last fragments."""
        with self._timed():
            self._finish()
        return self._fragments()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._spent_s += time.perf_counter() - began

    def _fragments(self) -> list[Fragment]:
        fragments = []
        for data in self._sink.take():
            count = min(self._length_at(self._sent), self.frame_count - self._sent)
            fragments.append(Fragment(data, self._sent, count, self._spent_s))
            self._sent, self._spent_s = self._sent + count, 0.0
        return fragments

    def _length_at(self, index: int) -> int:
        """Frames of the fragment that begins with a frame; 0 if none begins there."""
        begin = 0
        for length in self._lengths:
            if begin == index:
                return length
            begin += length
        return 0 if (index - begin) % self._lengths[-1] else self._lengths[-1]

    @property
    def init_segment(self) -> bytes:
        """What the muxer has put before the first fragment; empty until there was one."""
        return bytes(self._sink.head)


def init_segment(video: Format, metadata: dict[str, str]) -> bytes:
    """The initialisation segment of a LiveMovie of this format, before there is anything to show."""
    probe = LiveMovie(video, metadata)
    probe.hear(np.zeros(SOUND_RATE // 10, np.float32))
    probe.show(np.zeros((video.height, video.width, 3), np.uint8))
    probe.close()
    return probe.init_segment


def media_type(init: bytes) -> str:
    """RFC 6381 type for MediaSource, read from an initialisation segment."""
    profile = init[(at := init.index(b"avcC") + 5) : at + 3].hex()  # AVCDecoderConfigurationRecord, ISO 14496-15
    return f'video/mp4; codecs="avc1.{profile}, mp4a.40.{_audio_object_type(init)}"'


def _audio_object_type(init: bytes) -> int:
    at = init.index(b"esds") + 8
    while init[at] != 5:  # DecoderSpecificInfo, ISO 14496-1
        tag, at = init[at], _after_length(init, at + 1)
        at += {3: 3, 4: 13}[tag]
    return init[_after_length(init, at + 1)] >> 3


def _after_length(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1


class _Sink:
    """Takes what the muxer writes and cuts it into boxes (ISO 14496-12)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._moof = b""
        self.head = bytearray()

    def write(self, data: bytes) -> int:
        self._buffer += data
        return len(data)

    def take(self) -> list[bytes]:
        """The fragments that are complete."""
        fragments = []
        while len(self._buffer) >= 8:
            size, kind = struct.unpack_from(">I4s", self._buffer)
            if len(self._buffer) < size:
                break
            box = bytes(self._buffer[:size])
            del self._buffer[:size]
            if kind == b"mdat":
                fragments.append(self._moof + box)
            elif kind == b"moof":
                self._moof = box
            elif kind in (b"ftyp", b"moov"):
                self.head += box
        return fragments
