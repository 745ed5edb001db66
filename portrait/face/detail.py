"""What no network learns in minutes: stubble, lip creases, single teeth. They come from the person's own real mouths.

A few dozen training crops with different mouths are kept. The one most like the mouth to draw is warped onto it, and
its fine detail replaces that of the network's picture, whose colours and shapes stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans

from portrait.arrays import Floats, Frame
from portrait.face.warping import Pull, warped
from portrait.measuring.metrics import box_around, detail
from portrait.tracking.geometry import LIP_COUNT, Canon

MOUTHS = 128
"""Mouths kept of a person: fewer fit worse, more add little."""
CANDIDATES = 5
"""Frames nearest to a cluster's centre, of which the sharpest is kept."""
FINE = 0.016
"""Detail below this many inter-ocular distances (a Gaussian's sigma) is replaced."""
REACH = 0.146
"""How far a point of the mouth pulls the skin around it along, in inter-ocular distances (a Gaussian's sigma)."""
COLUMNS = 16
"""Crops beside each other on a sheet."""


@dataclass(frozen=True)
class Gallery:
    """Real mouths of one person."""

    crops: NDArray[np.uint8]
    """(K, side, side, 3) canonical crops."""
    mouths: Floats
    """(K, 57, 2) their shapes in inter-ocular distances."""

    def sheet(self) -> Frame:
        """All crops in one picture, COLUMNS beside each other."""
        side = self.crops.shape[1]
        filled = np.zeros((-(-len(self.crops) // COLUMNS) * COLUMNS, side, side, 3), np.uint8)
        filled[: len(self.crops)] = self.crops
        rows = filled.reshape(-1, COLUMNS, side, side, 3)
        return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(-1, COLUMNS * side, 3))

    @classmethod
    def of_sheet(cls, sheet: Frame, mouths: Floats) -> Gallery:
        """The gallery that a sheet and the mouths on it belong to."""
        side = sheet.shape[1] // COLUMNS
        tiles = sheet.reshape(-1, side, COLUMNS, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
        return cls(tiles[: len(mouths)], mouths)


def choose_gallery(
    crops: NDArray[np.uint8], mouths: Floats, usable: NDArray[np.intp], canon: Canon, count: int = MOUTHS
) -> Gallery:
    """Pick up to `count` sharp crops whose lips differ, from the `usable` ones of (T, side, side, 3) crops."""
    lips = _lips(mouths[usable]).astype(np.float64)
    start = lips[np.linspace(0, len(lips) - 1, min(count, len(lips))).round().astype(int)]
    centres, _ = kmeans(lips, start)
    sharpness = [_sharpness(crops[i], mouths[i], canon) for i in usable]
    near = [np.square(lips - centre).sum(axis=1).argsort()[:CANDIDATES] for centre in centres]
    chosen = usable[sorted({max(each, key=lambda i: sharpness[i]) for each in near})]
    return Gallery(np.stack([crops[i] for i in chosen]), mouths[chosen])


def _sharpness(crop: Frame, mouth: Floats, canon: Canon) -> float:
    box = box_around(mouth[:LIP_COUNT] * canon.iod, 0.1 * canon.iod, (canon.side, canon.side))
    return detail(np.ascontiguousarray(crop[box]))


def _lips(mouths: Floats) -> Floats:
    return mouths[:, :LIP_COUNT].reshape(len(mouths), -1)


class Detail:
    """Puts real detail into drawn crops. Holds no state between calls."""

    def __init__(self, gallery: Gallery, canon: Canon) -> None:
        self._gallery, self._canon = gallery, canon
        self._lips = _lips(gallery.mouths)
        self._weight = cv2.merge([canon.feather] * 3)
        self._sigma = FINE * canon.iod
        self._pulls = [Pull(mouth, canon, REACH) for mouth in gallery.mouths]

    def restore(self, drawn: Frame, mouth: Floats) -> Frame:
        """A drawn crop (side, side, 3) of a mouth (57, 2) with real fine detail inside the generated region."""
        real = self._moved(self.nearest(mouth), mouth)
        difference = cv2.subtract(real, drawn, dtype=cv2.CV_32F)
        coarse = cv2.GaussianBlur(difference, (0, 0), self._sigma)
        fine = cv2.multiply(cv2.subtract(difference, coarse), self._weight)
        return np.asarray(cv2.add(drawn, fine, dtype=cv2.CV_8U), np.uint8)

    def nearest(self, mouth: Floats) -> int:
        """Which of the gallery's mouths is most like this one (57, 2), in shape and in place."""
        return int(np.square(self._lips - mouth[:LIP_COUNT].reshape(-1)).sum(axis=1).argmin())

    def _moved(self, index: int, mouth: Floats) -> Frame:
        """A real crop with its mouth moved to where this one is."""
        return warped(self._gallery.crops[index], self._pulls[index].field(self._gallery.mouths[index] - mouth))
