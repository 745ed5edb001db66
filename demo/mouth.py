"""The mouth: lips as curves over the skin, and teeth, tongue and dark between them, painted for every frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.expression import Expression
from demo.face import CENTRE, MOUTH_Y
from demo.relief import SCALE, Array, bump, crop, display, grid, linear, over, step

JAW_DROP = 27.0
_BOX = (206, 284, 306, 366)
_SKIN_BOX = (150, 284, 362, 404)


@dataclass(frozen=True)
class _Contours:
    """The lips as curves over the mouth's width: `s` is −1…1 from corner to corner, the rest are heights."""

    s: Array
    half: float
    gap: float
    seam: Array
    top: Array
    bottom: Array
    upper_edge: Array
    lower_edge: Array


def _contours(u: Array, e: Expression) -> _Contours:
    round_, spread = max(-e.width, 0.0), max(e.width, 0.0)
    smile = e.smile * (1 - 0.75 * round_)
    half = 34.0 * (1 + 0.13 * spread - 0.43 * round_ + 0.13 * smile - 0.05 * e.jaw)
    s = np.clip(u / half, -1, 1)
    dome = 1 - s * s
    seam = 1.0 + 0.16 * JAW_DROP * e.jaw - (13.0 * smile + spread) * (s * s - 0.35)
    seam = seam + 1.1 * np.exp(-((s / 0.2) ** 2)) * (1 - e.jaw)
    gap = JAW_DROP * 0.80 * e.jaw + 3.0 * e.lower + 2.0 * e.upper
    top = seam - (3.2 * e.upper + 0.20 * gap) * dome**0.8
    bottom = top + gap * dome ** (0.62 - 0.20 * round_)
    swell = 1 + 0.14 * round_ - 0.10 * spread - 0.42 * e.press
    bow = 1 + 0.16 * np.exp(-(((np.abs(s) - 0.24) / 0.15) ** 2)) - 0.18 * np.exp(-((s / 0.10) ** 2))
    upper_edge = top - 8.6 * swell * (1 - 0.12 * e.jaw) * bow * dome ** (0.85 - 0.3 * round_)
    lower_edge = bottom + 11.2 * swell * (1 - 0.45 * e.tuck) * dome**0.62
    return _Contours(s, half, gap, seam, top, bottom, upper_edge, lower_edge)


