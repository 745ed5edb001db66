"""Eyes and brows, painted for every frame: eyeball, iris, lids with lashes, and brows hair by hair."""

from __future__ import annotations

import math

import cv2
import numpy as np

from demo.expression import Expression
from demo.face import CENTRE, EYE_X, EYE_Y
from demo.relief import SCALE, Array, display, fixed, grid, linear, over, step

_HALF = 24.2
_INK = (0.13, 0.075, 0.06)


class Eye:
    """One eye; `side` is +1 for the viewer's right. Local x runs outward from the eye's middle."""

    def __init__(self, side: int, iris: tuple[int, int, int]) -> None:
        middle = CENTRE + side * EYE_X
        self._box = (round(middle - 34), 184, round(middle + 34), 250)
        x, y = grid(*self._box)
        self._side, self._u, self._v = side, (x - middle) * side, y - EYE_Y
        self._iris = linear(iris)
        self._roots = np.linspace(-15, 22.5, 34).tolist()
        rng = np.random.default_rng(11)
        self._fibres = np.convolve(np.tile(rng.standard_normal(180), 3), np.ones(3) / 3, "same")[180:360].astype(
            np.float32
        )

    def _lids(self, blink: float, smile: float) -> tuple[Array, Array, Array]:
        """Lid edges over the outward axis: upper, lower and the upper one when fully open."""
        s = np.clip((self._u + _HALF) / (2 * _HALF), 0, 1)
        base = 3.2 - 4.6 * s
        arch = np.clip(4 * s * (1 - s), 0, 1)
        lower = base + (8.3 - 2.2 * smile) * arch**0.85 * (0.86 + 0.28 * s)
        raised = base - 14.0 * arch**0.64 * (1.10 - 0.20 * s)
        shut = base + 5.2 * arch**0.85
        return raised + (shut - raised) * blink, lower + (shut + 0.4 - lower) * blink, raised

    def paint(self, head: Array, e: Expression) -> None:
        """Paint the eye onto `head` (premultiplied RGBA, opaque here)."""
        x0, y0, x1, y1 = (round(v * SCALE) for v in self._box)
        patch = head[y0:y1, x0:x1]
        u, v = self._u, self._v
        upper, lower, raised = self._lids(e.blink, e.smile)
        ends = step(np.abs(u), _HALF + 0.2, _HALF - 1.0)
        self._lid_shading(patch, upper, lower, raised, e.blink)
        gap = step(v - upper, -0.4, 0.4) * step(lower - v, -0.4, 0.4) * ends * step(lower - upper, 0.2, 1.4)
        over(patch, self._ball(upper, lower, e), gap)
        wet = np.exp(-(((v - lower + 0.1) / 0.75) ** 2)) * ends * (1 - e.blink)
        over(patch, (0.93, 0.72, 0.68), 0.75 * wet)
        under = np.exp(-(((v - lower - 1.0) / 0.7) ** 2)) * step(u, -18, 14) * ends
        over(patch, (0.40, 0.22, 0.18), 0.50 * under)
        weight = 0.75 + 1.0 * np.clip((u + 20) / 40, 0, 1)
        lash = step(np.abs(v - upper + 0.3), weight + 0.7, weight - 0.4) * step(np.abs(u), _HALF + 0.8, _HALF - 1.5)
        over(patch, _INK, 0.94 * lash)
        self._lashes(patch, e.blink, upper)

    def _lid_shading(self, patch: Array, upper: Array, lower: Array, raised: Array, blink: float) -> None:
        u, v = self._u, self._v
        span = np.clip(1 - (u / 27) ** 2, 0, 1)
        crease = raised - 4.6 - 0.03 * u + 1.2 * blink
        fold = np.exp(-(((v - crease) / np.where(v < crease, 2.6, 1.0)) ** 2)) * span**0.6
        lid = step(v - crease, -0.5, 1.5) * step(upper - v, -0.5, 1.0) * span
        bag = np.exp(-(((v - lower - 6.5) / 2.2) ** 2)) * span
        dark = 0.52 * fold * (1 - 0.45 * blink) + 0.16 * lid * (1 - 0.5 * blink) + 0.13 * bag
        patch[..., :3] *= 1 - dark[..., None] * np.array([0.55, 0.78, 0.84], np.float32)
        gleam = np.exp(-(((v - (crease + upper) / 2) / 1.8) ** 2)) * np.exp(-(((u + 2) / 9) ** 2)) * lid
        over(patch, (1.0, 0.90, 0.82), 0.24 * gleam)

    def _ball(self, upper: Array, lower: Array, e: Expression) -> Array:
        """The visible eyeball: display RGB."""
        u, v = self._u, self._v
        gx, gy = e.gaze[0] * self._side, e.gaze[1] - 2.2
        white = 0.93 - 0.20 * np.clip(np.abs(u) / _HALF, 0, 1) ** 2.4
        rgb = white[..., None] * np.array([1.0, 0.97, 0.955], np.float32)
        pink = np.exp(-(((u + _HALF - 2) / 3.2) ** 2) - ((v - 2.5) / 4) ** 2)
        over(rgb, (0.86, 0.56, 0.53), 0.75 * pink)
        r = np.hypot(u - gx, v - gy)
        angle = np.arctan2(v - gy, u - gx)
        fibre = np.interp(angle, np.linspace(-np.pi, np.pi, 180), self._fibres)
        glow = 0.70 + 0.55 * np.clip((v - gy) / 10, -0.8, 1) + 0.22 * fibre * np.clip(r / 6 - 0.5, 0, 1)
        ring = 1 - 0.72 * step(r, 8.8, 11.8)
        core = np.exp(-(((r - 5.2) / 1.8) ** 2)) * 0.35
        iris = display(self._iris * (np.clip(glow + core, 0.25, 2) * ring)[..., None])
        over(rgb, iris, step(r, 12.0, 10.9))
        over(rgb, (0.035, 0.025, 0.03), step(r, 5.3, 4.4))
        shade = 0.62 * np.exp(-np.clip(v - upper, 0, None) / 3.0) + 0.14 * np.exp(-np.clip(lower - v, 0, None) / 1.6)
        rgb *= 1 - shade[..., None] * np.array([0.82, 0.90, 0.92], np.float32)
        x = u * self._side
        over(rgb, (1, 1, 1), 0.96 * step(np.hypot(x - e.gaze[0] + 3.6, (v - gy + 4.0) * 0.92), 2.9, 2.0))
        over(rgb, (1, 1, 1), 0.50 * step(np.hypot(x - e.gaze[0] - 3.6, v - gy - 4.2), 1.7, 0.7))
        return np.asarray(rgb, np.float32)

    def _lashes(self, patch: Array, blink: float, upper: Array) -> None:
        """A fan of lashes on the upper lid, longer outward; they swing down as the eye shuts."""
        mask = np.zeros(patch.shape[:2], np.uint8)
        edge = upper[0]
        columns = self._u[0]
        order = np.argsort(columns)
        for at in self._roots:
            long = (0.7 + 0.3 * math.sin(37 * at)) * (2.0 + 4.8 * np.clip((at + 15) / 36, 0, 1) ** 1.3)
            y = float(np.interp(at, columns[order], edge[order]))
            lift = 1 - 1.75 * blink
            t = np.linspace(0, 1, 6)
            px = at + long * t * (0.15 + 0.55 * np.clip(at / 21, -0.25, 1)) + 0.6 * t
            py = y - long * lift * (0.20 * t + 0.50 * t * t)
            points = np.stack(
                [px * self._side + (CENTRE + self._side * EYE_X) - self._box[0], py + EYE_Y - self._box[1]], -1
            )
            stroke = fixed(points)
            cv2.polylines(mask, [stroke[:3]], False, 255, 2, cv2.LINE_AA, 4)
            cv2.polylines(mask, [stroke[2:]], False, 200, 1, cv2.LINE_AA, 4)
        over(patch, _INK, mask.astype(np.float32) / 255 * 0.62)


