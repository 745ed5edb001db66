"""The recording that a voice is cloned from, for engines that look at it again with every sentence."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from services.common.arrays import Samples
from services.common.audio import SILENCE_PEAK, resampled, silent, to_pcm
from services.common.errors import InvalidInput

_RECORDING, _WORDS = "recording-*.wav", "words.txt"
_WINDOW_S = 0.2


@dataclass(frozen=True)
class Reference:
    """A recording and its words, where they are known to be those of just this stretch."""

    path: Path  # whose name no other recording has
    pcm: bytes  # 16-bit mono
    transcript: str


def keep(
    samples: Samples, rate: int, transcript: str, folder: Path, *, kept_rate: int, shortest_s: float, longest_s: float
) -> None:
    """Leave a recording in a folder, no longer than an engine takes.

    One that is longer is cut at the quietest place of the second half of what fits. Nobody knows which of its words are
    left then, so it is kept without any.

    Args:
        samples: float32 mono at `rate`, its ends trimmed.
        transcript: what is said in it, or empty.

    Raises:
        InvalidInput: silence, or shorter than `shortest_s`.
    """
    _check(samples, rate, shortest_s)
    if len(samples) / rate > longest_s:
        samples, transcript = samples[: _quiet_place(samples[: int(longest_s * rate)], rate, shortest_s)], ""
    pcm = to_pcm(resampled(samples, rate, kept_rate))
    with wave.open(str(folder / _RECORDING.replace("*", sha256(pcm).hexdigest()[:32])), "wb") as file:
        file.setparams((1, 2, kept_rate, 0, "NONE", ""))
        file.writeframes(pcm)
    (folder / _WORDS).write_text(transcript.strip(), encoding="utf-8")


def beginning(samples: Samples, rate: int, wanted_rate: int, *, shortest_s: float, longest_s: float) -> Samples:
    """The first `longest_s` of a recording at `wanted_rate`, for engines that keep what they make of it.

    Raises:
        InvalidInput: silence, or shorter than `shortest_s`.
    """
    samples = samples[: int(longest_s * rate)]
    _check(samples, rate, shortest_s)
    return resampled(samples, rate, wanted_rate)


def recall(folder: Path) -> Reference:
    """What `keep` left.

    Raises:
        FileNotFoundError: it has been deleted.
    """
    path = next(folder.glob(_RECORDING), folder / _RECORDING)
    with wave.open(str(path)) as file:
        pcm = file.readframes(file.getnframes())
    return Reference(path, pcm, (folder / _WORDS).read_text(encoding="utf-8"))


def words_needed(engine: str) -> InvalidInput:
    """The engine's model has to know what is said in the recording."""
    message = (
        f"This model of '{engine}' needs the words of the voice's recording. Make a voice of at most ten seconds, and "
        "write down what is said in it."
    )
    return InvalidInput(message, reason="WORDS_NEEDED", field="config.voice", values={"engine": engine})


def _check(samples: Samples, rate: int, shortest_s: float) -> None:
    if np.abs(samples).max(initial=0) < SILENCE_PEAK:
        raise silent()
    if (seconds := len(samples) / rate) < shortest_s:
        message = f"This engine needs {shortest_s:g} seconds of speech; there are {seconds:.1f}. Record ten seconds."
        raise InvalidInput(message, reason="TOO_SHORT", field="audio", values={"seconds": f"{seconds:.1f}"})


def _quiet_place(samples: Samples, rate: int, shortest_s: float) -> int:
    """The middle of the quietest window in the second half."""
    window = int(_WINDOW_S * rate)
    first = max(len(samples) // 2, int(shortest_s * rate))
    energy = np.cumsum(np.square(samples[first:], dtype=np.float64))
    return first + int((energy[window:] - energy[:-window]).argmin()) + window // 2
