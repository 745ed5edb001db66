"""Hair, strand by strand: locks swept between two guide curves and lit as hair is, across each strand."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.relief import SCALE, SIDE, Array, blur, fixed, linear, over, spline

Pixels = NDArray[np.uint8]
Guide = tuple[tuple[float, float], ...]
_POINTS = 40


@dataclass(frozen=True)
class Lock:
    """A sheet of hair between two guide curves, root to tip.

    `on_skull` sheets hug the head; the others hang, bulging toward the viewer. `stray` scales fly-away hairs; without
    `solid` there is nothing between the strands, as in wisps.
    """

    first: Guide
    last: Guide
    strands: int
    level: float = 1.0
    on_skull: bool = True
    stray: float = 1.0
    solid: bool = True

    def mirrored(self, level: float) -> Lock:
        first, last = (tuple((SIDE - x, y) for x, y in guide) for guide in (self.first, self.last))
        return Lock(first, last, self.strands, level, self.on_skull, self.stray, self.solid)


_NAPE = Lock(
    ((176, 150), (168, 220), (164, 300), (176, 400)), ((262, 150), (262, 230), (262, 320), (262, 420)), 500, 0.40, False
)
_FALL = Lock(((166, 120), (139, 190), (130, 262), (131, 330), (147, 388), (176, 412)),
             ((216, 140), (200, 210), (192, 275), (190, 330), (192, 380), (204, 408)), 1000, 1.22, False,
             1.6)  # fmt: skip
BACK = (_NAPE, _NAPE.mirrored(0.36), _FALL, _FALL.mirrored(1.02))
FRONT = (
    Lock(((284, 47), (324, 49), (362, 92), (371, 168), (371, 240), (373, 300), (370, 350)),
         ((278, 116), (308, 125), (333, 148), (344, 182), (349, 222), (352, 280), (350, 345)), 1100, 0.95),
    Lock(((288, 47), (228, 42), (162, 78), (140, 166), (141, 240), (139, 300), (142, 350)),
         ((283, 117), (244, 140), (204, 166), (176, 194), (164, 224), (160, 280), (162, 345)), 1500, 1.05),
    Lock(((232, 143), (190, 172), (168, 205), (161, 250), (164, 300)),
         ((244, 139), (200, 170), (177, 205), (168, 250), (168, 300)), 26, 1.05, stray=3, solid=False),
    Lock(((330, 143), (345, 178), (352, 220), (354, 260), (350, 300)),
         ((326, 140), (340, 178), (346, 220), (348, 260), (347, 300)), 16, 0.95, stray=3, solid=False),
    Lock(((284, 44), (222, 38), (158, 76), (136, 165), (137, 240), (136, 320)),
         ((287, 52), (230, 46), (165, 82), (143, 168), (144, 240), (142, 320)), 30, 0.8, on_skull=False,
         stray=2, solid=False),
    Lock(((286, 44), (328, 45), (366, 90), (375, 168), (375, 240), (376, 320)),
         ((284, 52), (322, 53), (358, 95), (368, 168), (369, 240), (370, 320)), 24, 0.7, on_skull=False,
         stray=2, solid=False),
)  # fmt: skip
_LIGHT = np.array([-0.45, -0.62, 0.64])
_HALFWAY = np.array([-0.25, -0.34, 0.905])


def _smooth_noise(rng: np.random.Generator, count: int, knots: int) -> Array:
    at = np.linspace(0, knots - 1, count)
    return np.asarray(np.interp(at, np.arange(knots), rng.standard_normal(knots)), np.float32)


def _strand_light(line: Array, lock: Lock, tone: float, across: float) -> Array:
    """Brightness along a strand after Kajiya and Kay (1989): cylinders glow where they lie across the light."""
    t = np.linspace(0, 1, len(line))
    if lock.on_skull:
        z = 105 * np.sqrt(np.clip(1 - ((line[:, 0] - 256) / 124) ** 2 - ((line[:, 1] - 185) / 150) ** 2, 0.01, 1))
    else:
        z = 95 * np.sin(2.4 * t + 0.22 * tone)
    tangent = np.gradient(np.column_stack([line, z]), axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-6
    diffuse = np.sqrt(np.clip(1 - (tangent @ _LIGHT) ** 2, 0, 1))
    across_light = np.sqrt(np.clip(1 - (tangent @ _HALFWAY + 0.05 * tone) ** 2, 0, 1))
    rolled = 0.62 + 0.46 * np.sin(np.pi * np.clip(0.10 + 0.84 * across, 0, 1))
    root = 0.72 + 0.28 * np.minimum(t * 7, 1)
    glow = 0.16 + 0.40 * diffuse + 0.36 * across_light**16 + 0.30 * across_light**70
    return np.asarray(np.clip(glow * rolled * root * lock.level * (1 + 0.24 * tone), 0.05, 2), np.float32)


def _ramp(brightness: Array, dye: tuple[int, int, int]) -> Array:
    """Hair colour for each brightness: deep in shade, golden in the light."""
    gold = np.array([0.20, 0.135, 0.08], np.float32) * np.clip(brightness - 0.72, 0, 1)[:, None] ** 1.4
    return np.asarray(255 * np.clip(linear(dye) * brightness[:, None] * 1.15 + gold, 0, 1) ** (1 / 2.2), np.float32)


def _resampled(guide: Guide) -> Array:
    curve = spline(guide, samples=40)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
    at = np.linspace(0, length[-1], _POINTS)
    return np.stack([np.interp(at, length, curve[:, i]) for i in (0, 1)], -1).astype(np.float32)


def _paint_lock(rgb: Pixels, mask: Pixels, lock: Lock, dye: tuple[int, int, int], rng: np.random.Generator) -> None:
    first, last = _resampled(lock.first), _resampled(lock.last)
    at = np.linspace(0, 1, _POINTS, dtype=np.float32)
    if lock.solid:
        full = _POINTS - 2
        body = [fixed(np.concatenate([first[:full], last[:full][::-1]]))]
        cv2.fillPoly(mask, body, 255, cv2.LINE_AA, 4)
        cv2.fillPoly(rgb, body, _ramp(np.array([0.40 * lock.level]), dye)[0].tolist(), cv2.LINE_AA, 4)
    clump, wave = _smooth_noise(rng, 512, 30), _smooth_noise(rng, 512, 18)
    for v in rng.permutation(np.linspace(-0.004, 1.004, lock.strands)):
        k = int(np.clip(v, 0, 1) * 511)
        wander = v + 0.010 * rng.standard_normal() + 0.022 * np.sin(5 * at + 3 * wave[k]) * np.sin(np.pi * at)
        stray = lock.stray * (rng.random() < 0.04) * rng.standard_normal() * 3.0
        line = first + (last - first) * wander[:, None] + stray * (at**2)[:, None]
        line[:, 0] += 1.6 * rng.standard_normal() * (1 - at) ** 4
        line[1:] -= np.diff(line, axis=0) * rng.random()  # so that the strands' segments do not line up in bands
        tone = float(np.clip(0.6 * clump[k] + 0.5 * rng.standard_normal(), -1.7, 1.7))
        colors = _ramp(_strand_light(line, lock, tone, float(v)), dye).tolist()
        points = fixed(line)
        end = _POINTS - 1 - int(rng.integers(0, 4))
        width = 1 if stray or rng.random() < 0.6 else 2
        for i in range(end):
            cv2.line(rgb, points[i].tolist(), points[i + 1].tolist(), colors[i], width, cv2.LINE_AA, 4)
        cv2.polylines(mask, [points[: end + 1]], False, 255, 1, cv2.LINE_AA, 4)


def paint(locks: tuple[Lock, ...], dye: tuple[int, int, int], seed: int) -> Array:
    """A layer of premultiplied RGBA with these locks, deterministic for a seed."""
    rng = np.random.default_rng(seed)
    size = (SIDE * SCALE, SIDE * SCALE)
    rgb, mask = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    rgb[:] = _ramp(np.array([0.4]), dye)[0]
    for lock in locks:
        _paint_lock(rgb, mask, lock, dye, rng)
    layer = np.zeros((*size, 4), np.float32)
    over(layer, rgb.astype(np.float32) / 255, blur(mask.astype(np.float32) / 255, 0.3))
    return layer