class Mouth:
    """Paints lips and what they show onto a head layer, and drags the skin of jaw and cheeks along."""

    def __init__(self, lips: tuple[int, int, int]) -> None:
        self._x, self._y = grid(*_BOX)
        self._lips = linear(lips)
        rng = np.random.default_rng(4)
        creases = cv2.resize(
            rng.standard_normal((1, 70)).astype(np.float32), (self._x.shape[1], 1), interpolation=cv2.INTER_CUBIC
        )
        self._creases = np.repeat(creases, self._x.shape[0], 0)
        sx, sy = grid(*_SKIN_BOX)
        u = np.abs(sx - CENTRE)
        self._skin_at = sx, sy
        self._drop = step(sy, 300, 350) * step(u, 92, 26)
        self._pull = bump(sx, sy, CENTRE, MOUTH_Y, 36, 22) * np.clip((sx - CENTRE) / 30, -1, 1)

    def stretch_skin(self, head: Array, still: Array, e: Expression) -> None:
        """Move chin and cheeks of `still` (the head at rest) as jaw and lip corners go, into `head`."""
        sx, sy = self._skin_at
        x0, y0, x1, y1 = (round(v * SCALE) for v in _SKIN_BOX)
        map_x = (sx - self._pull * (4.0 * e.width + 1.5 * e.smile)) * SCALE - 0.5 - x0
        map_y = (sy - self._drop * (JAW_DROP * 0.86 * e.jaw)) * SCALE - 0.5 - y0
        source = still[y0:y1, x0:x1]
        cv2.remap(source, map_x, map_y, cv2.INTER_LINEAR, head[y0:y1, x0:x1], cv2.BORDER_REPLICATE)

    def paint(self, head: Array, e: Expression) -> None:
        """Paint the mouth onto `head` (premultiplied RGBA, opaque here)."""
        patch = crop(head, _BOX)
        u, v = self._x - CENTRE, self._y - MOUTH_Y
        c = _contours(u, e)
        between = np.abs(u) < c.half
        inside = step(v - c.top, -0.35, 0.35) * step(c.bottom - v, -0.35, 0.35) * min(1.0, c.gap / 1.2)
        self._shadows(patch, u, v, c)
        over(patch, self._interior(u, v, c, e), inside * between)
        up, down = np.maximum(c.top - c.upper_edge, 0.4), np.maximum(c.lower_edge - c.bottom, 0.4)
        self._lip(patch, c.s, (v - c.upper_edge) / up, up, is_upper=True)
        self._lip(patch, c.s, (v - c.bottom) / down, down, is_upper=False)
        line = np.exp(-(((v - c.top - 0.3) / (0.75 + 0.2 * e.press)) ** 2)) * between * (1 - min(1.0, c.gap / 2.5))
        over(patch, (0.33, 0.10, 0.10), 0.80 * line.astype(np.float32))

    @staticmethod
    def _shadows(patch: Array, u: Array, v: Array, c: _Contours) -> None:
        """Dimples at the corners and the shade under the lower lip."""
        dimple = np.exp(-(((np.abs(u) - c.half - 0.5) / 3.0) ** 2) - ((v - c.seam[:, :1] - 0.3) / 2.6) ** 2)
        below = np.exp(-(((v - c.lower_edge - 2.2) / 3.2) ** 2)) * np.clip(1 - (u / c.half) ** 2, 0, 1)
        dark = 0.50 * dimple + 0.26 * below
        patch[..., :3] *= 1 - dark[..., None] * np.array([0.45, 0.68, 0.72], np.float32)

    def _lip(self, patch: Array, s: Array, t: Array, height: Array, *, is_upper: bool) -> None:
        """One lip; `t` runs over its `height` from 0 at its top edge to 1 at its bottom edge."""
        outer, inner = (t * height, (1 - t) * height) if is_upper else ((1 - t) * height, t * height)
        mask = step(outer, -0.3, 0.3) * step(inner, -0.7, 0.7) * (np.abs(s) < 1)
        if is_upper:
            tone = 0.90 - 0.36 * t + 0.10 * np.exp(-(((t - 0.15) / 0.2) ** 2))
            shine = 0.10 * np.exp(-(((t - 0.42) / 0.18) ** 2)) * np.exp(-(((np.abs(s) - 0.2) / 0.2) ** 2))
        else:
            tone = 0.80 + 0.34 * np.exp(-(((t - 0.38) / 0.28) ** 2)) - 0.30 * step(t, 0.55, 1.05)
            shine = 0.30 * np.exp(-(((t - 0.36) / 0.15) ** 2)) * np.exp(-(((s + 0.12) / 0.34) ** 2))
        tone = tone * (1 - 0.22 * s * s - 0.06 * s) * (1 + 0.03 * self._creases)
        color = self._lips * tone[..., None] + (shine * (1 + 0.18 * self._creases))[..., None] * np.array(
            [1, 0.90, 0.86], np.float32
        )
        over(patch, display(np.clip(color, 0, 2)), np.asarray(mask * 0.92, np.float32))

    def _interior(self, u: Array, v: Array, c: _Contours, e: Expression) -> Array:
        """Dark hollow, tongue, lower then upper teeth: display RGB."""
        depth = np.clip((v - c.top) / max(c.gap, 1), 0, 1)
        rgb = np.array([0.22, 0.07, 0.07], np.float32) + depth[..., None] * np.array([0.12, 0.03, 0.035], np.float32)
        floor = JAW_DROP * 0.80 * e.jaw
        curve = floor * (0.70 - 0.30 * e.tongue) + 2.5 - 2.0 * e.tongue + 0.011 * u * u
        tongue = step(v - curve, -0.8, 1.2) * step(np.abs(u), 21, 16)
        flesh = 0.70 + 0.20 * np.exp(-(((v - curve - 3.5) / 2.6) ** 2)) - 0.14 * np.exp(-((u / 1.6) ** 2))
        flesh = flesh - 0.012 * np.abs(u)
        over(rgb, flesh[..., None] * np.array([0.88, 0.46, 0.46], np.float32), np.asarray(tongue, np.float32))
        low = step(v - (floor + 0.6 + 0.010 * u * u), -0.5, 0.5) * step(np.abs(u), 19, 15)
        over(rgb, self._enamel(u, 5.6, 0.84), np.asarray(low, np.float32))
        edge = 6.6 - 0.006 * u * u - 0.5 * np.abs(np.sin(np.pi * u / 7.6)) ** 6 + 0.10 * JAW_DROP * e.jaw
        edge = edge - 3.6 * max(-e.width, 0.0)  # pursed lips stand out and hide the teeth
        teeth = step(edge - v, -0.45, 0.45) * step(np.abs(u), 28, 24)
        over(rgb, self._enamel(u, 7.6, 1.0), np.asarray(teeth, np.float32))
        shadow = 0.36 * np.exp(-np.clip(v - c.top, 0, None) / 1.8) + 0.22 * np.exp(
            -np.clip(c.bottom - v, 0, None) / 1.5
        )
        return np.asarray(rgb * (1 - shadow)[..., None], np.float32)

    @staticmethod
    def _enamel(u: Array, pitch: float, level: float) -> Array:
        gaps = np.exp(-(((np.mod(u + pitch / 2, pitch) - pitch / 2) / 0.42) ** 2))
        tone = level * (1 - 0.12 * gaps) * (1 - 0.42 * np.clip(np.abs(u) / 27, 0, 1) ** 2.2)
        return np.asarray(tone[..., None] * np.array([1.0, 0.955, 0.895], np.float32), np.float32)