class Brow:
    """One eyebrow, drawn once hair by hair and shifted as it is raised."""

    def __init__(self, side: int, color: tuple[int, int, int]) -> None:
        middle = CENTRE + side * 44
        self._box = (round(middle - 36), 172, round(middle + 36), 222)
        self._side = side
        self._color = np.asarray(color, np.float32) / 255 * 0.62
        self._mask = self._draw()

    def _draw(self) -> Array:
        x0, y0, x1, y1 = self._box
        mask = np.zeros(((y1 - y0) * SCALE, (x1 - x0) * SCALE), np.float32)
        rng = np.random.default_rng(3)
        for _ in range(340):
            s = rng.random()
            if rng.random() > 0.35 + 5 * s:
                continue
            thick = 6.4 * (1 - 0.74 * s**1.5) * min(1.0, 0.6 + 3 * s)
            x = -25 + 53 * s
            y = 199.5 - 8.6 * np.sin(np.pi * min(1.0, s * 0.80 + 0.02)) + 3.5 * s**2 + thick * rng.uniform(-0.5, 0.6)
            slope = -0.70 * (1 - s) ** 1.8 + 0.34 * s - 0.06
            length = rng.uniform(4.0, 7.0) * (1 - 0.3 * s)
            d = np.array([1, slope]) / np.hypot(1, slope) * length
            a, b = np.array([x, y]), np.array([x, y]) + d
            points = np.array([a, (a + b) / 2 + (0, -0.5), b]) * (self._side, 1) + (CENTRE + self._side * 44 - x0, -y0)
            stroke = np.zeros(mask.shape, np.uint8)
            cv2.polylines(stroke, [fixed(points)], False, 255, 1, cv2.LINE_AA, 4)
            mask += stroke.astype(np.float32) / 255 * 0.55
        soft = cv2.GaussianBlur(np.clip(mask, 0, 1), (0, 0), 3.0)
        return np.asarray(np.clip(np.clip(mask, 0, 1) * 0.40 + 0.66 * soft, 0, 0.84), np.float32)

    def paint(self, head: Array, e: Expression) -> None:
        """Paint the brow onto `head`, its inner end raised a little more than the outer one."""
        x0, y0, x1, y1 = (round(v * SCALE) for v in self._box)
        rise = -4.5 * SCALE * e.brow
        shear = -0.02 * e.brow * self._side
        matrix = np.array([[1, 0, 0], [-shear, 1, rise + shear * (x1 - x0) / 2]], np.float32)
        mask = cv2.warpAffine(self._mask, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        over(head[y0:y1, x0:x1], self._color, np.asarray(mask, np.float32))
