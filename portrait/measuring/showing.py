"""The moments of two videos that a report shows beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats, Frame
from portrait.measuring.metrics import LIPS, aperture
from portrait.tracking.faces import interocular

STRIP = 25
SHOWN, MOUTH_SHOWN = 420, 240
"""Most pixels that a frame is shown in, and the pixels of an enlarged mouth."""


@dataclass(frozen=True)
class Pair:
    """A moment of both videos, small enough to show: whole frames, and the mouths enlarged."""

    index: int
    true: Frame
    made: Frame
    true_mouth: Frame
    made_mouth: Frame


@dataclass(frozen=True)
class Showing:
    """What a report shows: the best, the middle and the worst moment by name, and consecutive ones."""

    moments: dict[str, Pair] = field(default_factory=dict)
    strip: list[Pair] = field(default_factory=list)


def showing(
    true: Iterable[Frame],
    made: Iterable[Frame],
    true_points: Floats,
    made_points: Floats,
    error: NDArray[np.floating | np.integer],
) -> Showing:
    """The best, middle and worst frame by `error` (T,), and the 25 consecutive ones where the true lips move most."""
    count = len(error)
    order = np.argsort(error)
    names = {"best": int(order[0]), "middle": int(order[count // 2]), "worst": int(order[-1])}
    first = _liveliest(aperture(true_points), min(STRIP, count))
    wanted = {*names.values(), *range(first, first + min(STRIP, count))}
    pairs = enumerate(islice(zip(true, made, strict=False), max(wanted) + 1))
    kept = {i: _pair(i, a, b, true_points[i], made_points[i]) for i, (a, b) in pairs if i in wanted}
    strip = [kept[index] for index in range(first, first + STRIP) if index in kept]
    return Showing({name: kept[index] for name, index in names.items()}, strip)


def _pair(index: int, true: Frame, made: Frame, true_points: Floats, made_points: Floats) -> Pair:
    mouths = (_mouth(picture, points) for picture, points in ((true, true_points), (made, made_points)))
    return Pair(index, _small(true), _small(made), *mouths)


def _small(picture: Frame) -> Frame:
    scale = min(1.0, SHOWN / max(picture.shape[:2]))
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mouth(picture: Frame, points: Floats) -> Frame:
    """A square around the lips, three quarters of an eye distance to each side, MOUTH_SHOWN pixels wide."""
    centre, reach = points[list(LIPS), :2].mean(axis=0), 0.75 * float(interocular(points))
    scale = MOUTH_SHOWN / (2 * reach)
    matrix = np.array([[scale, 0, (reach - centre[0]) * scale], [0, scale, (reach - centre[1]) * scale]])
    return np.asarray(cv2.warpAffine(picture, matrix, (MOUTH_SHOWN, MOUTH_SHOWN), flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REPLICATE), np.uint8)  # fmt: skip


def _liveliest(opening: Floats, length: int) -> int:
    spans = np.lib.stride_tricks.sliding_window_view(opening, length)
    return int(spans.std(axis=1).argmax())
