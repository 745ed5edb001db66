"""What a server sends, as samples: bare PCM or a WAV file, at whatever rate, cut anywhere on its way."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from services.common.arrays import Samples
from services.common.audio import SAMPLE_RATES, SILENCE_PEAK, Resampler, from_pcm
from services.tts.remote.settings import SpeakerFailures

LONGEST_S = 120  # of a sentence, which is cut at about 20
_MOST_HEADER = 4096  # bytes before the samples of a WAV file
_MARGIN_S = 0.02
_PCM, _EXTENSIBLE = 1, 0xFFFE
_UNKNOWN_SIZES = (0, 0x7FFF_FFFF, 0xFFFF_FFFF)  # of a file that is written while it is made


class Decoder:
    """Pieces of 16-bit mono sound to float32 at one rate.

    Args:
        rate: of what comes out.
        bare_rate: of sound without a header.
    """

    def __init__(self, rate: int, bare_rate: int, failures: SpeakerFailures) -> None:
        self.rate, self._bare_rate, self._failures = rate, bare_rate, failures
        self._bytes = b""
        self._resampler: Resampler | None = None
        self._left: int | None = None  # bytes of a file that says how many there are
        self._count = 0

    def push(self, data: bytes) -> Samples:
        """Raises:
        Unavailable: it is no such sound, or there is no end of it.
        """
        self._bytes += data
        if not self._resampler and not self._begin():
            return np.zeros(0, np.float32)
        assert self._resampler
        whole = len(self._bytes) - len(self._bytes) % 2
        pcm, self._bytes = self._bytes[:whole], self._bytes[whole:]
        if self._left is not None:
            pcm = pcm[: self._left]
            self._left -= len(pcm)
        self._count += len(pcm) // 2
        if self._count > LONGEST_S * self._rate_of_source:
            raise self._failures.endless()
        return self._resampler.push(from_pcm(pcm))

    def flush(self) -> Samples:
        """The rest.

        Raises:
            Unavailable: the sound ends in the middle of a sample, or before its file does.
        """
        if not self._resampler:
            if self._bytes:
                raise self._failures.garbled()
            return np.zeros(0, np.float32)
        if self._left:
            raise self._failures.broken_off()
        if self._bytes and self._left is None:
            raise self._failures.garbled()
        return self._resampler.flush()

    def _begin(self) -> bool:
        """Whether it is known by now what the samples are."""
        if b"RIFF".startswith(self._bytes[:4]) and len(self._bytes) < 4:
            return False
        if not self._bytes.startswith(b"RIFF"):
            self._start(self._bare_rate)
            return True
        try:
            found = _header(self._bytes)
        except (ValueError, struct.error) as error:
            raise self._failures.garbled() from error
        if not found:
            if len(self._bytes) > _MOST_HEADER:
                raise self._failures.garbled()
            return False
        rate, size, start = found
        self._bytes = self._bytes[start:]
        self._left = None if size in _UNKNOWN_SIZES else size
        self._start(rate)
        return True

    def _start(self, rate: int) -> None:
        self._rate_of_source, self._resampler = rate, Resampler(rate, self.rate)


def _header(data: bytes) -> tuple[int, int, int] | None:
    """Rate, size and place of a WAV file's samples; None while that is not all there.

    Raises:
        ValueError: it is another kind of file.
    """
    if len(data) < 12:
        return None
    if data[8:12] != b"WAVE":
        raise ValueError
    at, rate = 12, 0
    while len(data) >= at + 8:
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"data":
            if not rate:
                raise ValueError
            return rate, size, at
        if len(data) < at + size:
            return None
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if kind not in (_PCM, _EXTENSIBLE) or (channels, bits) != (1, 16) or rate not in SAMPLE_RATES:
                raise ValueError
        at += size + size % 2
    return None


class Edges:
    """Takes the silence at both ends of a sentence away while it comes, but 20 ms of each: servers differ in it, and
    that before a sentence is waited for."""

    def __init__(self, rate: int) -> None:
        self._margin = int(rate * _MARGIN_S)
        self._held: list[Samples] = []  # joined only once they are known to be wanted, however long the silence is
        self.is_audible = False
        """Whether something could be heard by now."""

    def push(self, samples: Samples) -> Samples:
        """What is certain to be no end of the sentence."""
        loud = np.flatnonzero(np.abs(samples) >= SILENCE_PEAK)
        self._held.append(samples)
        if not len(loud):
            if not self.is_audible:
                self._held = [np.concatenate(self._held)[-self._margin :]]
            return np.zeros(0, np.float32)
        known = np.concatenate(self._held)
        begun = len(known) - len(samples)
        start = 0 if self.is_audible else max(begun + int(loud[0]) - self._margin, 0)
        end = begun + int(loud[-1]) + 1 + self._margin
        self._held, self.is_audible = [known[end:]], True
        return known[start:end]


async def heard(
    pieces: AsyncGenerator[bytes, None], decoder: Decoder, failures: SpeakerFailures
) -> AsyncGenerator[Samples, None]:
    """Sound as it arrives, without the silence at its ends.

    Raises:
        Unavailable: nothing can be heard, or as `Decoder`.
    """
    edges = Edges(decoder.rate)
    async with aclosing(pieces):
        async for data in pieces:
            if len(samples := edges.push(decoder.push(data))):
                yield samples
    if len(samples := edges.push(decoder.flush())):
        yield samples
    if not edges.is_audible:
        raise failures.nothing_spoken()
