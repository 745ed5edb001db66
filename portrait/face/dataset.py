"""Training pairs for the image network, read from a memory map: any length of clip in a fixed amount of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats
from portrait.compute.workers import Workers
from portrait.face.jaw import Jaw
from portrait.tracking.faces import INNER_LIP, JAW, OUTER_LIP
from portrait.tracking.geometry import Canon

FRACTION_BITS = 4
AT_ONCE, PIECES_AHEAD = 8, 6
"""Batches that are prepared in one piece of work, and such pieces ahead: a GPU outruns one process."""
_INNER = len(OUTER_LIP) + len(INNER_LIP)


def contours(mouth: Floats, canon: Canon) -> NDArray[np.uint8]:
    """Draw a mouth (57, 2) as three anti-aliased half-resolution maps (3, side/2, side/2): lips, opening, jaw line."""
    half = canon.side // 2
    maps = np.zeros((3, half, half), np.uint8)
    # Centres of half-size pixels lie between pairs of full-size ones.
    points = mouth * (canon.iod / 2) - 0.25
    fixed = (points * (1 << FRACTION_BITS)).round().astype(np.int32)[:, None]
    outer, inner, jaw = fixed[: len(OUTER_LIP)], fixed[len(OUTER_LIP) : _INNER], fixed[_INNER:]
    cv2.fillPoly(maps[0], [outer], 255, cv2.LINE_AA, FRACTION_BITS)
    cv2.fillPoly(maps[1], [inner], 255, cv2.LINE_AA, FRACTION_BITS)
    cv2.polylines(maps[1], [inner], True, 128, 1, cv2.LINE_AA, FRACTION_BITS)
    cv2.polylines(maps[2], [jaw[_jaw_order()]], False, 255, 1, cv2.LINE_AA, FRACTION_BITS)
    return maps


def _jaw_order() -> list[int]:
    """JAW lists its outermost points last: draw from one ear to the other."""
    right_end, left_end = JAW.index(132), JAW.index(361)
    middle = [i for i in range(len(JAW)) if i not in (right_end, left_end)]
    return [right_end, *middle, left_end]


@dataclass(frozen=True)
class FaceData:
    """What the image network learns from."""

    canon: Canon
    crops: NDArray[np.uint8]
    """(T, side, side, 3) canonical crops, usually a memory map."""
    mouths: Floats
    """(T, 57, 2) true shapes in inter-ocular distances."""
    spread: Floats
    """(57, 2) … (K, 57, 2) shape directions of one standard deviation, for contour noise."""
    usable: NDArray[np.intp]
    """Indices that may be trained on."""

    def batch(
        self, size: int, rng: np.random.Generator, noise: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Random (ring crops, true crops) as (B, S, S, 3), contour maps (B, 3, S/2, S/2) and mouth boxes (B, S, S).

        Half the time what surrounds the mask comes from a neighbouring frame with another mouth, so that cheeks cannot
        tell the network what the contours should; its jaw follows, as it will in footage.
        """
        picks = rng.choice(self.usable, size)
        maps = [contours(self._jittered(i, rng, noise), self.canon) for i in picks]
        crops = self.crops[picks]
        near = np.where(rng.random(size) < 0.5, picks + rng.integers(-6, 7, size), picks)
        near = np.where(np.isin(near, self.usable), near, picks)
        boxes = np.stack([mouth_weight(self.mouths[i], self.canon) for i in picks])
        return self._surroundings(near, picks), crops, np.stack(maps), boxes

    def __getstate__(self) -> dict[str, Any]:
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        if isinstance(self.crops, np.memmap):  # another process maps the same file
            state["crops"] = self.crops.filename
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not isinstance(state["crops"], np.ndarray):
            state["crops"] = np.load(state["crops"], mmap_mode="r", allow_pickle=False)
        self.__dict__.update(state)

    def _surroundings(self, near: NDArray[np.intp], picks: NDArray[np.intp]) -> NDArray[np.uint8]:
        rings = self.crops[near]
        for row in np.flatnonzero(near != picks):
            rings[row], _ = self._jaw.follow(rings[row], self.mouths[near[row]], self.mouths[picks[row]])
        return rings

    @cached_property
    def _jaw(self) -> Jaw:
        return Jaw(self.mouths[self.usable].mean(axis=0), self.canon)

    def _jittered(self, index: int, rng: np.random.Generator, noise: float) -> Floats:
        amounts = rng.normal(0, noise, len(self.spread)).astype(np.float32)
        return np.asarray(self.mouths[index] + np.tensordot(amounts, self.spread, axes=1), np.float32)


def batches(
    data: FaceData, size: int, noise: float, seed: int, first: int, workers: Workers
) -> Iterator[tuple[NDArray[np.uint8], ...]]:
    """Batches from step `first` on without end, prepared ahead; each depends on the seed and its step only."""
    prepare = partial(_prepare, data, size, noise, seed)
    for some in workers.map(prepare, itertools.count(first, AT_ONCE), ahead=PIECES_AHEAD):
        yield from some


def _prepare(data: FaceData, size: int, noise: float, seed: int, first: int) -> list[tuple[NDArray[np.uint8], ...]]:
    steps = range(first, first + AT_ONCE)
    return [data.batch(size, np.random.default_rng([seed, step]), noise) for step in steps]


def mouth_weight(mouth: Floats, canon: Canon) -> NDArray[np.uint8]:
    """(side, side) 255 over the lips and what they enclose, with a margin: where errors count most."""
    area = np.zeros((canon.side, canon.side), np.uint8)
    hull = cv2.convexHull((mouth[: len(OUTER_LIP)] * canon.iod).round().astype(np.int32))
    cv2.fillConvexPoly(area, hull, 255)
    reach = max(1, round(0.08 * canon.iod))
    return np.asarray(
        cv2.dilate(area, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))), np.uint8
    )


def masked(crops: NDArray[np.uint8], canon: Canon) -> NDArray[np.uint8]:
    """Crops (…, S, S, 3) with the generated region greyed out."""
    return np.where(canon.mask[..., None] > 0, np.uint8(128), crops)
