"""What surrounds the head: the studio wall, the neck, the blouse and the jacket."""

from __future__ import annotations

import cv2
import numpy as np

from demo.relief import (
    SCALE,
    SIDE,
    Array,
    blur,
    bounds,
    bump,
    crop,
    fill,
    fixed,
    grid,
    inflate,
    light,
    linear,
    over,
    spline,
    step,
)

Rgb = tuple[int, int, int]


def wall(width: int, height: int, tone: Rgb) -> Array:
    """A plain lit studio wall with a vignette: display RGB (height, width, 3) in 0…1."""
    xs, ys = (np.arange(n, dtype=np.float32) / n - 0.5 for n in (width, height))
    x, y = np.meshgrid(xs * max(width / height, 1), ys * max(height / width, 1))
    glow = np.exp(-(((x + 0.05) / 0.42) ** 2 + ((y + 0.10) / 0.46) ** 2))
    level = 0.74 + 0.34 * glow - 0.30 * np.clip(np.hypot(x, y) - 0.38, 0, 1)
    warm = np.array([0.02, 0.0, -0.03], np.float32) * glow[..., None]
    grain = np.random.default_rng(2).standard_normal((height, width, 1)).astype(np.float32) * 0.004
    return np.clip(np.asarray(tone, np.float32) / 255 * level[..., None] + warm + grain, 0, 1).astype(np.float32)


def _mirrored(points: list[tuple[float, float]]) -> Array:
    """A closed outline from its right half, bottom centre left out."""
    left = [(SIDE - x, y) for x, y in reversed(points)]
    return spline(points + left, closed=True)


def _neck(canvas: Array, skin: Rgb) -> None:
    x, y = grid()
    mask = fill(_mirrored([(306, 300), (307, 350), (309, 385), (322, 408), (352, 424), (372, 470), (330, 530)]), 0.6)
    u = np.abs(x - 256)
    height = 60 * np.sqrt(np.clip(1 - (u / (56 + 50 * step(y, 380, 440))) ** 2, 0, 1))
    for sign in (-1, 1):
        along = np.clip((y - 345) / 75, 0, 1)
        height = height + 3.2 * np.exp(-0.5 * ((x - 256 - sign * (40 - 30 * along)) / 5.0) ** 2) * step(
            y, 340, 375
        ) * step(y, 432, 415)
        height = height + 3.5 * bump(x, y + sign * 0.10 * (x - 256), 256 + sign * 36, 431, 24, 4)
    height = height - 5.0 * bump(x, y, 256, 424, 8, 6)
    albedo = np.broadcast_to(linear(skin) * np.array([0.96, 0.88, 0.86], np.float32), (*x.shape, 3))
    rgb = light(np.asarray(height, np.float32), np.asarray(albedo, np.float32), gloss=0.07)
    under_chin = step(y + 0.0022 * (x - 262) ** 2, 412, 366)
    sides = step(u, 38, 60) * step(y, 440, 395)
    dark = np.clip(0.78 * under_chin + 0.35 * sides, 0, 0.85)
    rgb *= 1 - dark[..., None] * (1 - np.array([0.52, 0.30, 0.25], np.float32))
    over(canvas, rgb, mask)


def _cloth(canvas: Array, outline: Array, color: Rgb, radius: float, depth: float, shadow: float = 4) -> None:
    """One piece of clothing: a soft shadow on what it lies on, then its lit, slightly woven surface."""
    box = bounds(outline, 14)
    canvas = crop(canvas, box)
    mask = fill(outline, 0.4, box)
    canvas[..., :3] *= 1 - 0.5 * blur(mask, shadow)[..., None]
    rng = np.random.default_rng(8)
    folds = blur(rng.standard_normal(mask.shape).astype(np.float32), 14) * 55
    height = inflate(mask, radius, depth) + folds * depth / 20
    fibre = 1 + 0.09 * blur(rng.standard_normal(mask.shape).astype(np.float32), 0.45)
    albedo = linear(color) * fibre[..., None]
    rgb = light(np.asarray(height, np.float32), np.asarray(albedo, np.float32), (0.25, 0.25, 0.25), gloss=0.03)
    over(canvas, rgb, mask)


