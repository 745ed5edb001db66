"""What shows between parted lips: a dark cavity, upper teeth and a hint of tongue, in the light of the photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait.arrays import Floats, Frame
from portrait.face.slit import Slit, between

TEETH_HEIGHT = 0.055
"""How far the upper teeth reach below the line of the closed lips, in inter-ocular distances: three millimetres."""
TEETH_WIDTH = 0.80
"""Of the mouth's width; the rest is the dark of the cheeks."""
TONGUE_FROM, TONGUE_FULL = 0.07, 0.2
"""Opening, in inter-ocular distances, at which the tongue begins to show and is plain to see."""
SHOWN = 0.035
"""Gap between the photo's lips, in inter-ocular distances, from which it shows the person's own teeth."""
SHADE = 0.07
"""Depth of the upper lip's shadow, in inter-ocular distances."""


@dataclass(frozen=True)
class InnerMouth:
    """The inside of a mouth in the canonical crop: the upper teeth stay with the head, the tongue goes with the jaw."""

    teeth: Frame
    """(side, side, 3) colours of the upper teeth."""
    cover: Floats
    """(side, side) 0 to 1, where there are teeth."""
    cavity: Floats
    """(3,) colour of the dark."""
    tongue: Floats
    """(3,) colour of the tongue."""
    iod: float

    @classmethod
    def look_into(cls, crop: Frame, photo: Slit, rest: Slit, lips: Floats, iod: float) -> InnerMouth:
        """The inside by the photo's crop, its slit, the closed slit and the outer lips (20, 2): found or made up."""
        side = len(crop)
        lip, skin = _lip_colour(crop, lips, photo), np.median(crop.reshape(-1, 3), axis=0)
        gap = float(np.max(photo.lower[:, 1] - photo.upper[:, 1]))
        if gap > SHOWN * iod:
            teeth, cover = _own_teeth(crop, photo)
        else:
            teeth, cover = _made_up_teeth(rest, side, iod, float(skin.mean()))
        cavity = lip * np.array([0.24, 0.15, 0.15])
        tongue = lip * np.array([0.82, 0.62, 0.62])
        return cls(teeth, cover, cavity.astype(np.float32), tongue.astype(np.float32), iod)

    def draw(self, slit: Slit) -> tuple[Frame, Floats, tuple[int, int]]:
        """The inside (h, w, 3) as the lips part, how much of it shows (h, w), and the (x, y) of its corner in the crop.

        It reaches one pixel at least beyond what shows.
        """
        side = len(self.teeth)
        heights = slit.heights(side)
        opening = float((heights[1] - heights[0]).max()) / self.iod
        box = _box(slit, side)
        upper, lower = (each[box[1]] for each in heights)
        y = np.arange(side, dtype=np.float32)[box[0], None]
        inside = np.broadcast_to(self.cavity, (len(y), len(upper), 3)).copy()
        inside += (self.tongue - inside) * self._tongue(slit, opening, box)[..., None]
        inside += (self.teeth[box] - inside) * self.cover[box][..., None]
        inside *= (0.62 + 0.38 * np.clip((y - upper) / (SHADE * self.iod), 0, 1))[..., None]
        shown = between(upper, lower, y)
        return np.clip(inside, 0, 255).astype(np.uint8), shown, (box[1].start, box[0].start)

    def _tongue(self, slit: Slit, opening: float, box: tuple[slice, slice]) -> Floats:
        shown = float(np.clip((opening - TONGUE_FROM) / (TONGUE_FULL - TONGUE_FROM), 0, 1))
        left, right = slit.lower[0, 0], slit.lower[-1, 0]
        bottom = float(slit.lower[:, 1].max())
        y = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None]
        x = np.arange(box[1].start, box[1].stop, dtype=np.float32)
        across = (x - (left + right) / 2) / (0.34 * (right - left) + 1e-3)
        up = (bottom - y) / (0.55 * opening * self.iod + 1e-3)
        return np.asarray(np.clip(1.4 - 1.4 * np.sqrt(across**2 + up**2), 0, 1) * 0.85 * shown, np.float32)


def _box(slit: Slit, side: int) -> tuple[slice, slice]:
    """Rows and columns that hold the slit, and a margin."""
    points = np.concatenate([slit.upper, slit.lower])
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - 4, 0, side - 1)
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 5, low + 1, side)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _lip_colour(crop: Frame, lips: Floats, photo: Slit) -> Floats:
    mask = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(mask, [lips.round().astype(np.int32)], 1)
    rows = np.arange(len(crop), dtype=np.float32)[:, None]
    mask[between(*photo.heights(len(crop)), rows) > 0] = 0
    return np.median(crop[mask > 0], axis=0) if mask.any() else np.array([160.0, 90, 85])


def _own_teeth(crop: Frame, photo: Slit) -> tuple[Frame, Floats]:
    """The photo's own: the open part of the picture, its edge rows drawn out under the lips."""
    side = len(crop)
    upper, lower = photo.heights(side)
    rows = np.arange(side, dtype=np.float32)[:, None] + np.zeros(side, np.float32)
    x = np.broadcast_to(np.arange(side, dtype=np.float32), (side, side)).copy()
    inner = np.clip(rows, upper + 2.5, np.maximum(lower - 2.0, upper + 2.5)).astype(np.float32)
    teeth = np.asarray(cv2.remap(crop, x, inner, cv2.INTER_LINEAR), np.uint8)
    y = np.arange(side, dtype=np.float32)[:, None]
    open_enough = np.clip((lower - upper - 3) / 3, 0, 1)
    return teeth, (np.clip((lower - 1.5 - y) / 2, 0, 1) * open_enough).astype(np.float32)


def _made_up_teeth(rest: Slit, side: int, iod: float, light: float) -> tuple[Frame, Floats]:
    """An arch of eight: each a little darker than the one before it, from the middle outwards."""
    upper, lower = rest.heights(side)
    line = (upper + lower) / 2
    left, right = rest.upper[0, 0], rest.upper[-1, 0]
    half = TEETH_WIDTH * (right - left) / 2
    across = (np.arange(side, dtype=np.float32) - (left + right) / 2) / half
    y = np.arange(side, dtype=np.float32)[:, None]
    middle_line = float(line[round(float((left + right) / 2))])
    edge = middle_line + TEETH_HEIGHT * iod * (1 - 0.75 * across**2)
    cover = np.clip((edge - y) / 1.6 + 0.5, 0, 1) * np.clip((1 - np.abs(across)) / 0.12, 0, 1)
    # Seen from the front, teeth on the arch grow narrower to the sides: equal steps of the angle.
    tooth = np.abs(np.arcsin(np.clip(across, -1, 1))) / (np.pi / 2) * 4
    seam = np.exp(-(((tooth - np.round(tooth)) / 0.09) ** 2))
    shade = (1 - 0.55 * across**2) * (1 - 0.16 * seam)
    white = np.array([1.0, 0.955, 0.87]) * (92 + 0.5 * light)
    teeth = shade[None, :, None] * white * (0.9 + 0.1 * np.clip((edge - y) / (0.05 * iod), 0, 1))[..., None]
    return np.clip(teeth, 0, 255).astype(np.uint8), cover.astype(np.float32)
