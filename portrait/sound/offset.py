"""How far a recording's sound is from its picture: every clip differs, by up to a tenth of a second and more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats

REACH_MS = 240
STEP_MS = 10
"""One feature frame."""
FOLDS = 5
DIRECTIONS = 32
CONTEXT = (-4, 0, 4)
"""Feature frames around the picture's middle that the probe may see: narrow, or it could not tell lags apart."""
RIDGE = 0.3


CERTAIN = 0.2
"""Least best correlation that says anything about the lag."""


def at_frames(features: Floats, count: int, shift: int = 0) -> NDArray[np.intp]:
    """Feature indices (count,) at the middle of each 25 fps frame, `shift` features later; clipped to the clip."""
    return np.clip(4 * np.arange(count) + 2 + shift, 0, len(features) - 1)


def estimate(features: Floats, motion: Floats, usable: NDArray[np.bool_]) -> tuple[int, Floats]:
    """The lag in ms at which features (T at 100 Hz, F) best predict mouth motion (N at 25 fps, K), and all scores.

    Positive: the sound that belongs to a frame comes later in the file. Cross-validated ridge regression over a grid of
    lags; `usable` (N,) leaves frames out. Scores (49,) are mean correlations of the K motions. Source: the measurements
    behind docs/portrait.md; the argmax moves one to one with a planted shift.
    """
    lags = np.arange(-REACH_MS, REACH_MS + 1, STEP_MS)
    compact = _compact(features)
    inside = _inside(len(motion), len(features)) & usable
    scores = np.array([_score(compact, motion, inside, lag // STEP_MS) for lag in lags.tolist()], np.float32)
    smooth = np.convolve(np.pad(scores, 2, mode="edge"), np.array([1, 2, 3, 2, 1]) / 9, mode="valid")
    return int(lags[smooth.argmax()]), scores


def _compact(features: Floats) -> Floats:
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
    _, axes = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray(scaled @ axes[:, -DIRECTIONS:], np.float32)


def _inside(count: int, length: int) -> NDArray[np.bool_]:
    """Frames whose features exist at every lag, so that all lags are judged on the same frames."""
    reach = REACH_MS // STEP_MS + max(CONTEXT)
    middle = 4 * np.arange(count) + 2
    return (middle >= reach) & (middle < length - reach)


def _score(compact: Floats, motion: Floats, inside: NDArray[np.bool_], shift: int) -> float:
    index = at_frames(compact, len(motion), shift)
    rows = np.flatnonzero(inside)
    design = np.concatenate([compact[np.clip(index + c, 0, len(compact) - 1)] for c in CONTEXT], axis=1)[rows]
    target = motion[rows] - motion[rows].mean(axis=0)
    design = (design - design.mean(axis=0)) / (design.std(axis=0) + 1e-6)
    predicted = np.zeros_like(target)
    for held in np.array_split(np.arange(len(rows)), FOLDS):
        kept = np.setdiff1d(np.arange(len(rows)), held)
        gram = design[kept].T @ design[kept] + RIDGE * len(kept) * np.eye(design.shape[1], dtype=np.float32)
        predicted[held] = design[held] @ np.linalg.solve(gram, design[kept].T @ target[kept])
    spread = predicted.std(axis=0) * target.std(axis=0) + 1e-9
    return float(np.mean((predicted * target).mean(axis=0) / spread))
