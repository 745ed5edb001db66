"""How good a talking head is: pixels, structure, lips, sharpness and steadiness, each with a known answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Arrays, Floats, Frame
from portrait.media.video import FRAME_RATE
from portrait.tracking.faces import INNER_LIP, OUTER_LIP, STABLE, interocular
from portrait.tracking.geometry import move, similarities, steady

LIPS = OUTER_LIP + INNER_LIP
MOUTH_MARGIN = 0.15
"""Margin of the mouth box around the true lips, in inter-ocular distances."""
LAG_REACH = 6
"""Frames by which lips are shifted against each other: 240 ms."""
FACE_PIXELS = 96
"""Inter-ocular distance of the aligned faces that flicker is measured on."""
STILL = 0.05
"""Grey levels: skin that changes less from frame to frame is a still picture."""
Box = tuple[slice, slice]


def squared_error(true: Frame, made: Frame) -> float:
    """Mean squared error of two pictures in 0..255."""
    return float(np.mean((true.astype(np.float32) - made.astype(np.float32)) ** 2))


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB for 8-bit pictures; 100 for identical ones."""
    return 100.0 if mean_squared_error <= 255**2 * 1e-10 else 10 * math.log10(255**2 / mean_squared_error)


def ssim_map(true: Frame, made: Frame) -> Floats:
    """Structural similarity per pixel of the luma (H, W), Gaussian window of 1.5 px (Wang et al. 2004)."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (true, made))
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.asarray(
        ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)),
        np.float32,
    )


def _blur(x: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT), np.float32)


def detail(picture: Frame) -> float:
    """Variance of the luma's Laplacian: grows with sharpness."""
    return float(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def box_around(points: Floats, margin: float, size: tuple[int, int]) -> Box:
    """Rows and columns that hold points (N, 2) with a margin in pixels, inside (height, width)."""
    low = np.floor(points.min(axis=0) - margin).astype(int).clip(0)
    high = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    return slice(low[1], min(high[1], size[0])), slice(low[0], min(high[0], size[1]))


def aperture(points: Floats) -> Floats:
    """Mean inner-lip gap over inter-ocular distance (T,) from mesh points (T, 478, ≥2)."""
    gaps = points[:, [14, 87, 317], :2] - points[:, [13, 82, 312], :2]
    return np.asarray(np.linalg.norm(gaps, axis=-1).mean(axis=1) / interocular(points), np.float32)


def mouth_width(points: Floats) -> Floats:
    """Distance between the corners of the lips over inter-ocular distance (T,) from mesh points (T, 478, ≥2)."""
    return np.asarray(np.linalg.norm(points[:, 291, :2] - points[:, 61, :2], axis=-1) / interocular(points), np.float32)


def landmark_distances(true: Floats, made: Floats) -> Floats:
    """Lip landmark distance of each frame (T,) over inter-ocular distance."""
    a, b = true[:, list(LIPS), :2], made[:, list(LIPS), :2]
    return np.asarray(np.linalg.norm(a - b, axis=-1).mean(axis=1) / interocular(true), np.float32)


def landmark_distance(true: Floats, made: Floats) -> tuple[float, float, float]:
    """Mean lip landmark distance in pixels, over inter-ocular distance, and the latter with lip centres aligned."""
    a, b = true[:, list(LIPS), :2], made[:, list(LIPS), :2]
    iod = interocular(true)[:, None]
    raw = np.linalg.norm(a - b, axis=-1)
    centred = np.linalg.norm((a - a.mean(axis=1, keepdims=True)) - (b - b.mean(axis=1, keepdims=True)), axis=-1)
    return float(raw.mean()), float((raw / iod).mean()), float((centred / iod).mean())


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation; 0 when either does not move."""
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-9 else 0.0


def lag_curve(true: Floats, made: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Lags in ms and the correlation at each; positive: the made lips (T,) move later than the true ones (T,)."""
    reach = min(LAG_REACH, max(0, (len(true) - 2) // 2))
    shifts = np.arange(-reach, reach + 1)
    scores = [correlation(true[max(0, -s) : len(true) - max(0, s)], made[max(0, s) : len(made) + min(0, s)])
              for s in shifts.tolist()]  # fmt: skip
    return shifts * 1000 // FRAME_RATE, np.array(scores, np.float32)


def jitter(points: Floats) -> float:
    """RMS second difference of the lips over time, in inter-ocular distances."""
    lips = points[:, list(LIPS), :2] / interocular(points)[:, None, None]
    return float(np.sqrt((np.diff(lips, n=2, axis=0) ** 2).mean())) if len(lips) > 2 else 0.0


@dataclass
class Tally:
    """Accumulates picture metrics frame by frame; `result` gives the averages."""

    errors: dict[str, list[float]] = field(default_factory=lambda: {"": [], "_face": [], "_mouth": []})
    structure: dict[str, list[float]] = field(default_factory=lambda: {"": [], "_face": [], "_mouth": []})
    details: list[tuple[float, float]] = field(default_factory=list)

    def add(self, true: Frame, made: Frame, points: Floats) -> None:
        """Compare two frames; `points` (478, ≥2) are the true frame's landmarks, which place the boxes."""
        size, iod = true.shape[:2], float(interocular(points))
        mouth = box_around(points[list(LIPS), :2], MOUTH_MARGIN * iod, size)
        boxes = {"": (slice(None), slice(None)), "_face": box_around(points[:, :2], 0.0, size), "_mouth": mouth}
        similarity = ssim_map(true, made)
        for name, box in boxes.items():
            self.errors[name].append(squared_error(true[box], made[box]))
            self.structure[name].append(float(similarity[box].mean()))
        self.details.append((detail(true[mouth]), detail(made[mouth])))

    def result(self) -> dict[str, float]:
        """PSNR of the mean error, mean SSIM, and the ratio of the mouth's mean sharpness."""
        sharp = np.array(self.details)
        values = {f"psnr{name}": psnr(float(np.mean(errors))) for name, errors in self.errors.items()}
        values |= {f"ssim{name}": float(np.mean(each)) for name, each in self.structure.items()}
        return values | {"sharpness": float(sharp[:, 1].mean() / max(sharp[:, 0].mean(), 1e-9))}


class Flicker:
    """How much still skin around the mouth changes from frame to frame, in faces that are laid upon each other."""

    def __init__(self, points: Floats) -> None:
        """`points` (T, 478, ≥2) are the landmarks by which every frame is aligned."""
        stable = steady(points[:, list(STABLE), :2], [(0, len(points))])
        template = stable.mean(axis=0) * (FACE_PIXELS / float(interocular(points).mean()))
        matrices = similarities(stable, template)
        face = move(points, matrices).mean(axis=0)
        corner = face.min(axis=0)
        matrices[..., 2] -= corner
        self._matrices, self._size = matrices, tuple(np.ceil(face.max(axis=0) - corner).astype(int).tolist())
        self._skin = _skin_around(move(points[:, list(LIPS)], matrices), face - corner, self._size)
        self._before: list[Floats] | None = None
        self.changes: list[tuple[float, ...]] = []
        """Mean absolute change in grey levels, per pair of neighbouring frames, of each picture given."""

    def add(self, *pictures: Frame) -> None:
        """The next frame of every video that is compared."""
        matrix = self._matrices[min(len(self.changes) + (self._before is not None), len(self._matrices) - 1)]
        now = [self._aligned(picture, matrix) for picture in pictures]
        if self._before is not None:
            pairs = zip(now, self._before, strict=True)
            self.changes.append(tuple(float(np.abs(a - b)[self._skin].mean()) for a, b in pairs))
        self._before = now

    def _aligned(self, picture: Frame, matrix: Floats) -> Floats:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return cv2.warpAffine(grey, matrix, self._size, flags=cv2.INTER_LINEAR).astype(np.float32)

    @property
    def ratio(self) -> float:
        """Change of the second picture over that of the first, without cuts; 1 where neither changes."""
        if not self.changes:
            return 1.0
        true, made = np.array(self.changes).T[:2]
        within = true <= 5 * max(float(np.median(true)), STILL)
        return float((made[within].mean() + STILL) / (true[within].mean() + STILL))


def _skin_around(lips: Floats, face: Floats, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) skin near the mouth, where lips never are: between where they may be and half an eye distance farther."""
    inside, reach = np.zeros(size[::-1], np.uint8), np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(reach, cv2.convexHull(face.round().astype(np.int32)), 255)
    cv2.fillConvexPoly(inside, cv2.convexHull(lips.reshape(-1, 2).round().astype(np.int32)), 255)
    lip, near = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1)) for r in (FACE_PIXELS // 12, 48))
    skin = (reach > 0) & (cv2.dilate(inside, near) > 0) & (cv2.dilate(inside, lip) == 0)
    return skin if skin.any() else reach > 0


def compare_lips(true: Floats, made: Floats) -> dict[str, float]:
    """Lip metrics from mesh points (T, 478, 3) of the true and the made frames."""
    pixels, relative, centred = landmark_distance(true, made)
    return {"lmd_px": pixels, "lmd_iod": relative, "lmd_centred_iod": centred} | compare_motion(true, made)


def compare_motion(true: Floats, made: Floats) -> dict[str, float]:
    """How lips move, whoever's they are: what is left when the two videos show different heads."""
    wanted, got = aperture(true), aperture(made)
    lags, scores = lag_curve(wanted, got)
    return {
        "aperture_correlation": correlation(wanted, got),
        "aperture_correlation_best": float(scores.max()),
        "lag_ms": float(lags[scores.argmax()]),
        "aperture_std_ratio": float(got.std() / max(wanted.std(), 1e-9)),
        "width_correlation": correlation(mouth_width(true), mouth_width(made)),
        "jitter": jitter(made) / max(jitter(true), 1e-9),
    }


@dataclass(frozen=True)
class Measurement:
    """Averages by name, and how they come about: one value a frame, or a lag, by name."""

    metrics: dict[str, float]
    series: dict[str, list[float]]


def measure(pairs: Iterable[tuple[Frame, Frame]], true_points: Floats, made_points: Floats) -> Measurement:
    """Every metric for pairs of frames with their landmarks; frames are read once, one pair at a time."""
    tally, flicker = Tally(), Flicker(true_points)
    for index, (true, made) in enumerate(pairs):
        tally.add(true, made, true_points[index])
        flicker.add(true, made)
    metrics = tally.result() | compare_lips(true_points, made_points) | {"flicker": flicker.ratio}
    pictures = {
        "psnr_mouth": [psnr(error) for error in tally.errors["_mouth"]],
        "lmd_iod": landmark_distances(true_points, made_points).tolist(),
    }
    return Measurement(metrics, motion_series(true_points, made_points) | pictures)


def motion_series(true: Floats, made: Floats) -> dict[str, list[float]]:
    """What a report plots of the lips' motion."""
    lags, scores = lag_curve(aperture(true), aperture(made))
    curves: Arrays = {
        "aperture_true": aperture(true),
        "aperture_made": aperture(made),
        "lag_ms": lags,
        "lag_correlation": scores,
    }
    return {name: values.tolist() for name, values in curves.items()}
