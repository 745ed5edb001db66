"""The bare head: skin over a relief of forehead, sockets, nose, cheeks, muzzle and chin, with ears and brows' shadows.

Eyes, brows and lips move, so `features` paints them for every frame; here is what they lie on.
"""

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
    light,
    linear,
    over,
    spline,
    step,
)

CENTRE = 256.0
EYE_X, EYE_Y = 41.0, 221.0
MOUTH_Y = 312.0
_BOX = (148, 48, 364, 376)
_OUTLINE = ((0, 60), (48, 68), (76, 98), (88, 140), (92, 185), (91, 225), (87, 262), (78.5, 294), (64, 322), (45, 345),
            (24, 359.5), (0, 364))  # fmt: skip
_EAR = ((-9, 212), (-2, 204), (5, 205), (9, 214), (8.5, 230), (4.5, 244), (0, 255), (-6, 257), (-10, 248))


def outline() -> Array:
    """The closed outline of the face, crown to chin."""
    right = [(CENTRE + x, y) for x, y in _OUTLINE]
    left = [(CENTRE - x, y) for x, y in reversed(_OUTLINE[1:-1])]
    return spline([(float(x), float(y)) for x, y in right + left], closed=True)


def _dome(x: Array, y: Array) -> Array:
    """The smooth head without features: an ellipsoid bent to the outline, 0 at its edge."""
    pole = np.array([CENTRE, 225.0])
    rim = outline() - pole
    angle, radius = np.arctan2(rim[:, 1], rim[:, 0]), np.hypot(rim[:, 0], rim[:, 1])
    order = np.argsort(angle)
    here = np.arctan2(y - pole[1], x - pole[0])
    reach = np.interp(here, angle[order], radius[order], period=2 * np.pi)
    # A little larger than the mask, so that the steep rim itself never shows as a pale line.
    rho = np.clip(np.hypot(x - pole[0], y - pole[1]) / (reach + 2.0), 0, 1)
    return np.asarray(92 * (1 - rho**2.7) ** 0.6, np.float32)


def _nose(x: Array, y: Array, u: Array) -> Array:
    """Bridge, tip and wings, cut off underneath."""
    along = np.clip((y - 205) / 62, 0, 1)
    width = 7.0 + 3.5 * along**2 + 2.0 * (1 - along) ** 3
    bridge = (4.5 + 10.5 * along**1.3) * np.exp(-0.5 * (u / width) ** 2) * step(y, 186, 216)
    tip = 11.0 * bump(x, y, CENTRE, 268, 8.6, 8.2)
    wings = 8.0 * bump(CENTRE + np.abs(u), y, CENTRE + 14.5, 272.5, 5.0, 5.4)
    base = 285.0 - 3.2 * step(np.abs(u), 1, 13)
    return np.asarray((bridge + tip + wings) * step(y - base, 4.5, -12.0), np.float32)


def relief(x: Array, y: Array) -> Array:
    """Height of the bare face, in design units."""
    u = x - CENTRE
    side = CENTRE + np.abs(u)
    height = _dome(x, y) + _nose(x, y, u)
    hills = (
        *((3.0, 36, 198, 25, 8), (-9.5, EYE_X - 1, EYE_Y - 1, 23, 13), (-5.0, 21, 217, 8, 10)),
        *((8.5, EYE_X, EYE_Y, 16, 10.5), (6.0, 60, 258, 26, 19), (4.5, 45, 276, 19, 17)),
        *((-3.0, 40, 311, 6, 7), (-2.5, 90, 205, 14, 30)),
    )
    for size, cx, cy, sx, sy in hills:
        height = height + size * bump(side, y, CENTRE + cx, cy, sx, sy)
    middle = (
        (6.5, 305, 30, 19.0),
        (-1.5, 293, 3, 6.0),
        (-3.4, 333, 19, 5.5),
        (5.5, 350, 19, 13.0),
        (4.0, 150, 50, 30.0),
    )
    for size, along, sx, sy in middle:
        height = height + size * bump(x, y, CENTRE, along, sx, sy)
    return np.asarray(height, np.float32)


def _complexion(x: Array, y: Array, skin: Array) -> Array:
    """Linear albedo: warmer cheeks, nose and chin, paler forehead, a little living unevenness."""
    side = CENTRE + np.abs(x - CENTRE)
    blush = 0.85 * bump(side, y, CENTRE + 56, 268, 25, 17) + 0.45 * bump(x, y, CENTRE, 270, 17, 10)
    blush = (
        blush
        + 0.45 * bump(side, y, CENTRE + 58, 318, 30, 32)
        + 0.25 * bump(x, y, CENTRE, 350, 22, 12)
        + 0.30 * bump(side, y, CENTRE + EYE_X, EYE_Y + 2, 24, 13)
    )
    rng = np.random.default_rng(5)
    noise = blur(rng.standard_normal(x.shape).astype(np.float32), 1.0) * 2.2
    noise += blur(rng.standard_normal(x.shape).astype(np.float32), 5.0) * 9
    tint = 1 + blush[..., None] * np.array([0.02, -0.21, -0.17], np.float32)
    return np.asarray(skin * tint * (1 + 0.018 * noise[..., None]), np.float32)


