"""Repeated frames: footage converted to a higher rate shows every n-th frame twice, and lips seem to stutter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.media.decoding import Still

PERIODS = (4, 5, 6)
"""One repeat in so many frames: 18 → 24, 24 → 30 (and 23.976 → 29.97), 25 → 30 frames a second."""
BLOCK = 10
"""Periods judged together: a cut may move the repeats to another place."""
SAME = 0.3
"""Most change from a frame to its copy, in typical changes."""
LEAST_SHARE = 0.7
"""Share of the blocks that must show the pattern."""
LEAST_CHANGE = 0.02
"""Grey levels; a picture that stands still repeats every frame."""


@dataclass(frozen=True)
class Cadence:
    """Which frames are copies: in block b, those whose index is `phases[b]` modulo `period`."""

    period: int
    phases: tuple[int, ...]
    fps: float
    """Of the file, copies included."""

    def retimed(self, decoded: Iterator[tuple[float, Still]]) -> Iterator[tuple[float, Still]]:
        """Leave the copies out and spread the others of each period evenly, as they were filmed."""
        for index, (_, still) in enumerate(decoded):
            cycle, place = divmod(index, self.period)
            copy = self.phases[min(cycle // BLOCK, len(self.phases) - 1)]
            if place != copy:
                place = place - (place > copy)
                yield (cycle + place / (self.period - 1)) * self.period / self.fps, still


def find(changes: NDArray[np.float32], seconds: NDArray[np.float64]) -> Cadence | None:
    """The pattern of copies, if there is one.

    `changes` (T,) is the mean change of each frame's thumbnail since the frame before (the first is 0), `seconds` (T,)
    when they are shown; only regularly timed footage is looked at.
    """
    gaps = np.diff(seconds)
    if len(gaps) < 2 * BLOCK * max(PERIODS) or np.mean(np.abs(gaps - np.median(gaps)) < 2e-3) < 0.98:
        return None
    fps = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
    for period in PERIODS:
        phases = [_phase(block, period) for block in _blocks(changes, period)]
        known = [phase for phase in phases if phase is not None]
        if len(known) >= LEAST_SHARE * len(phases):
            return Cadence(period, tuple(_filled(phases)), fps)
    return None


def _blocks(changes: NDArray[np.float32], period: int) -> Iterator[NDArray[np.float32]]:
    size = period * BLOCK
    for start in range(0, len(changes) - size + 1, size):
        yield changes[start : start + size].reshape(BLOCK, period)


def _phase(block: NDArray[np.float32], period: int) -> int | None:
    """The place at which frames hardly change, if there is exactly one."""
    typical = np.median(block, axis=0)
    order = np.argsort(typical)
    least, next_least = typical[order[0]], typical[order[1]]
    return int(order[0]) if next_least > LEAST_CHANGE and least < SAME * next_least else None


def _filled(phases: list[int | None]) -> Iterator[int]:
    last = next(phase for phase in phases if phase is not None)
    for phase in phases:
        last = last if phase is None else phase
        yield last
