"""What surrounds the head: the studio wall, the neck, the blouse and the jacket."""

from __future__ import annotations

import numpy as np

from demo.relief import SCALE, SIDE, Array, blur, bump, fill, grid, inflate, light, linear, over, spline, step

Rgb = tuple[int, int, int]


def wall(width: int, height: int, tone: Rgb) -> Array:
    """A plain lit studio wall with a vignette: display RGB (height, width, 3) in 0…1."""
    xs, ys = (np.arange(n, dtype=np.float32) / n - 0.5 for n in (width, height))
    x, y = np.meshgrid(xs * max(width / height, 1), ys * max(height / width, 1))
    glow = np.exp(-(((x + 0.05) / 0.42) ** 2 + ((y + 0.10) / 0.46) ** 2))
    level = 0.60 + 0.46 * glow - 0.22 * np.clip(np.hypot(x, y) - 0.38, 0, 1)
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
        height = height + 3.2 * np.exp(-0.5 * ((x - 256 - sign * (40 - 30 * along)) / 5.0) ** 2) * step(y, 340, 375) * step(y, 432, 415)
        height = height + 3.5 * bump(x, y + sign * 0.10 * (x - 256), 256 + sign * 36, 431, 24, 4)
    height = height - 5.0 * bump(x, y, 256, 424, 8, 6)
    albedo = np.broadcast_to(linear(skin) * np.array([0.96, 0.88, 0.86], np.float32), (*x.shape, 3))
    rgb = light(np.asarray(height, np.float32), np.asarray(albedo, np.float32), gloss=0.07)
    under_chin = step(y + 0.0022 * (x - 262) ** 2, 412, 366)
    sides = step(u, 38, 60) * step(y, 440, 395)
    dark = np.clip(0.78 * under_chin + 0.35 * sides, 0, 0.85)
    rgb *= 1 - dark[..., None] * (1 - np.array([0.52, 0.30, 0.25], np.float32))
    over(canvas, rgb, mask)


def _cloth(canvas: Array, outline: Array, color: Rgb, radius: float, depth: float, weave: float, shadow: float = 4) -> None:
    """One piece of clothing: a soft shadow on what it lies on, then its lit, slightly woven surface."""
    mask = fill(outline, 0.4)
    cast = blur(mask, shadow) * 0.45
    canvas[..., :3] *= 1 - cast[..., None]
    x, y = grid()
    rng = np.random.default_rng(8)
    folds = blur(rng.standard_normal(x.shape).astype(np.float32), 14) * 55
    height = inflate(mask, radius, depth) + folds * depth / 20
    fibre = 1 + weave * blur(rng.standard_normal(x.shape).astype(np.float32), 0.45)
    albedo = linear(color) * fibre[..., None]
    rgb = light(np.asarray(height, np.float32), np.asarray(albedo, np.float32), (0.25, 0.25, 0.25), gloss=0.03)
    over(canvas, rgb, mask)


def _points(sign: int, points: list[tuple[float, float]]) -> Array:
    return spline([(256 + sign * x, y) for x, y in points], closed=True, samples=16)


def body(skin: Rgb, blouse: Rgb, jacket: Rgb) -> Array:
    """Neck, blouse and jacket as one layer (side, side, 4)."""
    canvas = np.zeros((SIDE * SCALE, SIDE * SCALE, 4), np.float32)
    _neck(canvas, skin)
    _cloth(canvas, _mirrored([(262, 476), (284, 452), (318, 424), (335, 430), (350, 520), (300, 560)]), blouse, 26, 14, 0.05)
    for sign in (-1, 1):
        torso = [(64, 411), (88, 418), (138, 434), (188, 452), (222, 482), (240, 540), (180, 575), (40, 580), (38, 540), (60, 480)]
        _cloth(canvas, _points(sign, torso), jacket, 60, 40, 0.10)
    for sign in (1, -1):
        collar = [(58, 408), (72, 412), (92, 432), (84, 438), (74, 436), (60, 422)]
        lapel = [(60, 416), (74, 434), (94, 446), (86, 470), (62, 510), (36, 550), (22, 552), (40, 505), (54, 460)]
        _cloth(canvas, _points(sign, lapel), jacket, 10, 5, 0.10, 3)
        _cloth(canvas, _points(sign, collar), jacket, 8, 4, 0.10, 2.5)
    return canvas