def _shade(canvas: Array, mask: Array, strength: float, tone: tuple[float, float, float] = (0.42, 0.16, 0.10)) -> None:
    """Multiply a soft warm shadow into the canvas."""
    tint = 1 - strength * mask[..., None] * (1 - np.asarray(tone, np.float32))
    canvas[..., :3] *= tint


def _details(rgb: Array, x: Array, y: Array) -> None:
    """Nostrils, cast shadow of the nose, smile lines and the shade that hair throws on the forehead."""
    u = x - CENTRE
    side = CENTRE + np.abs(u)
    slant = y - 0.28 * np.abs(u)
    _shade(rgb, step(bump(side, slant, CENTRE + 8.0, 277.0, 4.4, 2.0), 0.2, 0.95), 0.72)
    _shade(rgb, bump(x, y, CENTRE + 5, 287, 17, 4.5), 0.22)
    _shade(rgb, bump(side, y, CENTRE + 19.5, 273, 1.9, 6.5), 0.20)
    fold = spline([(CENTRE + 23, 272), (CENTRE + 33, 284), (CENTRE + 41, 299), (CENTRE + 44, 309)])
    line = np.zeros(x.shape, np.uint8)
    for sign in (1, -1):
        curve = (fold - (CENTRE, 0)) * (sign, 1) + (CENTRE, 0)
        cv2.polylines(line, [fixed(curve.astype(np.float32), _BOX)], False, 255, 3, cv2.LINE_AA, 4)
    _shade(rgb, blur(line.astype(np.float32) / 255, 2.2) * step(y, 268, 285) * step(y, 314, 298), 0.13)
    _shade(rgb, step(y, 165, 118), 0.12)
    _shade(rgb, step(np.abs(u), 66, 94) * step(y, 300, 230), 0.30)


def _ear(canvas: Array, sign: int, skin: Array) -> None:
    """One ear: rim, hollow and lobe, a shade redder than the face."""
    cx = CENTRE + sign * 93.5
    shape = spline([(cx + sign * a, float(b)) for a, b in _EAR], closed=True)
    box = bounds(shape, 8)
    x, y = grid(*box)
    mask = fill(shape, 0.5, box)
    height = 16 * np.sqrt(np.clip(1 - (1 - blur(mask, 3.2)) * 1.2, 0, 1))
    height -= 7 * bump(x, y, cx + sign * 0.5, 226, 3.6, 11)
    height += 4.0 * bump(x, y, cx - sign * 4.5, 233, 2.4, 5) + 2.0 * bump(x, y, cx + sign * 2.0, 217, 1.4, 8)
    albedo = np.broadcast_to(skin * np.array([0.98, 0.80, 0.76], np.float32), (*x.shape, 3))
    rgb = light(height.astype(np.float32), np.asarray(albedo, np.float32), gloss=0.10)
    _shade(rgb, bump(x, y, cx - sign * 1, 228, 3.6, 9), 0.40)
    _shade(rgb, step(sign * (x - cx), 2, 10), 0.35)
    _shade(rgb, step(sign * (x - cx), -4, -10), 0.25)
    fringe = y - 212.5 - 0.35 * sign * (x - cx) - 0.02 * (x - cx) ** 2
    _shade(rgb, step(fringe, 12, -1), 0.62)
    crop(canvas, box)[..., :3] *= 1 - 0.22 * blur(mask, 2.0)[..., None]
    over(crop(canvas, box), rgb, mask * step(fringe, -0.5, 0.7))


def paint_ears(canvas: Array, skin_rgb: tuple[int, int, int]) -> None:
    """Both ears, with a small pearl on each lobe."""
    for sign in (-1, 1):
        _ear(canvas, sign, linear(skin_rgb))
        px, py = CENTRE + sign * 91.5, 254.5
        box = (round(px) - 6, 248, round(px) + 6, 262)
        x, y = grid(*box)
        pearl = step(np.hypot(x - px, y - py), 3.4, 2.8)
        tone = 0.72 + 0.28 * bump(x, y, px - 1.0, py - 1.1, 1.6, 1.6) - 0.22 * bump(x, y, px + 1.6, py + 2.0, 1.6, 1.6)
        over(crop(canvas, box), tone[..., None] * np.array([1.0, 0.975, 0.95], np.float32), pearl)


def paint_face(skin_rgb: tuple[int, int, int]) -> tuple[Array, Array]:
    """The bare face as a layer (side, side, 4), and its relief (side, side)."""
    x, y = grid(*_BOX)
    layer, height = np.zeros((SIDE * SCALE, SIDE * SCALE, 4), np.float32), np.zeros((SIDE * SCALE,) * 2, np.float32)
    crop(height, _BOX)[:] = relief(x, y)
    rgb = light(crop(height, _BOX), _complexion(x, y, linear(skin_rgb)))
    _details(rgb, x, y)
    over(crop(layer, _BOX), rgb, fill(outline(), 0.5, _BOX))
    return layer, height
