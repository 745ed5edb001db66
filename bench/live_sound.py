"""Recordings as a benchmark's users speak them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.live_client import RATE, TICK
from services.common.audio import decode, to_pcm

QUIET_DB = -35.0
"""Speech ends with the last 20 ms that are louder than this, seen from its loudest."""
BREATH_DB = -25.0
"""It begins with the first 20 ms that are louder than this: what is quieter before them is a breath drawn to speak."""


def spoken(path: Path) -> np.ndarray:
    """A recording as int16 at 16 kHz, without the silence around its speech."""
    samples = np.frombuffer(to_pcm(decode(path, RATE)), "<i2")
    blocks = samples[: len(samples) // TICK * TICK].reshape(-1, TICK).astype(np.float64)
    level = np.sqrt((blocks**2).mean(axis=1))
    begin, end = (np.flatnonzero(level > level.max() * 10 ** (limit / 20)) for limit in (BREATH_DB, QUIET_DB))
    return samples[begin[0] * TICK : (end[-1] + 1) * TICK]
