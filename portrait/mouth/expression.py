"""How much a face does of what speech and footage tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait.arrays import Floats

AMPLITUDES = (0.5, 1.5)


@dataclass(frozen=True)
class Expression:
    """How lively an avatar is; as recorded where nothing is said.

    Raises:
        ValueError: a value, whose field is named, is out of bounds.
    """

    mouth_amplitude: float = 1.0
    """0.5 to 1.5: how far the mouth moves from rest, against what the speech asks for."""
    head_motion: float = 1.0
    """0 to 1: at 1 all of the footage is played; the less, the calmer what is chosen of it; at 0 the idle loop is."""

    def __post_init__(self) -> None:
        low, high = AMPLITUDES
        if not low <= self.mouth_amplitude <= high:
            raise ValueError(f"mouth_amplitude: {self.mouth_amplitude} is not between {low} and {high}")
        if not 0 <= self.head_motion <= 1:
            raise ValueError(f"head_motion: {self.head_motion} is not between 0 and 1")

    def shape(self, coefficients: Floats, rest: Floats, aperture: Floats) -> Floats:
        """Coefficients (N, 12) farther from or nearer to `rest` (12,); `aperture` (12,) is how they open the lips.

        Lips that are shut stay as they are in the direction that opens them: neither less shut nor pressed further.
        """
        away = coefficients - rest
        shut = np.minimum(away @ aperture, 0)
        opening = aperture / (aperture @ aperture + 1e-9)
        return np.asarray(
            rest + self.mouth_amplitude * away + ((1 - self.mouth_amplitude) * shut)[:, None] * opening, np.float32
        )


NEUTRAL = Expression()
