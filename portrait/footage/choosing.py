"""Which frames of a recording replies play on, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from portrait.arrays import Indices
from portrait.footage import jumps as joints
from portrait.footage.jumps import MARGIN, Looks
from portrait.footage.walk import LEAST, Footage, following
from portrait.tracking.segments import runs

SHORTEST = 50
"""Frames of the shortest stretch worth keeping, if there is a longer one."""
IDLE = range(200, 626)
"""Frames of an idle loop, where the footage has one as long."""
SEAMS = (1.5, 2.0, joints.COARSEST)
"""Largest seams of jumps, in turn, until most of the footage hangs together by them."""
ENOUGH = 0.8

Stretch = tuple[int, int]


def stretches(segments: Iterable[Stretch], found: NDArray[np.bool_], most: int) -> list[Stretch]:
    """Stretches without a cut and with a face throughout, the longest first, `most` frames in all; then by time."""
    segments = list(segments)
    whole = [(a + first, a + last) for a, b in segments for first, last in runs(found[a:b])] or segments
    chosen: list[Stretch] = []
    for start, end in sorted(whole, key=lambda s: s[0] - s[1]):
        spare = max(0, end - start - most)
        if not chosen or end - start - spare >= SHORTEST:
            chosen.append((start + spare // 2, end - (spare - spare // 2)))
            most -= end - start - spare
    return sorted(chosen)


def choose(looks: Looks, parts: list[Stretch]) -> tuple[NDArray[np.intp], Footage]:
    """The frames to keep of a recording, from what can be played in `parts` without a visible jump, and their graph."""
    inside, parts = _condensed(parts)
    looks = looks[inside]
    jumps = _woven(looks, parts)
    if not len(jumps):
        parts = [max(parts, key=lambda part: part[1] - part[0])]
        jumps = joints.closing(looks, parts[0])
    kept, places = _condensed(_played(jumps, parts))
    jumps, looks = np.searchsorted(kept, jumps).astype(np.int32), looks[kept]
    landings = _landings(looks, jumps[0], places)
    return inside[kept], Footage(np.array(places, np.int32), jumps, looks.activity.astype(np.float32), landings)


def _condensed(parts: list[Stretch]) -> tuple[NDArray[np.intp], list[Stretch]]:
    """The frames of stretches, and where the stretches lie among them."""
    ends = np.cumsum([b - a for a, b in parts])
    places = [(int(end - (b - a)), int(end)) for end, (a, b) in zip(ends, parts, strict=True)]
    return np.concatenate([np.arange(a, b) for a, b in parts]), places


def _woven(looks: Looks, parts: list[Stretch]) -> Indices:
    """Jumps that all lead to each other and leave little footage out; the one that closes the idle loop first."""
    found, seams = joints.find(looks, parts)
    best, covered = found[:0], 0
    for seam in SEAMS:
        jumps = found[seams <= seam]
        follows = following(jumps, np.array(parts, np.int32), LEAST)
        together = connected_components(follows, directed=True, connection="strong")[1]
        for group in np.unique(together):
            mine = jumps[together == group]
            count = sum(b - a for a, b in _played(mine, parts))
            if count > covered and len(homes := _closing_idle(mine, parts)):
                best, covered = _first(mine, homes, looks.activity), count
        if covered >= ENOUGH * sum(b - a for a, b in parts):
            break
    return best


def _closing_idle(jumps: Indices, parts: list[Stretch]) -> NDArray[np.intp]:
    """Which jumps may close an idle loop: back within a stretch, not too far, and not too near if there are others."""
    lengths = jumps[:, 0] - jumps[:, 1] + 1
    lengths[_place(jumps[:, 0], parts) != _place(jumps[:, 1], parts)] = 0
    lengths[lengths >= IDLE.stop] = 0
    least = max(LEAST + 1, min(IDLE.start, round(0.7 * lengths.max(initial=0))))
    return np.flatnonzero(lengths >= least)


def _first(jumps: Indices, homes: NDArray[np.intp], activity: NDArray[np.float32]) -> Indices:
    calm = [activity[jumps[home, 1] : jumps[home, 0] + 1].mean() for home in homes]
    home = homes[int(np.argmin(calm))]
    return np.concatenate([jumps[home : home + 1], np.delete(jumps, home, axis=0)])


def _place(frames: NDArray[np.int32], parts: list[Stretch]) -> NDArray[np.intp]:
    return np.searchsorted([a for a, _ in parts], frames, side="right")


def _played(jumps: Indices, parts: list[Stretch]) -> list[Stretch]:
    """What of each part lies between its first and last jump, with the margins that fades need."""
    played = []
    for start, end in parts:
        reached = jumps[:, 1][(jumps[:, 1] >= start) & (jumps[:, 1] < end)]
        left = jumps[:, 0][(jumps[:, 0] >= start) & (jumps[:, 0] < end)]
        if len(reached) and len(left):
            played.append((max(start, int(reached.min()) - MARGIN), min(end, int(left.max()) + MARGIN + 1)))
    return played


def _landings(looks: Looks, home: NDArray[np.int32], places: list[Stretch]) -> Indices:
    last, first = (int(v) for v in home)
    inside = np.arange(first + MARGIN, max(last + 1 - MARGIN, first + MARGIN + 1))
    inside = np.minimum(inside, last)
    apart = np.sum(looks.distances(looks[inside], places), axis=0)
    return np.asarray(inside[apart.argmin(axis=1)] - first, np.int32)
