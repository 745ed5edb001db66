"""Speech as it comes, at the two rates that rendering needs."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


class Resampler:
    """Changes the rate of a stream of float32 mono samples, without delay and without seams between pieces."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rate, self._same = source_rate, source_rate == target_rate
        self._resampler = av.AudioResampler("flt", "mono", target_rate)
        self._count = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take some samples; returns those that became certain."""
        if self._same or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None], np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._count, Fraction(1, self._rate)
        self._count += len(samples)
        return _joined(self._resampler.resample(frame))

    def flush(self) -> np.ndarray:
        """The rest."""
        return np.zeros(0, np.float32) if self._same or not self._count else _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> np.ndarray:
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames] or [np.zeros(0, np.float32)])
