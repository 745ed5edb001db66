"""Which part of a recording is learned from, and which is kept aside to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 0.15
"""Part of the clip that is never trained on."""
GAP = 8
"""Frames beside it that are not trained on either: a mouth a few frames away is nearly the same mouth."""

Fold = Literal["last", "middle", "first"]


@dataclass(frozen=True)
class Split:
    """One stretch of a recording is held out; an avatar keeps the end aside, a benchmark also its other folds.

    Raises:
        ValueError: there is no such fold.
    """

    fold: Fold = "last"

    def __post_init__(self) -> None:
        if self.fold not in ("last", "middle", "first"):
            raise ValueError(f"fold: {self.fold!r} is not one of last, middle, first")

    def held_out(self, count: int) -> range:
        """Indices of the held-out frames among `count`."""
        length = count - round(count * (1 - HELD_OUT))
        start = {"last": count - length, "middle": (count - length) // 2, "first": 0}[self.fold]
        return range(start, start + length)

    def training(self, count: int) -> NDArray[np.bool_]:
        """(count,) true for frames that may be trained on."""
        held = self.held_out(count)
        allowed = np.ones(count, bool)
        allowed[max(0, held.start - GAP) : held.stop + GAP] = False
        return allowed

    def __str__(self) -> str:
        return f"{self.fold} {HELD_OUT:.0%}"
