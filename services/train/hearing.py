"""How a recording sounds: how loud, how clipped, and how much of it is speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import webrtcvad

from services.common.arrays import Samples
from services.common.audio import decode_blocks, to_pcm

RATE = 16_000
WINDOW = RATE * 30 // 1000  # samples; the detector knows windows of 10, 20 and 30 ms
STRICT = 3  # of the detector's 0 to 3: rather miss speech than take noise for it
CLIPPED = 0.999
VARIED_DB = 6.0  # speech rises and falls; a hum or a hiss does not


@dataclass(frozen=True)
class Sound:
    """Levels are in dB of full scale."""

    duration_s: float
    peak: float  # 0 to 1
    speech_s: float
    speech_db: float  # mean level of what is speech
    clipped_share: float  # of the samples


def listen(path: Path) -> Sound:
    """Hear a whole recording, in bounded memory."""
    detector = webrtcvad.Vad(STRICT)
    count, clipped, peak = 0, 0, 0.0
    levels: list[float] = []
    rest = np.zeros(0, np.float32)
    for block in decode_blocks(path, RATE, "video"):
        count, peak = count + len(block), max(peak, float(np.abs(block).max(initial=0)))
        clipped += int((np.abs(block) >= CLIPPED).sum())
        rest = np.concatenate([rest, block])
        whole = len(rest) // WINDOW * WINDOW
        levels += _speech_levels(detector, rest[:whole])
        rest = rest[whole:]
    speech = np.array(levels)
    if len(speech) and np.percentile(speech, 90) - np.percentile(speech, 10) < VARIED_DB:
        speech = speech[:0]
    level = float(10 * np.log10(np.mean(10 ** (speech / 10)))) if len(speech) else -120.0
    return Sound(count / RATE, peak, len(speech) * WINDOW / RATE, level, clipped / max(1, count))


def _speech_levels(detector: webrtcvad.Vad, samples: Samples) -> list[float]:
    """The levels of those windows that sound like speech."""
    windows = samples.reshape(-1, WINDOW)
    return [
        10 * float(np.log10(np.mean(window**2) + 1e-12))
        for window in windows
        if detector.is_speech(to_pcm(window), RATE)
    ]
