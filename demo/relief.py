"""Painting with light: relief maps, how they are shaded, and the compositing that every layer shares.

Coordinates are design units: the picture is 512 × 512, x to the right, y down, z toward the viewer. Layers are float32
arrays of premultiplied RGBA in 0…1, `SCALE` samples per unit, so that the final picture is supersampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

SIDE = 512
SCALE = 2

_KEY = np.array([-0.52, -0.50, 0.78], np.float32)
_FILL = np.array([0.75, -0.10, 0.62], np.float32)
_RIM = np.array([0.93, -0.30, 0.12], np.float32)


def grid(x0: float = 0, y0: float = 0, x1: float = SIDE, y1: float = SIDE) -> tuple[Array, Array]:
    """The design coordinates (x, y) of every sample centre in a box."""
    xs = (np.arange(round((x1 - x0) * SCALE), dtype=np.float32) + 0.5) / SCALE + x0
    ys = (np.arange(round((y1 - y0) * SCALE), dtype=np.float32) + 0.5) / SCALE + y0
    x, y = np.meshgrid(xs, ys)
    return x, y


def bump(x: Array, y: Array, cx: float, cy: float, sx: float, sy: float) -> Array:
    """A Gaussian hill of height 1."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2)).astype(np.float32)


def step(value: Array, low: float | Array, high: float | Array) -> Array:
    """Smoothstep from 0 at `low` to 1 at `high` (either order)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def blur(image: Array, sigma: float) -> Array:
    """Gaussian blur with `sigma` in design units; wide ones are done on a smaller copy."""
    if sigma * SCALE > 8:
        height, width = image.shape[:2]
        shrink = int(sigma * SCALE / 4)
        small = cv2.resize(image, (width // shrink, height // shrink), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma * SCALE / shrink)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * SCALE), np.float32)


def spline(points: Sequence[tuple[float, float]], closed: bool = False, samples: int = 24) -> Array:
    """A Catmull-Rom curve through `points`: (n, 2)."""
    p = np.asarray(points, np.float32)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, samples, endpoint=False, dtype=np.float32)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-2:-1]])


Box = tuple[int, int, int, int]
WHOLE: Box = (0, 0, SIDE, SIDE)


def crop(layer: Array, box: Box) -> Array:
    """The view of a whole layer inside a box of design units."""
    x0, y0, x1, y1 = (v * SCALE for v in box)
    return layer[y0:y1, x0:x1]


def bounds(outline: Array, margin: int) -> Box:
    """The whole-unit box around an outline, kept inside the picture."""
    low, high = outline.min(0) - margin, outline.max(0) + margin
    x0, y0, x1, y1 = (int(np.clip(v, 0, SIDE)) for v in (*low, *high))
    return x0, y0, x1, y1


def fixed(points: Array, box: Box = WHOLE) -> NDArray[np.int32]:
    """Design units as the fixed-point samples that OpenCV's anti-aliased drawing wants (shift 4)."""
    return np.round((points - np.asarray(box[:2], np.float32)) * SCALE * 16).astype(np.int32)


def fill(outline: Array, soft: float = 0.35, box: Box = WHOLE) -> Array:
    """The coverage mask of a closed outline within a box, its edge softened by `soft` design units."""
    mask = np.zeros(((box[3] - box[1]) * SCALE, (box[2] - box[0]) * SCALE), np.uint8)
    cv2.fillPoly(mask, [fixed(outline, box)], 255, cv2.LINE_AA, 4)
    return blur(mask.astype(np.float32) / 255, soft)


def over(canvas: Array, rgb: Array | Sequence[float], alpha: Array) -> None:
    """Paint straight colour `rgb` with coverage `alpha` onto a premultiplied RGB(A) canvas, in place."""
    alpha = np.asarray(alpha, np.float32)
    colors = cv2.split(rgb) if isinstance(rgb, np.ndarray) and rgb.ndim == 3 else [float(c) for c in rgb]
    # Whole images per channel: numpy is several times slower at broadcasting over a last axis of three.
    canvas *= cv2.merge([1 - alpha] * canvas.shape[2])
    canvas += cv2.merge([np.multiply(c, alpha, dtype=np.float32) for c in colors] + [alpha] * (canvas.shape[2] - 3))


def inflate(mask: Array, radius: float, depth: float) -> Array:
    """A cushion-like relief of a flat mask: rises from its edge within `radius`, to `depth`."""
    inside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / SCALE
    s = np.clip(inside / radius, 0, 1)
    return blur((depth * np.sqrt(1 - (1 - s) ** 2)).astype(np.float32), radius * 0.12)


def light(height: Array, albedo: Array, wrap: Sequence[float] = (0.42, 0.22, 0.16), gloss: float = 0.16) -> Array:
    """Shade a relief: warm key from the upper left, soft fill and rim from the right, softened by cavity shadow.

    `albedo` is linear RGB. `wrap` says how far light creeps past the terminator per channel; red creeps furthest in
    skin, which is what makes it look alive. Returns display RGB in 0…1.
    """
    dy, dx = np.gradient(height, 1 / SCALE)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    key, fill_light, rim = (normal @ (v / np.linalg.norm(v)) for v in (_KEY, _FILL, _RIM))
    w = np.asarray(wrap, np.float32)
    diffuse = np.clip((key[..., None] + w) / (1 + w), 0, None) ** 1.15 * np.array([1.02, 0.95, 0.86], np.float32)
    diffuse += np.clip(fill_light, 0, None)[..., None] * np.array([0.25, 0.20, 0.175], np.float32)
    sky = 0.5 - 0.5 * normal[..., 1:2]
    diffuse += (0.16 + 0.14 * sky) * np.array([1.12, 0.96, 0.90], np.float32)
    cavity = np.clip(1 + 0.05 * (height - blur(height, 5)) + 0.012 * (height - blur(height, 16)), 0.45, 1.12)
    color = albedo * diffuse * (cavity[..., None] ** np.array([0.8, 1.1, 1.2], np.float32))
    half = (_KEY / np.linalg.norm(_KEY) + np.array([0, 0, 1], np.float32)) / 2
    shine = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1)
    color += gloss * (0.75 * shine**14 + 0.6 * shine**50)[..., None] * np.array([1.0, 0.95, 0.88], np.float32)
    color += 0.14 * (np.clip(rim, 0, 1) ** 3)[..., None] * albedo
    return display(color)


def display(linear: Array) -> Array:
    """Linear light to display RGB, highlights rolled off softly."""
    rolled = linear * (1 + linear / 6.0) / (1 + linear * 0.42) * 1.22
    return np.asarray(np.clip(rolled, 0, 1) ** (1 / 2.2), np.float32)


def linear(color: Sequence[float]) -> Array:
    """Display RGB 0…255 to linear light."""
    return np.asarray((np.asarray(color, np.float32) / 255) ** 2.2, np.float32)
