"""How good a talking head is: pixels, structure, lips, sharpness and steadiness, each with a known answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.geometry import Floats
from portrait.tracking import INNER_LIP, OUTER_LIP, interocular
from portrait.video import Frame

LIPS = OUTER_LIP + INNER_LIP
MOUTH_MARGIN = 0.15
"""Margin of the mouth box around the true lips, in inter-ocular distances."""
Box = tuple[slice, slice]


def squared_error(true: NDArray[np.floating], made: NDArray[np.floating]) -> float:
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
    return ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def _blur(x: Floats) -> Floats:
    return cv2.GaussianBlur(x, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)


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
    return np.linalg.norm(gaps, axis=-1).mean(axis=1) / interocular(points)


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


def compare_lips(true: Floats, made: Floats) -> dict[str, float]:
    """Lip metrics from mesh points (T, 478, 3) of the true and the made frames."""
    pixels, relative, centred = landmark_distance(true, made)
    wanted, got = aperture(true), aperture(made)
    return {
        "lmd_px": pixels,
        "lmd_iod": relative,
        "lmd_centred_iod": centred,
        "aperture_correlation": correlation(wanted, got),
        "aperture_std_ratio": float(got.std() / max(wanted.std(), 1e-9)),
        "jitter": jitter(made) / max(jitter(true), 1e-9),
    }


def compare(pairs: Iterable[tuple[Frame, Frame]], true_points: Floats, made_points: Floats) -> dict[str, float]:
    """Every metric for pairs of frames with their landmarks; frames are read once, one pair at a time."""
    tally = Tally()
    for index, (true, made) in enumerate(pairs):
        tally.add(true, made, true_points[index])
    return tally.result() | compare_lips(true_points, made_points)
