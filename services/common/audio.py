"""Sound in and out: any container to float32 mono, and PCM to and from it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np

from basics.media import open_media
from services.common.arrays import Samples
from services.common.errors import InvalidInput

FULL_SCALE = 32_768
CANCELLED = 0.05  # of the louder channel's energy
SAMPLE_RATES = range(4000, 768_001)  # Hz, of files; at a rate of 1 Hz a few bytes would be hours of sound
SILENCE_PEAK = 10 ** (-50 / 20)  # of full scale; what never gets louder cannot be heard


def to_pcm(samples: Samples) -> bytes:
    """Float samples in [-1, 1] as signed 16-bit little-endian PCM; louder ones are clipped."""
    levels: Samples = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return levels.astype("<i2").tobytes()


def from_pcm(pcm: bytes, field: str = "audio") -> Samples:
    """Signed 16-bit little-endian PCM as float32 in [-1, 1].

    Raises:
        InvalidInput: half a sample is missing.
    """
    if len(pcm) % 2:
        raise InvalidInput("A piece of audio ends in the middle of a sample.", reason="PCM_ODD_LENGTH", field=field)
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(FULL_SCALE)


class Resampler:
    """Changes the rate of a stream of float32 mono samples, without delay and without seams between pieces."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rate, self._same = source_rate, source_rate == target_rate
        self._resampler = av.AudioResampler("flt", "mono", target_rate)
        self._count = 0

    def push(self, samples: Samples) -> Samples:
        """Take some samples; returns those that became certain."""
        if self._same or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._count, Fraction(1, self._rate)
        self._count += len(samples)
        return _joined(self._resampler.resample(frame))

    def flush(self) -> Samples:
        """The rest."""
        return np.zeros(0, np.float32) if self._same or not self._count else _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> Samples:
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames] or [np.zeros(0, np.float32)])


def resampled(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """All of a sound at another rate."""
    resampler = Resampler(source_rate, target_rate)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def decode_blocks(source: Path | IO[bytes], rate: int, field: str = "audio") -> Iterator[Samples]:
    """The sound of any audio or video file as float32 mono blocks at `rate` Hz, in bounded memory.

    Raises:
        InvalidInput: not a media file, empty, truncated beyond use, or without sound.
    """
    try:
        with open_media(source) as container:
            if not container.streams.audio:
                message = "This file has no sound. Record it again with a microphone."
                raise InvalidInput(message, reason="NO_AUDIO", field=field)
            resampler = av.AudioResampler("flt", None, rate)
            decoded = False
            for block in _frames(container, resampler):
                decoded = True
                yield block
            if not decoded:
                raise av.error.InvalidDataError(0, "no audio frames")
    except (av.error.FFmpegError, ValueError) as error:
        message = "This file cannot be read as sound: it is empty, damaged or of an unknown kind. Try WAV, MP3 or MP4."
        raise InvalidInput(message, reason="UNREADABLE_MEDIA", field=field) from error


def _frames(container: av.container.InputContainer, resampler: av.AudioResampler) -> Iterator[Samples]:
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet in the middle of a recording costs only itself
        for frame in frames:
            if frame.sample_rate not in SAMPLE_RATES:
                raise av.error.InvalidDataError(0, "sample rate")
            yield from map(_mono, resampler.resample(frame))
    yield from map(_mono, resampler.resample(None))


def _mono(frame: av.AudioFrame) -> Samples:
    # The mean, not FFmpeg's own mix-down: that makes the same voice on both channels 3 dB louder, and clips it.
    # Where one channel is wired the wrong way round they cancel each other: then the louder one alone.
    channels = np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.layout.nb_channels).T
    mean: Samples = channels.mean(axis=0)
    energy: Samples = np.square(channels).sum(axis=1)
    loudest: Samples = channels[energy.argmax()]
    return loudest if np.square(mean).sum() < CANCELLED * energy.max() else mean


def decode(source: Path | IO[bytes], rate: int, *, field: str = "audio", max_seconds: float = 3600) -> Samples:
    """The sound of a file as one float32 mono array at `rate` Hz.

    Raises:
        InvalidInput: as `decode_blocks`, or longer than `max_seconds`.
    """
    blocks, count = [], 0
    for block in decode_blocks(source, rate, field):
        blocks.append(block)
        count += len(block)
        if count > max_seconds * rate:
            raise too_long(max_seconds, field)
    return np.concatenate(blocks)


def silent(field: str = "audio") -> InvalidInput:
    """The error for a recording in which nothing can be heard."""
    message = "This recording is silent. Check the microphone and record it again."
    return InvalidInput(message, reason="SILENT", field=field)


def too_long(max_seconds: float, field: str = "audio") -> InvalidInput:
    """The error for a recording longer than is allowed."""
    limit = f"{max_seconds / 60:g}"
    message = f"This recording is longer than {limit} minutes. Cut it and try again."
    return InvalidInput(message, reason="TOO_LONG", field=field, values={"max_minutes": limit})
