"""Where footage may jump from one frame to another unseen: like picture, like head, like eyes, moving alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from portrait.arrays import Floats
from portrait.tracking.faces import STABLE, interocular
from portrait.tracking.geometry import Canon, steady

MARGIN = 2
"""Frames that a stretch has before and behind a jump, for the cross-fade."""
FADE = 2 * MARGIN
"""Frames over which one run turns into the next."""
SEEN = 1.5
"""Largest difference between consecutive frames of a cross-fade, against the 95th percentile of the footage's own."""
COARSEST = 2.5
"""Largest seam that a cross-fade is asked to hide."""
BLINK = 0.75
"""An eye is shut when it is open to less than this part of its usual opening."""
APART = 50
"""Least frames between the two ends of a jump."""
BLOCK = 15
"""One jump, the best, for each block of so many frames it may leave and so many it may reach."""
EYES = ((159, 145, 33, 133, 468), (386, 374, 362, 263, 473))
"""Upper and lower lid, outer and inner corner, iris: of each eye, in the mesh."""

Stretches = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Looks:
    """Frames (T) as far as a jump could be seen in them; each row is a vector whose distances mean something."""

    picture: Floats
    """(T, N) grey levels outside the mouth, coarsely."""
    head: Floats
    """(T, 16) where the head is, in inter-ocular distances."""
    eyes: Floats
    """(T, 6) how far the lids are open and where the eyes look."""
    motion: Floats
    """(T, 16) how fast the head moves, in inter-ocular distances a frame."""

    @classmethod
    def of(cls, points: Floats, glimpses: NDArray[np.uint8], matrices: Floats, canon: Canon, stretches: Stretches,
           size: int) -> Looks:  # fmt: skip
        """From mesh points (T, 478, 3), glimpses (T, 32, 32) and crop matrices (T, 2, 3) of frames `size` wide."""
        outside = ~_mouth(matrices, canon, size, glimpses.shape[1])
        iod = float(np.median(interocular(points)))
        head = steady(points[:, list(STABLE), :2].reshape(len(points), -1) / iod, list(stretches))
        motion = np.zeros_like(head)
        for start, end in stretches:
            if end - start > 1:
                motion[start:end] = np.gradient(head[start:end], axis=0)
        return cls(glimpses[:, outside].astype(np.float32), head, _eyes(points), motion)

    @property
    def awake(self) -> NDArray[np.bool_]:
        """(T,) frames with open eyes, and none but such within MARGIN: a blink is never cut in two."""
        opening = self.eyes[:, [0, 3]].min(axis=1)
        shut = opening < BLINK * np.median(opening)
        return ~binary_dilation(shut, iterations=MARGIN + 1)

    @property
    def activity(self) -> Floats:
        """(T,) speed of the head, in inter-ocular distances a frame."""
        return np.asarray(np.linalg.norm(self.motion.reshape(len(self.motion), -1, 2), axis=2).mean(axis=1), np.float32)

    def __getitem__(self, frames: NDArray[np.intp]) -> Looks:
        return Looks(self.picture[frames], self.head[frames], self.eyes[frames], self.motion[frames])

    def __len__(self) -> int:
        return len(self.picture)

    def distances(self, other: Looks, stretches: Stretches) -> list[Floats]:
        """(len(self), len(other)) distances by aspect: 1 is the 95th percentile of this footage's own steps."""
        aspects = [(getattr(self, name), getattr(other, name)) for name in ("picture", "head", "eyes", "motion")]
        return [_apart(a, b) / steps(a, stretches) for a, b in aspects]


def steps(rows: Floats, stretches: Stretches) -> float:
    """95th percentile of the distance between consecutive rows (T, N)."""
    apart = [np.linalg.norm(np.diff(rows[a:b], axis=0), axis=1) for a, b in stretches]
    joined = np.concatenate(apart)
    return float(np.quantile(joined, 0.95)) + 1e-6 if len(joined) else 1.0


def find(looks: Looks, stretches: Stretches) -> tuple[NDArray[np.int32], Floats]:
    """Jumps (J, 2), each the last frame shown and the next, and their seams (J,), the least first.

    A seam of 1 is the 95th percentile of how consecutive frames of this footage differ; what differs at a jump is
    the frame that comes from the one that would have followed.
    """
    awake = looks.awake
    cost = np.max(looks.distances(looks, stretches), axis=0)
    allowed = _allowed(len(looks), stretches, APART) & awake[:, None] & awake[None]
    cost = np.where(allowed, cost, np.inf)
    leaving, reaching = _block_minima(cost)
    seams = cost[leaving, reaching]
    order = np.argsort(seams, kind="stable")[: (seams < COARSEST).sum()]
    jumps, seams = np.stack([leaving[order] - 1, reaching[order]], axis=1).astype(np.int32), seams[order]
    unseen = faded(looks.picture, jumps) <= SEEN * steps(looks.picture, stretches)
    return jumps[unseen], seams[unseen]


