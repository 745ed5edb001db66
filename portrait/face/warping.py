"""Pictures bent smoothly: given points move, others stay, and the skin between them follows.

A `Field` meets its points exactly, however far they move, but must be turned round for every picture. A `Pull` meets
them nearly, which does for short ways of points that are not quite sure, and says at once where pixels come from.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from portrait.arrays import Affine, Doubles, Floats, Frame
from portrait.tracking.geometry import Canon, carried, reach, shifted

ROUNDS = 6
"""Fixed-point steps that turn a field round; it changes by less than half a pixel per pixel."""
STIFFNESS = 0.05
"""Ridge: how little landmarks are believed to the pixel."""
CELLS = 20
"""The warp is worked out at so many places along each side; between them it is linear."""


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
    back: Floats = -forth
    for _ in range(ROUNDS):
        at_x, at_y = x + back[..., 0] / step, y + back[..., 1] / step
        back = -np.asarray(cv2.remap(forth, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    return back


class Pull:
    """Gaussian radial basis functions around fixed points, worked out once (Ruprecht and Müller 1995)."""

    def __init__(self, points: Floats, canon: Canon, sigma: float) -> None:
        """`points` (N, 2) and `sigma`, of each Gaussian, in inter-ocular distances."""
        self._side, self._iod = canon.side, np.float32(canon.iod)
        middles = (np.arange(CELLS) + 0.5) * canon.side / CELLS - 0.5
        cells = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        edge = np.linspace(0, canon.side, 7)
        border = np.array([(x, y) for a in edge for b in (0, canon.side) for x, y in ((a, b), (b, a))])
        anchors, sigma = np.concatenate([points * canon.iod, border]), sigma * canon.iod
        between = _bump(anchors, anchors, sigma) + STIFFNESS * np.eye(len(anchors))
        weights = _bump(cells, anchors, sigma) @ np.linalg.inv(between)
        self._weights = weights[:, : len(points)].astype(np.float32)

    def field(self, offsets: Floats) -> Floats:
        """Where each cell is taken from, in pixels relative to itself (CELLS, CELLS, 2), when points move by -offsets.

        Offsets (N, 2) lead from where the points shall be to where they are, in inter-ocular distances.
        """
        return (self._weights @ (offsets * self._iod)).reshape(CELLS, CELLS, 2)


def _bump(a: Doubles, b: Doubles, sigma: float) -> Doubles:
    return np.asarray(np.exp(-np.square(a[:, None] - b[None]).sum(axis=-1) / (2 * sigma**2)), np.float64)


def warped(crop: Frame, field: Floats) -> Frame:
    """A crop (side, side, 3) sampled where the field (CELLS, CELLS, 2) says."""
    places = cv2.add(_places(len(crop)), spread(field, len(crop)))
    border = cv2.BORDER_REPLICATE
    made = cv2.remap(crop, places, None, cv2.INTER_CUBIC, borderMode=border)  # type: ignore[call-overload]  # no 2nd map
    return np.asarray(made, np.uint8)


def spread(field: Floats, side: int) -> Floats:
    """A field's cells at every pixel."""
    return np.asarray(cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


@cache
def _places(side: int) -> Floats:
    """(side, side, 2) each pixel's own place."""
    return np.dstack(np.meshgrid(*2 * [np.arange(side, dtype=np.float32)]))


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


def _moved(picture: Frame, field: Floats, local: Affine, step: int, box: tuple[int, int, int, int]) -> Frame:
    x0, y0, x1, y1 = box
    size = (x1 - x0, y1 - y0)
    back = np.linalg.inv(local[:, :2]).astype(np.float32)
    moved = carried(field @ back.T, local / step, size)
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    return np.asarray(
        cv2.remap(picture, x + moved[..., 0], y + moved[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
