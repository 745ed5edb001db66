"""Training pairs for the image network, read from a memory map: any length of clip in a fixed amount of memory."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.geometry import Canon, Floats
from portrait.jaw import Jaw
from portrait.tracking import INNER_LIP, JAW, OUTER_LIP

FRACTION_BITS = 4
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
        return self.mouths[index] + np.tensordot(amounts, self.spread, axes=1)


Batch = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


class Batches:
    """The batches of a training by step, prepared ahead by threads; each depends on the seed and its step only."""

    AHEAD = 8

    def __init__(self, data: FaceData, size: int, noise: float, seed: int, threads: int) -> None:
        self._data, self._size, self._noise, self._seed = data, size, noise, seed
        self._threads = ThreadPoolExecutor(threads, "batches")
        self._ahead: dict[int, Future[Batch]] = {}

    def __getitem__(self, step: int) -> Batch:
        """What `FaceData.batch` gives for a step."""
        for each in range(step, step + self.AHEAD):
            if each not in self._ahead:
                self._ahead[each] = self._threads.submit(self._prepare, each)
        return self._ahead.pop(step).result()

    def _prepare(self, step: int) -> Batch:
        return self._data.batch(self._size, np.random.default_rng([self._seed, step]), self._noise)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)


def mouth_weight(mouth: Floats, canon: Canon) -> NDArray[np.uint8]:
    """(side, side) 255 over the lips and what they enclose, with a margin: where errors count most."""
    area = np.zeros((canon.side, canon.side), np.uint8)
    hull = cv2.convexHull((mouth[: len(OUTER_LIP)] * canon.iod).round().astype(np.int32))
    cv2.fillConvexPoly(area, hull, 255)
    reach = max(1, round(0.08 * canon.iod))
    return cv2.dilate(area, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))


def masked(crops: NDArray[np.uint8], canon: Canon) -> NDArray[np.uint8]:
    """Crops (…, S, S, 3) with the generated region greyed out."""
    return np.where(canon.mask[..., None] > 0, np.uint8(128), crops)
