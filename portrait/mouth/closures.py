"""When the lips are shut because who speaks says so, frame by frame."""

from __future__ import annotations

from collections import deque

import numpy as np

from portrait.arrays import Floats
from portrait.media.video import FRAME_RATE

WAY = 0.5
"""Frames during which lips are on their way before they are shut, and after: a mouth does not snap."""


class Closures:
    """Stretches of shut lips, told in order of time, of which those that are over are forgotten."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque()
        """First and last instant, in frames."""

    def add(self, start_s: float, end_s: float) -> None:
        """The lips are shut between two seconds of the utterance; ValueError if the second is not after the first."""
        if not start_s < end_s:
            raise ValueError(f"a closure from {start_s} to {end_s} s has no length")
        self._spans.append((start_s * FRAME_RATE, end_s * FRAME_RATE))

    def over(self, first: int, count: int) -> Floats:
        """How far the lips are shut in each of `count` frames from `first` on, 0 to 1; those before are asked no more.

        A closure is often shorter than a frame. The frame that shows its middle shows shut lips whatever is left of
        its time, the others as much as the closure, with the way there and back, covers of them.
        """
        while self._spans and self._spans[0][1] + WAY <= first:
            self._spans.popleft()
        shut, frames = np.zeros(count), np.arange(first, first + count)
        for start, end in self._spans:
            if start - WAY >= first + count:
                break
            covered = np.minimum(end + WAY, frames + 1) - np.maximum(start - WAY, frames)
            covered[frames == (start + end) // 2] = 1
            shut = np.maximum(shut, covered)
        return np.asarray(shut, np.float32)
