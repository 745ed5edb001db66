"""The footage's jaw follows the drawn mouth: otherwise an old chin shows beside the new one, below and at the sides."""

from __future__ import annotations

import cv2
import numpy as np

from portrait.arrays import Floats, Frame
from portrait.face.warping import Pull, spread, warped
from portrait.tracking.geometry import LIP_COUNT, Canon

REACH = 0.2
"""How far the jaw pulls cheeks and neck along, in inter-ocular distances (a Gaussian's sigma)."""
MARGIN = 0.04
"""Points of the jaw nearer than this to the crop's sides, in inter-ocular distances, stay with the border."""
BORDER = 0.08
"""Width, in inter-ocular distances, over which the warped crop turns into the footage around it."""
SEEN = 0.75
"""Displacement in pixels from which on a warped pixel replaces that of the footage; below it, warping only softens."""


class Jaw:
    """Moves the jaw of a crop from the mouth it shows to another one. Holds no state between calls."""

    def __init__(self, mouth: Floats, canon: Canon) -> None:
        """`mouth` (57, 2) is the person's mean one, in inter-ocular distances."""
        width, jaw = canon.side / canon.iod, mouth[LIP_COUNT:, 0]
        self._points = LIP_COUNT + np.flatnonzero((jaw > MARGIN) & (jaw < width - MARGIN))
        self._pull = Pull(mouth[self._points], canon, REACH)
        inside = np.minimum.outer(*2 * [np.minimum(np.arange(canon.side), np.arange(canon.side)[::-1])])
        self._inside = np.clip(inside / (BORDER * canon.iod), 0, 1).astype(np.float32)

    def follow(self, crop: Frame, shown: Floats, wanted: Floats) -> tuple[Frame, Floats]:
        """The crop with its jaw moved from the shown mouth to the wanted (57, 2), and where that is (side, side)."""
        field = self._pull.field(shown[self._points] - wanted[self._points])
        moved = np.clip(np.abs(field).max(axis=2) / np.float32(SEEN), 0, 1)
        return warped(crop, field), np.asarray(cv2.multiply(spread(moved, len(crop)), self._inside), np.float32)
