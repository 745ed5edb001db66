"""The skin around a few points follows them, within a reach; the crop's border stays."""

from __future__ import annotations

import cv2
import numpy as np

from portrait.geometry import Canon, Floats
from portrait.video import Frame

STIFFNESS = 0.05
"""Ridge: how little landmarks are believed to the pixel."""
CELLS = 20
"""The warp is worked out at so many places along each side; between them it is linear."""


class Pull:
    """Gaussian radial basis functions around fixed points, worked out once (Ruprecht and Müller 1995)."""

    def __init__(self, points: Floats, canon: Canon, reach: float) -> None:
        """`points` (N, 2) and `reach`, a Gaussian's sigma, in inter-ocular distances."""
        self._side, self._iod = canon.side, np.float32(canon.iod)
        middles = (np.arange(CELLS) + 0.5) * canon.side / CELLS - 0.5
        cells = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        edge = np.linspace(0, canon.side, 7)
        border = np.array([(x, y) for a in edge for b in (0, canon.side) for x, y in ((a, b), (b, a))])
        anchors, sigma = np.concatenate([points * canon.iod, border]), reach * canon.iod
        between = _bump(anchors, anchors, sigma) + STIFFNESS * np.eye(len(anchors))
        weights = _bump(cells, anchors, sigma) @ np.linalg.inv(between)
        self._weights = weights[:, : len(points)].astype(np.float32)

    def field(self, offsets: Floats) -> Floats:
        """Where each pixel is taken from, relative to itself (side, side, 2), when the points move by -offsets (N, 2).

        Offsets lead from where the points shall be to where they are, in inter-ocular distances.
        """
        coarse = (self._weights @ (offsets * self._iod)).reshape(CELLS, CELLS, 2)
        return cv2.resize(coarse, (self._side, self._side), interpolation=cv2.INTER_LINEAR)


def _bump(a: Floats, b: Floats, sigma: float) -> Floats:
    return np.exp(-np.square(a[:, None] - b[None]).sum(axis=-1) / (2 * sigma**2))


def warped(crop: Frame, field: Floats) -> Frame:
    """A crop (side, side, 3) sampled where the field says."""
    rows, columns = np.indices(crop.shape[:2], np.float32)
    places = np.dstack([columns + field[..., 0], rows + field[..., 1]])
    return cv2.remap(crop, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
