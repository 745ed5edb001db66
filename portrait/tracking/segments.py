"""Hidden cuts in a recording, and the stretches between them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats, Frame
from portrait.tracking.faces import interocular

CHANGE = 0.5
"""Least mean change of the picture at a cut, in grey levels."""
NEW_SCENE = 20.0
"""Change that is a cut even if the new face is where the old one was."""
CONTRAST = 2.0
"""How much picture and face change more, at least, than in the two frames before and after; a nod takes several."""
TOGETHER = 10.0
"""What the two contrasts multiply to at a cut: measured on GRID sentences joined where the head hardly moves."""
MISSED = 5
"""Most frames for which a face may be missed within a stretch."""
NONE = np.zeros(0, np.int64)


def glimpse(picture: Frame) -> NDArray[np.uint8]:
    """A 32 x 32 grey version of a frame: enough to tell a cut from motion."""
    return np.asarray(
        cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA), np.uint8
    )


def cuts(
    points: Floats, found: NDArray[np.bool_], glimpses: NDArray[np.uint8], starts: NDArray[np.int64] = NONE
) -> list[tuple[int, int]]:
    """Stretches (start, end) without a cut, from mesh points (T, 478, 3) and glimpses (T, 32, 32).

    `starts` are frames known to follow a cut. A face missed for a moment parts nothing, one that is away does.
    """
    moved = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1).mean(axis=1) / interocular(points)[1:]
    changes = np.abs(np.diff(glimpses.astype(np.float32), axis=0)).mean(axis=(1, 2))
    face, scene = _contrast(moved), _contrast(changes)
    cut = (changes > CHANGE) & (scene > CONTRAST) & (face > CONTRAST) & (face * scene > TOGETHER)
    cut |= (changes > NEW_SCENE) & (scene > 2 * CONTRAST)
    away = np.zeros(len(points) + 1, bool)
    for start, end in runs(~found):
        away[[start, end]] = end - start > MISSED
    cut |= away[1:-1]
    cut[[start - 1 for start in starts if 0 < start < len(points)]] = True
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(points)]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _contrast(values: Floats) -> Floats:
    """How many times larger a value is than its four neighbours."""
    padded = np.pad(values, 2, mode="edge")
    beside = np.max([padded[i : i + len(values)] for i in (0, 1, 3, 4)], axis=0)
    return np.asarray(values / (beside + 1e-6), np.float32)


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches (start, end) of true values."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