def _points(sign: int, points: list[tuple[float, float]]) -> Array:
    return spline([(256 + sign * x, y) for x, y in points], closed=True, samples=16)


def _seam(canvas: Array, points: list[tuple[float, float]], sign: int) -> None:
    """A line of fine stitching: a dark groove with a lit edge beside it."""
    curve = np.asarray([(256 + sign * x, y) for x, y in points], np.float32)
    line = np.zeros(canvas.shape[:2], np.uint8)
    cv2.polylines(line, [fixed(spline([(float(x), float(y)) for x, y in curve]))], False, 255, 1, cv2.LINE_AA, 4)
    groove = line.astype(np.float32) / 255
    canvas[..., :3] *= 1 - 0.30 * groove[..., None]
    canvas[..., :3] += 0.05 * np.roll(groove, SCALE, 0)[..., None]


def _necklace(canvas: Array) -> None:
    """A thin gold chain with a small round pendant."""
    chain = spline(
        [(205, 376), (209, 400), (219, 422), (238, 440), (256, 447), (274, 440), (293, 422), (303, 400), (307, 376)]
    )
    line = np.zeros(canvas.shape[:2], np.uint8)
    cv2.polylines(line, [fixed(chain)], False, 255, 1, cv2.LINE_AA, 4)
    gold = line.astype(np.float32) / 255
    canvas[..., :3] *= 1 - 0.35 * np.roll(blur(gold, 0.8), 2, 0)[..., None]
    x, y = grid()
    glint = 0.88 + 0.12 * np.sin(x * 2.9) * np.sin(y * 1.7)
    over(canvas, glint[..., None] * np.array([0.98, 0.82, 0.52], np.float32), 0.9 * gold)
    pendant = step(np.hypot(x - 256, y - 450.5), 4.0, 3.3)
    canvas[..., :3] *= 1 - 0.3 * bump(x, y, 257, 453, 4, 4)[..., None] * (1 - pendant[..., None])
    tone = 0.66 + 0.45 * bump(x, y, 254.8, 449.2, 1.7, 1.7)
    over(canvas, tone[..., None] * np.array([1.0, 0.86, 0.58], np.float32), pendant)


_BLOUSE = [(262.0, 480.0), (284.0, 455.0), (318.0, 424.0), (335.0, 430.0), (350.0, 520.0), (300.0, 560.0)]
_SHOULDER = [(64.0, 411.0), (88.0, 418.0), (138.0, 434.0), (188.0, 452.0), (222.0, 482.0), (240.0, 540.0),
             (180.0, 575.0), (40.0, 580.0), (38.0, 540.0), (60.0, 480.0)]  # fmt: skip
_LAPEL = [(60.0, 416.0), (74.0, 434.0), (94.0, 446.0), (86.0, 470.0), (62.0, 510.0), (36.0, 550.0), (22.0, 552.0),
          (40.0, 505.0), (54.0, 460.0)]  # fmt: skip
_COLLAR = [(58.0, 408.0), (72.0, 412.0), (92.0, 432.0), (84.0, 438.0), (74.0, 436.0), (60.0, 422.0)]


def body(skin: Rgb, blouse: Rgb, jacket: Rgb) -> Array:
    """Neck, necklace, blouse and jacket as one layer (side, side, 4)."""
    canvas = np.zeros((SIDE * SCALE, SIDE * SCALE, 4), np.float32)
    _neck(canvas, skin)
    _necklace(canvas)
    _cloth(canvas, _mirrored(_BLOUSE), blouse, 26, 14)
    for sign in (-1, 1):
        _cloth(canvas, _points(sign, _SHOULDER), jacket, 60, 44)
        _seam(canvas, [(168, 447), (158, 472), (160, 512)], sign)
    for sign in (1, -1):
        _cloth(canvas, _points(sign, _LAPEL), jacket, 10, 5, 3)
        _cloth(canvas, _points(sign, _COLLAR), jacket, 8, 4, 2.5)
        _seam(canvas, [(89, 447), (82, 469), (59, 508), (50, 520)], sign)
    return canvas
