"""A neural ear: what the encoder of a Whisper model makes of the last two seconds of speech, four frames at a time.

Whisper was trained on half a minute at once, and its encoder looks both ways. In short windows it is quick enough to
hear while somebody speaks: one window ends with each *block* of four frames of the picture, and all that the block
sees of the past, too, is taken from it. So a stream hears what a whole recording does.
"""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft

from portrait.arrays import Floats
from portrait.errors import EncoderError
from portrait.sound import spectrum
from portrait.sound.spectrum import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from ctranslate2.models import Whisper

WEIGHTS = "model.bin"
BLOCK = 4
"""Frames of the picture (25 fps) that are heard in the same window."""
BLOCK_SAMPLES = BLOCK * SAMPLE_RATE // 25
WINDOW = 200
"""Spectra (100 Hz) in a window."""
END = 38
"""Spectra that a window holds from the beginning of its block on: until what today's features of its last frame see."""
TOKENS = 43
"""The last tokens of a window (50 Hz) that its block sees: what its frames see of other features."""
MOST_THREADS = 2
"""Processors that a window uses where somebody waits for it; more do not make one so short quicker."""
PEAK_SPAN = 1000
"""Spectra that the loudest moment is looked for in."""

_FRAME, _MELS = 400, 80
_LEAST_PEAK = -1.0
"""Of the decadic logarithm of power; below it, what is heard counts as silence rather than as speech from far away."""
_RANGE, _OFFSET, _SCALE = 8.0, 4.0, 4.0
"""How Whisper's training put decades of power into numbers near one."""


class Encoder:
    """A Whisper model in CTranslate2's format, in memory. One serves many streams, which take turns.

    Args:
        folder: holds model.bin and config.json.
        threads: processors that one window uses.

    Raises:
        ImportError: CTranslate2 is not installed.
        EncoderError: the folder holds no such model, or one that hears other bands.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        from ctranslate2.models import Whisper

        try:
            self._model: Whisper = Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=threads)
        except RuntimeError as error:
            raise EncoderError("It is no Whisper model for CTranslate2, or a part of it is missing.") from error
        if self._model.n_mels != _MELS:  # as Whisper large-v3
            raise EncoderError(f"It hears {self._model.n_mels} mel bands rather than {_MELS}.")

    @cached_property
    def width(self) -> int:
        """Numbers in a token."""
        return len(self.tokens(np.zeros((_MELS, WINDOW), np.float32))[0])

    def tokens(self, mel: Floats) -> Floats:
        """What it makes (TOKENS, width) of the end of a window of log-mel (80, WINDOW), normalised as Whisper's."""
        from ctranslate2 import StorageView

        encoded = self._model.encode(StorageView.from_array(np.ascontiguousarray(mel[None], np.float32)))
        return np.array(encoded, np.float32)[0, -TOKENS:]


@cache
def fingerprint(folder: Path) -> str:
    """Tells the weights in a folder from all others: what is learned from one encoder says nothing about another.

    Raises:
        OSError: there are none.
    """
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def load(folder: Path) -> Encoder:
    """The encoder in a folder, kept in memory for all who ask."""
    return Encoder(folder, threads=MOST_THREADS)


class BlockStream:
    """Encodes speech as it comes: `push` samples, get the blocks that are certain; `flush` ends the utterance.

    Block k stands for frames 4 k to 4 k + 3 of the picture, its tokens for the half second before and the .38 s from
    its beginning on; its window holds what lies before the utterance as silence. Memory is bounded.
    """

    def __init__(self, encoder: Encoder, *, shift: int = 0, warp: float = 1.0) -> None:
        """`shift`: spectra by which the sound of a frame comes later; `warp`: see `audio.features`."""
        self._encoder, self._shift = encoder, shift
        self._filters = spectrum.whisper_filters(warp)
        self._begin()

    def _begin(self) -> None:
        self._samples = np.zeros(_FRAME // 2, np.float32)
        self._received = self._block = 0
        self._mel = np.zeros((0, _MELS), np.float32)
        """The last spectra up to the window that came last."""

    def push(self, samples: Floats) -> Floats:
        """Tokens (n, TOKENS, width) of the blocks that the samples so far allow, each once."""
        self._received += len(samples)
        return self._hear(np.asarray(samples, np.float32))

    def flush(self) -> Floats:
        """The blocks of the remaining frames, as if silence followed; the stream is then ready for another utterance.

        Together with those before, as many as frames that were begun need.
        """
        blocks = -(-self._received // BLOCK_SAMPLES)
        needed = sum(map(self._spectra, range(self._block, blocks))) * HOP + _FRAME - HOP
        told = self._hear(np.zeros(max(0, needed - len(self._samples)), np.float32), blocks)
        self._begin()
        return told

    def _spectra(self, block: int) -> int:
        """How many spectra a block's window has that the one before had not."""
        return END + self._shift if block == 0 else BLOCK_SAMPLES // HOP

    def _hear(self, samples: Floats, blocks: int | None = None) -> Floats:
        self._samples = np.concatenate([self._samples, samples])
        told = []
        while self._block != blocks and len(self._samples) >= self._spectra(self._block) * HOP + _FRAME - HOP:
            self._mel = np.concatenate([self._mel, self._log_mel(self._spectra(self._block))])[-PEAK_SPAN:]
            told.append(self._encoder.tokens(self._window()))
            self._block += 1
        return np.stack(told) if told else np.zeros((0, TOKENS, self._encoder.width), np.float32)

    def _log_mel(self, count: int) -> Floats:
        """Decadic log-mel (count, 80) of the next spectra.

        Always as many at once for a block: products of matrices are rounded differently by their size, and eight bits
        make much of it.
        """
        frames = np.lib.stride_tricks.sliding_window_view(self._samples, _FRAME)[: count * HOP : HOP]
        spectra = rfft(frames * _hann(), axis=1)
        self._samples = self._samples[count * HOP :]
        power = np.asarray(spectra.real**2 + spectra.imag**2, np.float32)
        return np.asarray(np.log10(np.maximum(power @ self._filters, np.float32(1e-10))), np.float32)

    def _window(self) -> Floats:
        """The normalised window (80, WINDOW) of the last spectra."""
        peak = max(_LEAST_PEAK, float(self._mel.max()))
        recent = self._mel[-WINDOW:]
        silence = np.full((WINDOW - len(recent), _MELS), -np.inf, np.float32)
        mel = np.maximum(np.concatenate([silence, recent]), peak - _RANGE)
        return np.asarray((mel.T + _OFFSET) / _SCALE, np.float32)


@cache
def _hann() -> Floats:
    return np.hanning(_FRAME + 1)[:-1].astype(np.float32)
