"""Eyes of a photo that shut: the skin above and below stretched over the eye, the lashes carried along.

Landmarks know where an eye is, and miss its rim by a few pixels; whatever they miss would show white in a shut eye. So
the upper rim is looked for in the picture, as the dark line nearby, and the skin below is taken from some way off.
All of it goes up and down in a crop in which the eye lies level, so nothing can fold.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from portrait.arrays import Floats, Frame
from portrait.tracking.faces import interocular
from portrait.tracking.geometry import carried

UPPER = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
CROP_IODS = 1.1
BEYOND = 0.2
"""How far beyond the landmarks' corners an eye may reach, in its widths."""
RIM = (0.35, 0.08)
"""How far from the landmarks the rim may lie, in heights of the eye and in its widths."""
STEEP = 1
"""Rows by which the rim may rise or fall in a column."""
LASHES = 0.006
"""How much under the middle of that line goes with the lid, in inter-ocular distances."""
SPARE = (0.9, 0.05)
"""How far above and below the eye skin is stretched: shares of the way that a lid goes, and inter-ocular distances."""


@dataclass(frozen=True)
class _Eye:
    """Edges of an eye at every column of its crop (side,): rims, where the lids meet, and how far skin is stretched."""

    upper: Floats
    lower: Floats
    meet: Floats
    spare: float

    def at(self, amount: float) -> tuple[Floats, Floats]:
        """The lids' edges when they are shut by an amount, 0 to 1."""
        return self.upper + amount * (self.meet - self.upper), self.lower + amount * (self.meet - self.lower)


def shut(picture: Frame, points: Floats, amount: float) -> Frame:
    """The photo with both eyes shut by an amount, 0 to 1; `points` (478, 2) are its mesh points in pixels."""
    if not amount:
        return picture
    iod = float(interocular(points[None])[0])
    side = round(CROP_IODS * iod)
    for upper, lower in zip(UPPER, LOWER, strict=True):
        matrix = _crop(points[upper[0]], points[upper[-1]], side)
        high, low = (_moved(points[list(row)], matrix) for row in (upper, lower))
        crop = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        eye = _eye(np.asarray(crop, np.uint8), high, low, iod)
        picture = _drawn(picture, matrix, eye, amount)
    return picture


def _crop(left: Floats, right: Floats, side: int) -> Floats:
    """(2, 3) into a square about the eye in which its corners lie level."""
    along = (right - left) / np.linalg.norm(right - left)
    turn = np.array([[along[0], along[1]], [-along[1], along[0]]])
    middle = np.array([side / 2, 0.55 * side]) - turn @ ((left + right) / 2)
    return np.concatenate([turn, middle[:, None]], axis=1).astype(np.float32)


def _moved(points: Floats, matrix: Floats) -> Floats:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _eye(crop: Frame, upper: Floats, lower: Floats, iod: float) -> _Eye:
    """The edges of an eye whose landmarks lie at `upper` and `lower` (K, 2), from corner to corner."""
    columns = np.arange(len(crop), dtype=np.float32)
    high, low = (_curve(edge, columns) for edge in (upper, lower))
    left, width = upper[0, 0], upper[-1, 0] - upper[0, 0]
    along = (columns - left + BEYOND * width) / ((1 + 2 * BEYOND) * width)
    bulge = np.sqrt(np.clip(4 * along * (1 - along), 0, 1))
    margin = bulge * (RIM[0] * float((low - high).max()) + RIM[1] * width)
    inside = (along > 0) & (along < 1)
    rim = _rim(np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8), high, margin, inside, 0.01 * iod)
    rim = np.where(inside, np.minimum(rim + bulge * LASHES * iod, low), low)
    low = np.maximum(low, rim)
    way = float((low - rim).max())
    return _Eye(rim, low + margin, low, SPARE[0] * way + SPARE[1] * iod)


def _curve(edge: Floats, columns: Floats) -> Floats:
    """The height of an edge (K, 2) at columns; level beyond its ends."""
    along = np.maximum.accumulate(edge[:, 0]) + 1e-3 * np.arange(len(edge))
    return PchipInterpolator(along, edge[:, 1])(columns.clip(along[0], along[-1])).astype(np.float32)


def _rim(grey: Frame, high: Floats, margin: Floats, inside: NDArray[np.bool_], blur: float) -> Floats:
    """The darkest line that leads from one end to the other at most `margin` above `high` (the cheapest path)."""
    picked = np.flatnonzero(inside)
    darkness = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), max(blur, 0.5))
    rows = np.arange(len(grey), dtype=np.float32)[:, None]
    outside = (rows > high + 0.5) | (rows < high - margin - 0.5)
    cost = np.where(outside, np.float32(1e4), darkness)[:, picked]
    total, came = cost.copy(), np.zeros(cost.shape, np.int32)
    for column in range(1, len(picked)):
        padded = np.pad(total[:, column - 1], STEEP, constant_values=np.inf)
        before = np.stack([padded[step : step + len(grey)] for step in range(2 * STEEP + 1)])
        came[:, column] = before.argmin(axis=0) - STEEP
        total[:, column] += before.min(axis=0)
    path = [int(total[:, -1].argmin())]
    for column in range(len(picked) - 1, 0, -1):
        path.append(path[-1] + came[path[-1], column])
    result = high.copy()
    result[picked] = gaussian_filter1d(np.array(path[::-1], np.float32), 4 * blur, mode="nearest")
    return result


def _drawn(picture: Frame, matrix: Floats, eye: _Eye, amount: float) -> Frame:
    """The picture with the lids at an amount; what still shows of the eye stays where it is: lids move over it."""
    upper, lower = eye.at(amount)
    y = np.arange(len(eye.meet), dtype=np.float32)[:, None]
    above = _ease((y - eye.upper + eye.spare) / (upper - eye.upper + eye.spare)) * (eye.upper - upper)
    beneath = _ease((eye.lower + eye.spare - y) / (eye.lower + eye.spare - lower)) * (eye.lower - lower)
    under: Floats = np.clip(y - (upper + lower) / 2 + np.float32(0.5), 0, 1)
    gap = np.clip(y - upper + 0.5, 0, 1) * np.clip(lower - y + 0.5, 0, 1) * np.clip(lower - upper, 0, 1)
    lids = _mixed(_lifted(picture, matrix, beneath), _lifted(picture, matrix, above), under, matrix)
    return _mixed(picture, lids, gap, matrix)


def _lifted(picture: Frame, matrix: Floats, lift: Floats) -> Frame:
    """The picture with each place taken from `lift` (side, side) pixels further down in the crop."""
    size = picture.shape[1::-1]
    moved = carried(lift.astype(np.float32), matrix, size)
    x, y = np.meshgrid(*[np.arange(length, dtype=np.float32) for length in size])
    across, down = matrix[1, :2]  # the crop is turned and shifted, never scaled
    places = x + across * moved, y + down * moved
    return np.asarray(cv2.remap(picture, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _mixed(one: Frame, other: Frame, share: Floats, matrix: Floats) -> Frame:
    """`one` by its share (side, side) of the crop, `other` elsewhere."""
    weight = carried(share.astype(np.float32), matrix, one.shape[1::-1])
    return np.asarray(cv2.blendLinear(one, other, weight, 1 - weight), np.uint8)


def _ease(share: Floats) -> Floats:
    """0 to 1 without a kink at either end, so that lashes are carried rather than stretched."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
