"""A face from one photo: lips, chin and cheeks bent into a mouth's shape; takes the place of a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np
from safetensors.numpy import load_file, save_file

from portrait.arrays import Arrays, Floats, Frame
from portrait.face.inner_mouth import InnerMouth
from portrait.face.renderer import FACE, Face, Renderer, contiguous
from portrait.face.slit import Slit, below
from portrait.face.warping import Field, bend
from portrait.tracking.geometry import Canon, carried, reach, shifted

# Indices into the 57 points: 20 of the outer lip, 20 of the inner, 17 of the jaw.
UPPER_OUTER, LOWER_OUTER = (0, *range(19, 10, -1), 10), tuple(range(11))
UPPER_INNER, LOWER_INNER = (20, *range(39, 30, -1), 30), tuple(range(20, 31))
JAW = tuple(range(40, 57))
ABOVE, BENEATH = (*UPPER_OUTER, *UPPER_INNER, *JAW), (*LOWER_OUTER, *LOWER_INNER, *JAW)
STILL = (1, 2, 4, 5, 48, 278, 98, 327, 129, 358, 195, 197, 50, 280, 117, 346, 93, 323)
"""Mesh points of nose, cheekbones and ears, which speech does not move."""
RING = 10
"""Points on each side of the crop that stay, so that nothing moves at its edge."""
KNOTS = 24
"""Knots of the field on one inter-ocular distance."""


@dataclass(frozen=True)
class StillFace(Face):
    """The photo's mouth, and what is inside of it."""

    KIND: ClassVar[str] = "photo"
    overdraw = 1.0
    mouth: Floats
    """(57, 2) lips and jaw as the photo shows them, in inter-ocular distances in the canonical crop."""
    still: Floats
    """(S, 2) what stays, likewise."""
    inner: InnerMouth

    def renderer(self, canon: Canon, device: str = "auto") -> Renderer:
        """Bends on the processor, whatever the device."""
        return _StillRenderer(self, canon)

    def save(self, folder: Path) -> Arrays:
        """Write mouth, still points and what is inside."""
        inner = self.inner
        state: Arrays = {
            "mouth": self.mouth, "still": self.still, "teeth": inner.teeth, "cover": inner.cover.astype(np.float16),
            "cavity": inner.cavity, "tongue": inner.tongue,
        }  # fmt: skip
        save_file(contiguous(state), folder / FACE)
        return {}

    @classmethod
    def load(cls, folder: Path, person: Arrays, canon: Canon) -> Self:
        """Read what `save` wrote."""
        state = load_file(folder / FACE)
        cover = state["cover"].astype(np.float32)
        return cls(state["mouth"], state["still"],
                   InnerMouth(state["teeth"], cover, state["cavity"], state["tongue"], canon.iod))  # fmt: skip


def slit_of(mouth: Floats) -> Slit:
    """The edges of the inner lips of a mouth (57, 2)."""
    return Slit(mouth[list(UPPER_INNER)], mouth[list(LOWER_INNER)])


class _StillRenderer(Renderer):
    """Bends frames of a photo avatar's footage into mouths: shape, warp, inside; these are the steps timed."""

    def __init__(self, face: StillFace, canon: Canon) -> None:
        super().__init__()
        self._face, self._canon = face, canon
        self._step = max(2, round(canon.iod / KNOTS))
        points = face.mouth * canon.iod
        still = np.concatenate([face.still * canon.iod, _ring(canon.side)])
        self._fields = [
            (list(half), Field(points[list(half)], still, canon.side, self._step)) for half in (ABOVE, BENEATH)
        ]

    def render(self, pictures: Sequence[Frame], matrices: Floats, shown: Floats, mouths: Floats) -> list[Frame]:
        """Pictures whose mouths are bent; what they have `shown` is always the photo's."""
        return [self._draw(*each) for each in zip(pictures, matrices, mouths, strict=True)]

    def _draw(self, picture: Frame, matrix: Floats, mouth: Floats) -> Frame:
        canon = self._canon
        with self.timed("shape"):
            target = _uncrossed(mouth) * canon.iod
            slit = slit_of(target)
            under = below(slit, canon.side)
            moves = target - self._face.mouth * canon.iod
            above, beneath = (field.inverse(moves[half]) for half, field in self._fields)
        with self.timed("warp"):
            result = bend(picture, matrix, (above, beneath), self._step, under)
        with self.timed("inside"):
            self._fill(result, matrix, slit)
        return result

    def _fill(self, picture: Frame, matrix: Floats, slit: Slit) -> None:
        """Paint what is between the lips into the picture."""
        inside, shown, (left, top) = self._face.inner.draw(slit)
        if not shown.any():
            return
        height, width = picture.shape[:2]
        placed = matrix.astype(np.float64) - [[0, 0, left], [0, 0, top]]
        x0, y0, x1, y1 = reach(placed, shown.shape, width, height)
        if x1 <= x0 or y1 <= y0:
            return
        local, size = shifted(placed, x0, y0), (x1 - x0, y1 - y0)
        alpha = cv2.GaussianBlur(carried(shown, local, size), (0, 0), 0.6)
        region = picture[y0:y1, x0:x1]
        colours = carried(inside, local, size, cv2.BORDER_REPLICATE)
        region[:] = cv2.blendLinear(colours, np.ascontiguousarray(region), alpha, 1 - alpha)


def _uncrossed(mouth: Floats) -> Floats:
    """Inner lips that would pass through each other meet half-way."""
    result = mouth.copy()
    upper, lower = list(UPPER_INNER), list(LOWER_INNER)
    crossed = np.maximum(mouth[upper, 1] - mouth[lower, 1], 0) / 2
    result[upper, 1] -= crossed
    result[lower, 1] += crossed
    return result


def _ring(side: int) -> Floats:
    """Points all around a crop's edge."""
    along = np.linspace(0, side, RING, endpoint=False)
    zero = np.zeros(RING)
    edges = [(along, zero), (zero + side, along), (side - along, zero + side), (zero, side - along)]
    return np.concatenate([np.stack(edge, axis=1) for edge in edges]).astype(np.float32)
