"""The canonical crop: every frame's lower face moved to one place, size and rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from portrait.arrays import Affine, Floats, Frame
from portrait.tracking.faces import CHIN, INNER_LIP, JAW, OUTER_LIP, STABLE, interocular

MOUTH_POINTS = OUTER_LIP + INNER_LIP + JAW
LIP_COUNT = len(OUTER_LIP) + len(INNER_LIP)
_MOVING = [*range(LIP_COUNT), *(LIP_COUNT + JAW.index(point) for point in CHIN)]
CROP_IODS = 1.67
"""Side of the crop in inter-ocular distances: lips and chin with what surrounds them."""
MAX_CROP = 160
BELOW = 0.3
"""Room under the lowest chin, in inter-ocular distances: there the neck must follow when the jaw closes."""
MASK_MARGIN = 0.13
FEATHER = 0.06

N = TypeVar("N", np.float32, np.uint8)


@dataclass(frozen=True)
class Canon:
    """The canonical frame of one person: where the stable points lie in a square crop, and what is generated."""

    template: Floats
    """(8, 2) stable points in crop pixels."""
    iod: float
    """Inter-ocular distance in crop pixels."""
    side: int
    """Width and height of the crop, a multiple of 16."""
    mask: NDArray[np.uint8]
    """(side, side) 255 where pixels are generated; it never depends on the current mouth."""

    @property
    def feather(self) -> Floats:
        """(side, side) blending weight, 0 outside the mask, rising inside it only."""
        radius = max(1.0, FEATHER * self.iod)
        distance = cv2.distanceTransform(self.mask, cv2.DIST_L2, 5)
        ramp = np.clip(distance / (2 * radius), 0, 1)
        return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def similarities(points: Floats, template: Floats) -> Floats:
    """Least-squares 2-D similarities (T, 2, 3) that move points (T, N, 2) onto template (N, 2) (Umeyama 1991)."""
    source, target = points[..., :2].astype(np.float64), template.astype(np.float64)
    source_mean, target_mean = source.mean(axis=1, keepdims=True), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    norm = (a**2).sum(axis=(1, 2)) + 1e-9
    cos = (a * b).sum(axis=(1, 2)) / norm
    sin = (a[..., 0] * b[:, 1] - a[..., 1] * b[:, 0]).sum(axis=1) / norm
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    shift = target_mean - np.einsum("tij,tj->ti", rotation, source_mean[:, 0])
    return np.concatenate([rotation, shift[..., None]], axis=2).astype(np.float32)


def move(points: Floats, matrices: Floats) -> Floats:
    """Apply (T, 2, 3) similarities to (T, N, ≥2) points."""
    return np.asarray(
        np.einsum("tij,tnj->tni", matrices[:, :, :2], points[..., :2]) + matrices[:, None, :, 2], np.float32
    )


def steady(points: Floats, segments: list[tuple[int, int]], sigma: float = 1.0) -> Floats:
    """Smooth (T, …) tracks over time inside each segment, never across a cut."""
    smooth = points.astype(np.float32).copy()
    for start, end in segments:
        smooth[start:end] = gaussian_filter1d(points[start:end], sigma, axis=0, mode="nearest")
    return smooth


def make_canon(points: Floats, segments: list[tuple[int, int]]) -> tuple[Canon, Floats]:
    """Find a person's canonical frame from mesh points (T, 478, 3); returns it with the frames' (T, 2, 3) matrices."""
    stable = steady(points[:, list(STABLE), :2], segments)
    iod = float(np.median(interocular(points)))
    scale = min(1.0, MAX_CROP / (CROP_IODS * iod))
    template = _mean_shape(stable) * scale
    matrices = similarities(stable, template)
    mouths = move(points[:, list(MOUTH_POINTS)], matrices)
    side = int(np.clip(np.ceil(CROP_IODS * iod * scale / 16 - 1e-3) * 16, 32, MAX_CROP))
    low, high = np.percentile(mouths[:, _MOVING].reshape(-1, 2), [0.5, 99.5], axis=0)
    corner = np.array([(low[0] + high[0]) / 2 - side / 2, high[1] + BELOW * iod * scale - side])
    template = (template - corner).astype(np.float32)
    matrices = similarities(stable, template)
    mask = _mask(move(points[:, list(MOUTH_POINTS)], matrices), side, iod * scale)
    return Canon(template, iod * scale, side, mask), matrices


def _mean_shape(stable: Floats) -> Floats:
    """Procrustes mean of (T, N, 2) at their median scale, upright."""
    mean = np.median(stable, axis=0)
    for _ in range(3):
        mean = move(stable, similarities(stable, mean)).mean(axis=0)
    return mean


def _mask(mouths: Floats, side: int, iod: float) -> NDArray[np.uint8]:
    """Hull of where lips and chin usually are, grown by MASK_MARGIN: no jaw sides, behind which collars move."""
    low, high = np.percentile(mouths[:, _MOVING], [2, 98], axis=0)
    corners = np.concatenate([low, high, np.stack([low[:, 0], high[:, 1]], 1), np.stack([high[:, 0], low[:, 1]], 1)])
    hull = cv2.convexHull(corners.round().astype(np.int32))
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, hull, 255)
    reach = max(1, round(MASK_MARGIN * iod))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = np.asarray(cv2.dilate(mask, around), np.uint8)
    grown[:2], grown[-2:], grown[:, :2], grown[:, -2:] = 0, 0, 0, 0
    return grown


def cut_out(picture: Frame, matrix: Floats, side: int) -> Frame:
    """The canonical crop (side, side, 3) of a frame."""
    return np.asarray(
        cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def paste(picture: Frame, crop: Frame, weight: Floats, matrix: Floats) -> Frame:
    """A copy of the frame with the crop blended in; pixels where `weight` is 0 stay exactly as they are."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = reach(matrix, crop.shape[:2], width, height)
    result = picture.copy()
    if x1 <= x0 or y1 <= y0:
        return result
    local, size = shifted(matrix, x0, y0), (x1 - x0, y1 - y0)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    placed = cv2.warpAffine(crop, local, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = carried(weight, local, size)
    region = result[y0:y1, x0:x1]
    region[:] = cv2.blendLinear(placed, np.ascontiguousarray(region), alpha, 1 - alpha)
    return result


def reach(matrix: Affine, crop: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the frame's box that a crop of (height, width) covers, inside the frame."""
    inverse = cv2.invertAffineTransform(matrix.astype(np.float64))
    corners = np.array([[x, y, 1] for y in (0, crop[0]) for x in (0, crop[1])], np.float64) @ inverse.T
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    return max(0, low[0]), max(0, low[1]), min(width, high[0]), min(height, high[1])


def shifted(matrix: Affine, x: int, y: int) -> Affine:
    """The matrix for pixels counted from (x, y)."""
    local = matrix.astype(np.float64).copy()
    local[:, 2] += local[:, :2] @ np.array([x, y], np.float64)
    return local


def carried(values: NDArray[N], local: Affine, size: tuple[int, int], border: int = cv2.BORDER_CONSTANT) -> NDArray[N]:
    """Values of the crop at the pixels of a frame's box of `size` (width, height)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(values, local, size, flags=flags, borderMode=border), values.dtype)
