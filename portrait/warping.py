"""Pictures bent smoothly: given points move, others stay, and the skin between them follows.

Lips and eyelids are slits: the skin above and the skin below one follow fields of their own, and between the two edges
something else shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator, RBFInterpolator

from portrait.geometry import Floats, reach
from portrait.video import Frame

ROUNDS = 6
"""Fixed-point steps that turn a field round; it changes by less than half a pixel per pixel."""
WEDGE = 0.6
"""How fast, beyond a slit's ends, the two fields fade into each other: pixels of width per pixel of distance."""


class Field:
    """A displacement of a (side, side) crop, linear in the moves of its points (thin-plate spline, Duchon 1977)."""

    def __init__(self, moving: Floats, still: Floats, side: int, step: int) -> None:
        """Points (M, 2) that will be moved and (S, 2) that never are, in crop pixels; knots lie `step` pixels apart."""
        self._step = step
        self._count = side // step + 2
        knots = np.stack(np.meshgrid(*[np.arange(self._count) * step] * 2), axis=-1).reshape(-1, 2)
        points = np.concatenate([moving, still]) / side
        unit = np.eye(len(points))[:, : len(moving)]
        spline = RBFInterpolator(points, unit, kernel="thin_plate_spline", smoothing=1e-6)
        self._basis = spline(knots / side).astype(np.float32)

    def inverse(self, moves: Floats) -> Floats:
        """(knots, knots, 2): what to add to a place after points moved by `moves` (M, 2) to find where it came from."""
        forth = (self._basis @ moves.astype(np.float32)).reshape(self._count, self._count, 2)
        return turned(forth, self._step)


def turned(forth: Floats, step: int) -> Floats:
    """The inverse displacement of a field given at knots `step` pixels apart."""
    rows, columns = forth.shape[:2]
    x, y = (each.astype(np.float32) for each in np.meshgrid(np.arange(columns), np.arange(rows)))
    back = -forth
    for _ in range(ROUNDS):
        at = back / step
        back = -cv2.remap(forth, x + at[..., 0], y + at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return back


@dataclass(frozen=True)
class Slit:
    """Two edges (K, 2) in crop pixels from left to right, sharing their ends, as functions of x."""

    upper: Floats
    lower: Floats

    def heights(self, side: int) -> tuple[Floats, Floats]:
        """The y of upper and lower edge at every column (side,), smooth; beyond the ends they are one."""
        x = np.arange(side)
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
    return np.clip((np.arange(side, dtype=np.float32)[:, None] - (upper + lower) / 2) / soft + 0.5, 0, 1)


def between(upper: Floats, lower: Floats, y: Floats) -> Floats:
    """(h, w) 1 between edges at heights (w,) in rows y (h, 1), 0 outside, anti-aliased."""
    return np.clip(y - upper + 0.5, 0, 1) * np.clip(lower - y + 0.5, 0, 1) * np.clip(lower - upper, 0, 1)


def bend(picture: Frame, matrix: Floats, fields: tuple[Floats, Floats], step: int, under: Floats) -> Frame:
    """The picture with skin moved by inverse fields above and below a slit; resampled only once, and only where moved.

    `matrix` (2, 3) leads from the picture into the crop; `under` is `below` of the slit as it is to be.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = reach(matrix, under.shape, width, height)
    result = picture.copy()
    if x1 <= x0 or y1 <= y0:
        return result
    local = shifted(matrix, x0, y0)
    weight = carried(under, local, (x1 - x0, y1 - y0), cv2.BORDER_REPLICATE)
    split, end = _rows(weight)
    above = _moved(picture, fields[0], local, step, (x0, y0, x1, y0 + end))
    beneath = _moved(picture, fields[1], shifted(local, 0, split), step, (x0, y0 + split, x1, y1))
    result[y0 : y0 + split, x0:x1], result[y0 + end : y1, x0:x1] = above[:split], beneath[end - split :]
    if end > split:
        share = np.ascontiguousarray(weight[split:end])
        both = np.ascontiguousarray(beneath[: end - split]), np.ascontiguousarray(above[split:])
        result[y0 + split : y0 + end, x0:x1] = cv2.blendLinear(*both, share, 1 - share)
    return result


def _rows(weight: Floats) -> tuple[int, int]:
    """The first row that has anything from below the slit, and the row after the last that has anything from above."""
    low, high = weight.max(axis=1) > 0, weight.min(axis=1) < 1
    split = int(np.argmax(low)) if low.any() else len(weight)
    end = len(weight) - int(np.argmax(high[::-1])) if high.any() else 0
    return min(split, max(end, 0)), max(split, end)


def shifted(matrix: Floats, x: int, y: int) -> Floats:
    """The matrix for pixels counted from (x, y)."""
    local = matrix.astype(np.float64).copy()
    local[:, 2] += local[:, :2] @ np.array([x, y], np.float64)
    return local


def carried(values: Floats, local: Floats, size: tuple[int, int], border: int = cv2.BORDER_CONSTANT) -> Floats:
    """Values of the crop at the pixels of a frame's box of `size` (width, height)."""
    return cv2.warpAffine(values, local, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)


def _moved(picture: Frame, field: Floats, local: Floats, step: int, box: tuple[int, int, int, int]) -> Frame:
    x0, y0, x1, y1 = box
    size = (x1 - x0, y1 - y0)
    back = np.linalg.inv(local[:, :2]).astype(np.float32)
    moved = carried(field @ back.T, local / step, size)
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    return cv2.remap(picture, x + moved[..., 0], y + moved[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
