"""What a mouth does at each phone, learned from many speakers: lips for a face that was never seen speaking.

The table has one row for each of the 42 phones. Posteriors are read a little ahead of the picture, because lips move
before they are heard, and smoothed, because lips are slow. `bench/visemes.py` fits the table on GRID (CC BY 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from portrait.arrays import Floats
from portrait.mouth.motion import FUTURE, PAST
from portrait.mouth.shape import Shape
from portrait.sound.audio import BILABIALS, POSTERIOR, SILENCE

TABLE = Path(__file__).with_name("visemes.safetensors")
LEAD = 4
"""Feature frames (10 ms) that posteriors are read ahead of the picture."""
SIGMA = 4.0
"""Feature frames of Gaussian smoothing."""
REACH = 12
GAIN = 1.15
"""Least squares under-opens the mouth; this restores the spread."""
CERTAIN, SURE = 0.35, 0.7
"""Posterior of a bilabial from which the lips close, and at which they are shut."""

State = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Table:
    """The table and the directions it speaks of."""

    rows: Floats
    """(42, K) coefficients of each phone."""
    shape: Shape
    """K directions in inter-ocular distances, of mean zero."""


@cache
def table() -> Table:
    """The table that ships."""
    arrays = load_file(TABLE)
    size = len(arrays["deviation"])
    mean = np.zeros(arrays["components"].shape[1], np.float32)
    return Table(arrays["rows"][:, :size], Shape(mean, arrays["components"], arrays["deviation"]))


def smoothed(posteriors: Floats) -> Floats:
    """Posteriors (T, 42) averaged over time with a Gaussian; the first and last REACH rows are left out."""
    steps = np.arange(-REACH, REACH + 1)
    weights = np.exp(-0.5 * (steps / SIGMA) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(posteriors, len(steps), axis=0)
    return np.asarray(windows @ weights, np.float32)


class Visemes:
    """Features to coefficients by the table, silence being zero; takes the place of a trained `Motion`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows = (state["rows"] - state["rows"][SILENCE]) * state["gain"]

    @classmethod
    def of(cls, made: Table, gain: float = GAIN) -> Visemes:
        """A table's own lips."""
        return cls({
            "rows": made.rows, "gain": np.array([gain], np.float32), "aperture": made.shape.aperture,
        })  # fmt: skip

    @property
    def state(self) -> State:
        """Everything needed, as arrays for a safetensors file."""
        return self._state

    def coefficients(self, windowed: Floats, told: Floats | None = None) -> Floats:
        """Coefficients (N, K) from `motion.window(…)` features (4 N + 69, 248), and how far lips are told shut."""
        count = (len(windowed) - PAST - FUTURE + 4) // 4
        heard = smoothed(windowed[:, POSTERIOR])
        middle = PAST + 2 + LEAD - REACH + 4 * np.arange(count)
        will = _shutting(windowed, count) if told is None else np.maximum(_shutting(windowed, count), told)
        return self._close(heard[middle] @ self._rows, will).astype(np.float32)

    def _close(self, coefficients: Floats, will: Floats) -> Floats:
        """Shut the lips on b, m and p, told or heard; lips that would pass through each other just touch."""
        opening = self._state["aperture"]
        gap = coefficients @ opening
        excess = np.where(gap > 0, gap * will, gap)
        return coefficients - excess[:, None] * opening / (opening @ opening + 1e-9)


def _shutting(windowed: Floats, count: int) -> Floats:
    """How surely a bilabial is heard in each frame (N,), 0 to 1."""
    heard = windowed[:, POSTERIOR][:, sorted(BILABIALS)].sum(axis=1)
    peak = heard[PAST + LEAD : PAST + LEAD + 4 * count].reshape(count, 4).max(axis=1)
    return np.asarray(np.clip((peak - CERTAIN) / (SURE - CERTAIN), 0, 1), np.float32)
