"""Hair, strand by strand: locks swept between two guide curves, lit in bands as hair is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.relief import SCALE, SIDE, Array, blur, fill, linear, over, spline

Guide = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Lock:
    """A sheet of hair between two guide curves, root to tip; `shine` is where along it the light band lies."""

    first: Guide
    last: Guide
    strands: int
    shine: float
    level: float = 1.0
    stray: float = 1.0


def _mirror(guide: Guide) -> Guide:
    return tuple((SIDE - x, y) for x, y in guide)


_FALL = (
    Lock(((196, 150), (190, 220), (190, 300), (196, 380)), ((256, 150), (256, 220), (256, 300), (256, 360)), 420, 9, 0.42),
    Lock(((164, 120), (140, 200), (133, 280), (136, 345), (158, 402), (180, 412)),
         ((212, 140), (196, 220), (192, 290), (186, 340), (188, 385), (200, 404)), 620, 0.56, 0.92, 2.2),
)  # fmt: skip
BACK: tuple[Lock, ...] = (
    _FALL[0],
    Lock(_mirror(_FALL[0].first), _mirror(_FALL[0].last), 420, 9, 0.42),
    _FALL[1],
    Lock(_mirror(_FALL[1].first), _mirror(_FALL[1].last), 620, 0.56, 0.80, 2.2),
)
FRONT: tuple[Lock, ...] = (
    Lock(((286, 62), (330, 66), (362, 108), (369, 175), (362, 232), (352, 268)),
         ((281, 117), (312, 126), (337, 150), (347, 184), (350, 222), (346, 262)), 760, 0.38, 0.92),
    Lock(((288, 60), (222, 44), (160, 84), (142, 170), (150, 230), (160, 268)),
         ((284, 119), (240, 138), (196, 160), (170, 190), (162, 224), (166, 262)), 1000, 0.36, 1.05),
)  # fmt: skip


def _smooth_noise(rng: np.random.Generator, count: int, knots: int) -> Array:
    at = np.linspace(0, knots - 1, count)
    return np.asarray(np.interp(at, np.arange(knots), rng.standard_normal(knots)), np.float32)


def _strand_colors(t: Array, tone: float, shine: float, level: float) -> Array:
    """Brightness along a strand: dark root, a broad and a narrow light band, darker tip."""
    band = np.exp(-0.5 * ((t - shine) / 0.13) ** 2) + 0.35 * np.exp(-0.5 * ((t - shine - 0.34) / 0.09) ** 2)
    shade = 0.50 + 0.22 * np.minimum(t * 6, 1) - 0.18 * np.clip(t - 0.8, 0, 1) / 0.2
    return np.asarray(np.clip((shade + 0.62 * band * (0.6 + 0.4 * tone)) * level * (1 + 0.30 * tone), 0.06, 2), np.float32)


def _ramp(brightness: Array, dye: tuple[int, int, int]) -> Array:
    """Hair colour for each brightness: deep and cool in shade, golden in the light."""
    base = linear(dye)
    lit = base * brightness[:, None] + np.array([0.16, 0.105, 0.06], np.float32) * np.clip(brightness - 0.75, 0, 1)[:, None] ** 1.5
    return np.asarray(255 * np.clip(lit, 0, 1) ** (1 / 2.2), np.float32)


def _paint_lock(rgb: Array, mask: Array, lock: Lock, dye: tuple[int, int, int], rng: np.random.Generator) -> None:
    first, last = spline(lock.first, samples=40), spline(lock.last, samples=40)
    at = np.linspace(0, 1, 30, dtype=np.float32)
    first, last = (c[np.linspace(0, len(c) - 1, 30).astype(int)] for c in (first, last))
    body = np.concatenate([first, last[::-1]])
    cv2.fillPoly(mask, [np.round(body * SCALE * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cv2.fillPoly(rgb, [np.round(body * SCALE * 16).astype(np.int32)],
                 _ramp(np.array([0.42 * lock.level]), dye)[0].tolist(), cv2.LINE_AA, 4)  # fmt: skip
    clump, shift = _smooth_noise(rng, 512, 34), _smooth_noise(rng, 512, 22)
    for v in rng.permutation(np.linspace(-0.006, 1.006, lock.strands)):
        k = int(np.clip(v, 0, 1) * 511)
        wander = v + 0.012 * rng.standard_normal() + 0.03 * np.sin(5 * at + 3 * shift[k]) * np.sin(np.pi * at)
        edge = lock.stray * (rng.random() < 0.05) * rng.standard_normal() * 3.5
        line = first + (last - first) * wander[:, None] + edge * (at**2)[:, None]
        tone = float(np.clip(0.55 * clump[k] + 0.45 * rng.standard_normal(), -1.6, 1.6))
        colors = _ramp(_strand_colors(at, tone, lock.shine + 0.03 * float(shift[k]), lock.level), dye).tolist()
        pts = np.round(line * SCALE * 16).astype(np.int32)
        end = 29 - int(rng.integers(0, 4))
        for i in range(end):
            cv2.line(rgb, pts[i].tolist(), pts[i + 1].tolist(), colors[i], 1 if edge else 2, cv2.LINE_AA, 4)
        cv2.polylines(mask, [pts[: end + 1]], False, 255, 1, cv2.LINE_AA, 4)


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


__all__ = ["BACK", "FRONT", "Lock", "fill", "paint"]
