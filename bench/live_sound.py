"""Recordings as a benchmark's users speak them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.live_client import RATE, TICK
from services.common.audio import decode, to_pcm

QUIET_DB = -35.0
"""Speech ends with the last 20 ms that are louder than this, seen from its loudest."""
BREATH_DB = -25.0
"""It begins with the first 20 ms that are louder than this: what is quieter before them is a breath drawn to speak."""

Samples = NDArray[np.floating]


def spoken(path: Path) -> np.ndarray:
    """A recording as int16 at 16 kHz, without the silence around its speech."""
    samples = np.frombuffer(to_pcm(decode(path, RATE)), "<i2")
    level = levels(samples)
    begin, end = (np.flatnonzero(level > level.max() * 10 ** (limit / 20)) for limit in (BREATH_DB, QUIET_DB))
    return samples[begin[0] * TICK : (end[-1] + 1) * TICK]


def levels(sound: np.ndarray) -> Samples:
    """Root mean square, tick by tick."""
    ticks = sound[: len(sound) // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    return np.asarray(np.sqrt((ticks**2).mean(axis=1)))


def loudness(sound: np.ndarray) -> float:
    """Root mean square of what is not a pause."""
    level = levels(sound)
    return float(np.sqrt((level[level > level.max() * 10 ** (QUIET_DB / 20)] ** 2).mean()))


def in_a_room(played: np.ndarray, delay_s: float, level: float) -> Samples:
    """What a microphone in a small room hears of it, so much later, and so loud."""
    chance, length = np.random.default_rng(0), RATE // 4
    room = 0.3 * chance.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    room[0] = 1.0
    heard = np.convolve(np.pad(played, (int(delay_s * RATE), 0)), room)
    return heard * level / loudness(heard)
