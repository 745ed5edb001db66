"""Mouth and jaw as a few numbers: pose explains the slow part, twelve principal components the articulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats
from portrait.tracking.faces import INNER_LIP, OUTER_LIP, UPPER_FACE
from portrait.tracking.geometry import LIP_COUNT, MOUTH_POINTS, Canon, move, steady

COMPONENTS = 12
POSE_SIGMA, SHIFT_SIGMA = 4.0, 1.0
"""Frames of low-pass on the pose features: mesh pose carries the mouth's state if it is not slowed (r ≈ .4). Where the
mouth as a whole lies follows the head at once."""
RIDGE = 0.1


@dataclass(frozen=True)
class Shape:
    """A person's mouth model. Shapes are (57, 2) in inter-ocular distances within the canonical crop."""

    mean: Floats
    """(114,) what remains after the pose base, on average."""
    components: Floats
    """(12, 114) principal directions."""
    deviation: Floats
    """(12,) their standard deviations; coefficients are in these units."""

    def project(self, mouths: Floats, base: Floats) -> Floats:
        """Coefficients (T, 12) of mouths (T, 57, 2) over their pose base."""
        flat = (mouths - base).reshape(len(mouths), -1) - self.mean
        return np.asarray((flat @ self.components.T) / self.deviation, np.float32)

    def expand(self, coefficients: Floats, base: Floats) -> Floats:
        """Mouths (T, 57, 2) from coefficients (T, 12) and pose base (T, 57, 2)."""
        flat = (coefficients * self.deviation) @ self.components + self.mean
        return np.asarray(base + flat.reshape(len(coefficients), -1, 2), np.float32)

    def overdrawn(self, coefficients: Floats, rest: Floats, gain: float) -> Floats:
        """Coefficients (T, 12) with the lips `gain` times as far open as at `rest` (12,); shut lips stay shut."""
        opening = self.aperture
        gap = np.maximum((coefficients - rest) @ opening, 0)
        return coefficients + (gain - 1) * gap[:, None] * opening / (opening @ opening + 1e-9)

    @property
    def aperture(self) -> Floats:
        """(12,) how much one unit of each coefficient opens the inner lips, in inter-ocular distances."""
        directions = self.components.reshape(len(self.components), -1, 2) * self.deviation[:, None, None]
        return inner_gap(directions)


def inner_gap(mouths: Floats) -> Floats:
    """Mean signed vertical gap between the inner lips at three places, in the mouths' units: (…, 57, 2) → (…)."""
    lower, upper = ([len(OUTER_LIP) + INNER_LIP.index(p) for p in row] for row in ((14, 87, 317), (13, 82, 312)))
    return np.asarray((mouths[..., lower, 1] - mouths[..., upper, 1]).mean(axis=-1), np.float32)


def mouths_of(points: Floats, matrices: Floats, canon: Canon) -> Floats:
    """Mouth shapes (T, 57, 2) in inter-ocular distances from mesh points (T, 478, 3)."""
    return move(points[:, list(MOUTH_POINTS)], matrices) / canon.iod


def pose_base(
    points: Floats, matrices: Floats, canon: Canon, segments: list[tuple[int, int]], training: NDArray[np.bool_]
) -> Floats:
    """The part of the mouth's shape (T, 57, 2) that slow head pose explains, and where quick pose puts the whole of it.

    Fitted on the `training` frames (T,).
    """
    mouths = mouths_of(points, matrices, canon).reshape(len(points), -1)
    upper = move(points[:, list(UPPER_FACE)], matrices).reshape(len(points), -1) / canon.iod
    centre, frames = upper[training].mean(axis=0), int(training.sum())
    count = 12 if frames > 1000 else 6 if frames > 400 else 3 if frames > 200 else 1
    axes = np.linalg.svd(upper[training] - centre, full_matrices=False)[2][:count]
    features = np.concatenate([(upper - centre) @ axes.T, _turns(points)], axis=1)
    slow, quick = (
        _explained(steady(features, segments, sigma), mouths, training).reshape(len(points), -1, 2)
        for sigma in (POSE_SIGMA, SHIFT_SIGMA)
    )
    base = slow + (quick - slow).mean(axis=1, keepdims=True)
    return _unspoken(base.astype(np.float32), mouths[training].reshape(frames, -1, 2))


def _explained(features: Floats, mouths: Floats, training: NDArray[np.bool_]) -> Floats:
    """What pose features (T, K) and the squares of the three turns tell of mouths (T, 114), by ridge regression."""
    scale = features[training].std(axis=0) + 1e-6
    features = np.clip((features - features[training].mean(axis=0)) / scale, -4, 4)
    design = np.concatenate([features, features[:, -3:] ** 2, np.ones((len(features), 1))], axis=1)
    known = design[training]
    gram = known.T @ known + RIDGE * len(known) * np.diag([1.0] * (design.shape[1] - 1) + [0.0])
    explained: Floats = design @ np.linalg.solve(gram, known.T @ mouths[training])
    return explained


def _unspoken(base: Floats, mouths: Floats) -> Floats:
    """The base without any opening of the lips: heads move with speech, and what they tell must come from the sound."""
    gaps, gap = inner_gap(base), inner_gap(mouths)
    centred = gap - gap.mean()
    opening = np.tensordot(centred, mouths - mouths.mean(axis=0), axes=1) / (centred @ centred + 1e-9)
    return np.asarray(base - (gaps - gap.mean())[:, None, None] * opening, np.float32)


def _turns(points: Floats) -> Floats:
    """Head rotation (T, 3) as a small-angle vector, from the upper face's mesh against its first frame (Kabsch)."""
    upper = points[:, list(UPPER_FACE)].astype(np.float64)
    upper = upper - upper.mean(axis=1, keepdims=True)
    upper /= np.sqrt((upper**2).sum(axis=(1, 2), keepdims=True)) + 1e-9
    u, _, vt = np.linalg.svd(np.einsum("tni,nj->tij", upper, upper[len(upper) // 2]))
    sign = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= sign[:, None]
    rotation = u @ vt
    skew = rotation - rotation.transpose(0, 2, 1)
    return np.asarray(np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1) / 2, np.float32)


def fit_shape(mouths: Floats, base: Floats) -> Shape:
    """Fit the twelve components on training mouths (T, 57, 2); the jaw counts half."""
    flat = (mouths - base).reshape(len(mouths), -1)
    mean = flat.mean(axis=0)
    weights = np.ones((mouths.shape[1], 2), np.float32)
    weights[LIP_COUNT:] = 0.5
    weight = weights.reshape(-1)
    axes = np.linalg.svd((flat - mean) * weight, full_matrices=False)[2][:COMPONENTS]
    components = (axes / weight).astype(np.float32)
    # Weighted axes are not orthonormal once unweighted: project by least squares, keep rows dual to each other.
    gram = components @ components.T
    values = (flat - mean) @ components.T @ np.linalg.inv(gram)
    order = _orthonormal(values, components)
    return Shape(mean.astype(np.float32), order, ((flat - mean) @ order.T).std(axis=0).astype(np.float32) + 1e-6)


def _orthonormal(values: Floats, components: Floats) -> Floats:
    """Principal orthonormal rows spanning `components`, ordered by the variance of `values @ components`."""
    axes = np.linalg.svd(values @ components, full_matrices=False)[2][: len(components)]
    return axes.astype(np.float32)
