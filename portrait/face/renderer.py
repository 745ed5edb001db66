"""What draws a mouth into frames, whatever the avatar was made from: avatars and synthesis know nothing beyond this."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from portrait.arrays import Arrays, Floats, Frame
from portrait.tracking.geometry import Canon

FACE = "face.safetensors"


class Renderer(ABC):
    """Draws mouths into frames. Holds no state between calls."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Time spent so far by step."""

    @abstractmethod
    def render(self, pictures: Sequence[Frame], matrices: Floats, shown: Floats, mouths: Floats) -> list[Frame]:
        """Pictures with mouths (N, 57, 2) drawn in under their matrices (N, 2, 3), instead of those `shown` (N, 57, 2).

        Mouths are in inter-ocular distances within the canonical crop.
        """

    @contextlib.contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Count the time of a block under `step`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - began


class Face(ABC):
    """Shape to picture, for one person."""

    KIND: ClassVar[str]
    """What it is made from, as avatar.json says it: "video" or "photo"."""
    overdraw: float
    """How much farther than wanted lips are drawn open: what draws them may close them by as much."""

    @abstractmethod
    def renderer(self, canon: Canon, device: str = "auto") -> Renderer:
        """What draws with it."""

    @abstractmethod
    def save(self, folder: Path) -> Arrays:
        """Write its own files into an avatar's folder; returns what belongs beside the person's other arrays."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, person: Arrays, canon: Canon) -> Self:
        """Read what `save` wrote; `person` holds what it returned, and `overdraw` (1,). ValueError for a bad file."""


def contiguous(arrays: Arrays) -> Arrays:
    """Arrays as safetensors needs them."""
    return {k: np.ascontiguousarray(v) for k, v in arrays.items()}
