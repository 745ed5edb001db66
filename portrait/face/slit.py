"""Lips are a slit: skin above and below moves on its own, and between the edges something else shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from portrait.arrays import Floats

WEDGE = 0.6
"""How fast, beyond a slit's ends, the two fields fade into each other: pixels of width per pixel of distance."""


@dataclass(frozen=True)
class Slit:
    """Two edges (K, 2) in crop pixels from left to right, sharing their ends, as functions of x."""

    upper: Floats
    lower: Floats

    def heights(self, side: int) -> tuple[Floats, Floats]:
        """The y of upper and lower edge at every column (side,), smooth; beyond the ends they are one."""
        x = np.arange(side, dtype=np.float32)
        upper, lower = (_curve(edge, x) for edge in (self.upper, self.lower))
        middle = (upper + lower) / 2
        apart = lower > upper
        return np.where(apart, upper, middle), np.where(apart, lower, middle)


def _curve(edge: Floats, x: Floats) -> Floats:
    along = np.maximum.accumulate(edge[:, 0]) + 1e-3 * np.arange(len(edge))
    inside = np.clip(x, along[0], along[-1])
    return PchipInterpolator(along, edge[:, 1])(inside).astype(np.float32)


def below(slit: Slit, side: int) -> Floats:
    """(side, side) 0 above the slit, 1 under it; sharp between its ends and softer the farther away."""
    upper, lower = slit.heights(side)
    x = np.arange(side)
    beyond = np.maximum(np.maximum(slit.upper[0, 0] - x, x - slit.upper[-1, 0]), 0)
    soft = (1.2 + WEDGE * beyond).astype(np.float32)
    return np.asarray(
        np.clip((np.arange(side, dtype=np.float32)[:, None] - (upper + lower) / 2) / soft + 0.5, 0, 1), np.float32
    )


def between(upper: Floats, lower: Floats, y: Floats) -> Floats:
    """(h, w) 1 between edges at heights (w,) in rows y (h, 1), 0 outside, anti-aliased."""
    return np.asarray(
        np.clip(y - upper + 0.5, 0, 1) * np.clip(lower - y + 0.5, 0, 1) * np.clip(lower - upper, 0, 1), np.float32
    )
