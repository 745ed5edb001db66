"""How far a training is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from portrait.parameters import STAGES

SHARE = {
    "preprocess": 0.05,
    "track": 0.05,
    "align": 0.06,
    "motion": 0.08,
    "face": 0.62,
    "evaluate": 0.1,
    "package": 0.04,
}
"""Of the whole, by stage."""


@dataclass(frozen=True)
class Progress:
    """How far training is: `fraction` of the whole, `step` of `steps` in the stage, sometimes a `preview` picture."""

    stage: str
    fraction: float
    step: int
    steps: int
    loss: float | None = None
    eta_s: float | None = None
    preview: Path | None = None


class Teller:
    """Makes of steps in a stage the progress of a whole training, and tells it."""

    def __init__(self, tell: Callable[[Progress], None], face_seconds: float) -> None:
        """`face_seconds` is what the image network's stage may take."""
        self._tell, self._face_seconds = tell, face_seconds
        self._began = time.monotonic()
        self.stage = STAGES[0]

    def step(self, step: int, steps: int, loss: float | None = None, preview: Path | None = None,
             eta_s: float | None = None) -> None:  # fmt: skip
        """So many `steps` of the stage are done; `eta_s` is given by who knows it better than the pace so far."""
        before = sum(SHARE[s] for s in STAGES[: STAGES.index(self.stage)])
        fraction = min(1.0, before + SHARE[self.stage] * step / max(steps, 1))
        eta_s = self._eta(fraction) if eta_s is None else eta_s
        self._tell(Progress(self.stage, fraction, step, steps, loss, eta_s, preview))

    def _eta(self, fraction: float) -> float | None:
        """Seconds left, from the pace so far; what comes before the image network says nothing about its pace."""
        elapsed = time.monotonic() - self._began
        early = sum(SHARE[s] for s in STAGES[:4])
        if elapsed < 2 or fraction <= 0:
            return None
        if fraction >= early:
            return elapsed * (1 - fraction) / fraction
        return elapsed * (early - fraction) / fraction + 1.2 * self._face_seconds