def faded(pictures: Floats, jumps: NDArray[np.int32]) -> Floats:
    """(J,) largest distance between consecutive pictures (T, N) on the way through each jump, cross-faded."""
    before = np.zeros(len(jumps), np.float32)
    last: Floats | None = None
    for step in range(-MARGIN - 1, MARGIN + 1):
        share = float(np.clip((step + MARGIN + 0.5) / FADE, 0, 1))
        leaving = np.clip(jumps[:, 0] + 1 + step, 0, len(pictures) - 1)
        reaching = np.clip(jumps[:, 1] + step, 0, len(pictures) - 1)
        picture = (1 - share) * pictures[leaving] + share * pictures[reaching]
        if last is not None:
            before = np.maximum(before, np.linalg.norm(picture - last, axis=1))
        last = picture
    return before


def closing(looks: Looks, stretch: tuple[int, int]) -> NDArray[np.int32]:
    """(1, 2) the best jump back that keeps at least half of a stretch; whatever it looks like, there is no other."""
    start, end = stretch
    cost = np.sum(looks.distances(looks, [stretch]), axis=0)
    cost = np.where(_allowed(len(looks), [stretch], 1), cost, np.inf)
    later, earlier = np.mgrid[: len(looks), : len(looks)]
    cost[later - earlier < (end - start) // 2] = np.inf
    if not np.isfinite(cost).any():
        return np.array([[end - 1, start]], np.int32)
    leaving, reaching = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return np.array([[leaving - 1, reaching]], np.int32)


def _apart(a: Floats, b: Floats) -> Floats:
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(square, 0)), np.float32)


def _allowed(count: int, stretches: Stretches, least: int) -> NDArray[np.bool_]:
    """(T, T) which frame (column) may stand for which (row): far apart, and with frames to fade into on both sides."""
    leave, reach = np.zeros(count, bool), np.zeros(count, bool)
    stretch = np.zeros(count, np.int32)
    for index, (start, end) in enumerate(stretches):
        leave[start + MARGIN : end - MARGIN + 1] = reach[start + MARGIN : end - MARGIN + 1] = True
        stretch[start:end] = index
    frames = np.arange(count)
    far = np.abs(frames[:, None] - frames[None]) >= least
    return np.asarray(leave[:, None] & reach[None] & (far | (stretch[:, None] != stretch[None])), bool)


def _block_minima(cost: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of the least value in each BLOCK x BLOCK part of a square matrix."""
    count = -(-len(cost) // BLOCK)
    padded = np.full((count * BLOCK, count * BLOCK), np.inf, np.float32)
    padded[: len(cost), : len(cost)] = cost
    parts = padded.reshape(count, BLOCK, count, BLOCK).transpose(0, 2, 1, 3).reshape(count, count, -1)
    best = parts.argmin(axis=2)
    rows = np.arange(count)[:, None] * BLOCK + best // BLOCK
    columns = np.arange(count)[None] * BLOCK + best % BLOCK
    inside = (rows < len(cost)) & (columns < len(cost))
    return rows[inside], columns[inside]


def _mouth(matrices: Floats, canon: Canon, size: int, side: int) -> NDArray[np.bool_]:
    """(side, side) cells of a glimpse in which a mouth is generated in any typical frame."""
    middle = cv2.invertAffineTransform(np.median(matrices, axis=0).astype(np.float64))
    area = cv2.warpAffine(canon.mask, middle, (size, size))
    return cv2.resize(area, (side, side), interpolation=cv2.INTER_AREA) > 0


def _eyes(points: Floats) -> Floats:
    """(T, 6): each eye's opening and its iris' place, in its own width; a closed eye looks nowhere."""
    seen = []
    for upper, lower, outer, inner, iris in EYES:
        corner, axis = points[:, outer, :2], points[:, inner, :2] - points[:, outer, :2]
        width = np.linalg.norm(axis, axis=1, keepdims=True) + 1e-6
        opening = np.linalg.norm(points[:, upper, :2] - points[:, lower, :2], axis=1, keepdims=True) / width
        gaze = (points[:, iris, :2] - corner - axis / 2) / width
        seen += [opening, gaze]
    return np.concatenate(seen, axis=1).astype(np.float32)
