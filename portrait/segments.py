"""Hidden cuts in a recording, and the stretches between them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.geometry import Floats
from portrait.tracking import STABLE, interocular
from portrait.video import Frame

JUMP = 0.06
"""Least jump of the face between frames, in inter-ocular distances, that can be a cut."""
CONTRAST = 5.0
"""How much a cut's jump exceeds the motion around it."""
AROUND = 12


def glimpse(picture: Frame) -> NDArray[np.uint8]:
    """A 32 x 32 grey version of a frame: enough to tell a cut from motion."""
    return cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)


def split(points: Floats, found: NDArray[np.bool_], glimpses: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Stretches (start, end) without a cut, from mesh points (T, 478, 3) and glimpses (T, 32, 32)."""
    stable = points[:, list(STABLE), :2]
    jumps = np.linalg.norm(np.diff(stable, axis=0), axis=-1).mean(axis=1) / interocular(points)[1:]
    changes = np.abs(np.diff(glimpses.astype(np.float32), axis=0)).mean(axis=(1, 2))
    cut = _spikes(jumps, JUMP) | _spikes(changes, 4.0)
    cut |= found[1:] != found[:-1]
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(points)]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _spikes(values: Floats, least: float) -> NDArray[np.bool_]:
    """Where a value is large, and much larger than its neighbourhood's median."""
    padded = np.pad(values, AROUND, mode="reflect" if len(values) > AROUND else "edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1), axis=1)
    return (values > least) & (values > CONTRAST * around)


def longest(segments: list[tuple[int, int]], found: NDArray[np.bool_], most: int) -> tuple[int, int]:
    """The stretch for a base loop: the longest with a face throughout, at most `most` frames of its middle."""
    faces = [(a, b) for a, b in segments if found[a:b].all()] or segments
    start, end = max(faces, key=lambda s: s[1] - s[0])
    spare = max(0, end - start - most)
    return start + spare // 2, end - (spare - spare // 2)
