"""Hidden cuts in a recording, and the stretches between them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.geometry import Floats
from portrait.tracking import STABLE, interocular
from portrait.video import Frame

JUMP = 0.03
"""Least jump of the face at a cut, in inter-ocular distances."""
CHANGE = 2.0
"""Least mean change of the picture at a cut, in grey levels."""
NEW_SCENE = 20.0
"""Change that is a cut even if the new face is where the old one was."""
CONTRAST = 4.0
"""How much a cut exceeds the two frames before and after it; quick motion is quick for more than one frame."""


def glimpse(picture: Frame) -> NDArray[np.uint8]:
    """A 32 x 32 grey version of a frame: enough to tell a cut from motion."""
    return cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)


def cuts(points: Floats, found: NDArray[np.bool_], glimpses: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Stretches (start, end) without a cut, from mesh points (T, 478, 3) and glimpses (T, 32, 32)."""
    stable = points[:, list(STABLE), :2]
    jumps = np.linalg.norm(np.diff(stable, axis=0), axis=-1).mean(axis=1) / interocular(points)[1:]
    changes = np.abs(np.diff(glimpses.astype(np.float32), axis=0)).mean(axis=(1, 2))
    jumped, changed = _spikes(jumps, JUMP), _spikes(changes, CHANGE)
    cut = changed & (jumped | (changes > NEW_SCENE))
    cut |= found[1:] != found[:-1]
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(points)]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _spikes(values: Floats, least: float) -> NDArray[np.bool_]:
    """Where a value is large, and much larger than its neighbours."""
    padded = np.pad(values, 2)
    beside = np.max([padded[i : i + len(values)] for i in (0, 1, 3, 4)], axis=0)
    return (values > least) & (values > CONTRAST * beside)


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches (start, end) of true values."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
