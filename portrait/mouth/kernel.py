"""Kernel ridge regression from what is heard around a frame to its mouth shape; trained in a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats
from portrait.mouth.hearing import PAST, Speech, State, frames_in

WINDOW, MEAN = range(-4, 5), 14
"""Looks at means over so many features, 20 ms apart around a frame's middle: single moments are too noisy for it."""
AXES = 144
MOST_FRAMES = 3000
RIDGE = 0.15
WIDTH = 0.7
"""Of the Gaussian, squared, in median squared distances."""


def fit_kernel(speech: Speech, coefficients: Floats, usable: NDArray[np.bool_]) -> State:
    """Fit coefficients (N, 12) of usable frames on compact speech; over MOST_FRAMES, evenly spread ones are kept."""
    rows = _rows(speech.windows(0, len(coefficients)))[: len(coefficients)]
    kept = np.flatnonzero(usable)
    kept = kept[:: max(1, -(-len(kept) // MOST_FRAMES))]
    rows, target = rows[kept], coefficients[kept]
    axes = np.linalg.eigh(rows.T @ rows / len(rows))[1][:, -AXES:].astype(np.float32)
    rows = rows @ axes
    sample = rows[:: max(1, len(rows) // 300)]
    width = WIDTH * float(np.median(((sample[:, None] - sample[None]) ** 2).sum(axis=2)))
    gram = _gaussian(rows, rows, width) + RIDGE * np.eye(len(rows), dtype=np.float32)
    weights = np.linalg.solve(gram, target).astype(np.float32)
    return {"kernel_axes": axes, "kernel_rows": rows, "kernel_weights": weights,
            "kernel_width": np.array([width], np.float32)}  # fmt: skip


def predict_kernel(state: State, windows: Floats) -> Floats:
    """Coefficients (B n, 12) from windows of compact features (B, 4 n + 69, 66 or more)."""
    rows = _rows(windows) @ state["kernel_axes"]
    return _gaussian(rows, state["kernel_rows"], state["kernel_width"][0]) @ state["kernel_weights"]


def _rows(windows: Floats) -> Floats:
    """(B n, 9 x 66): means of 140 ms, 20 ms apart, around each frame's middle."""
    sums = np.cumsum(windows, axis=1, dtype=np.float64)
    means = ((sums[:, MEAN:] - sums[:, :-MEAN]) / MEAN).astype(np.float32)
    middle = PAST + 1 - MEAN // 2 + 4 * np.arange(frames_in(windows))
    rows = np.concatenate([means[:, middle + 2 * step] for step in WINDOW], axis=2)
    return rows.reshape(-1, rows.shape[2])


def _gaussian(a: Floats, b: Floats, width: float) -> Floats:
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(np.exp(-np.maximum(square, 0) / (2 * width)), np.float32)
