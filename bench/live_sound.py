"""Recordings as a benchmark's users speak them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.live_client import RATE, TICK
from services.common.audio import decode, to_pcm

QUIET_DB = -35.0
"""Speech ends with the last 20 ms that are louder than this, seen from its loudest."""


def spoken(path: Path) -> np.ndarray:
    """A recording as int16 at 16 kHz, without the silence around its speech."""
    samples = np.frombuffer(to_pcm(decode(path, RATE)), "<i2")
    blocks = samples[: len(samples) // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    level = np.sqrt((blocks**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (QUIET_DB / 20))
    return samples[loud[0] * TICK : (loud[-1] + 1) * TICK]
