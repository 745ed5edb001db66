"""How far the mouth moves can be chosen; that lips shut cannot be lost by it."""

from __future__ import annotations

import numpy as np
import pytest

from portrait import Expression

REST = np.array([0.2, -0.4, 0.1], np.float32)
APERTURE = np.array([0.03, 0.01, 0.0], np.float32)


def _opening(coefficients: np.ndarray) -> np.ndarray:
    return (coefficients - REST) @ APERTURE


def test_an_open_mouth_opens_in_proportion() -> None:
    open_wide = REST + np.array([[2.0, 1.0, -1.0]], np.float32)
    for amplitude in (0.5, 1.0, 1.5):
        shaped = Expression(amplitude).shape(open_wide, REST, APERTURE)
        assert _opening(shaped) == pytest.approx(amplitude * _opening(open_wide), rel=1e-4)
        assert shaped[0, 2] - REST[2] == pytest.approx(-amplitude, rel=1e-4)


def test_shut_lips_stay_shut_whatever_the_amplitude() -> None:
    pressed = REST + np.array([[-0.5, 0.3, 1.0], [0.0, 0.0, 2.0]], np.float32)
    for amplitude in (0.5, 1.0, 1.5):
        shaped = Expression(amplitude).shape(pressed, REST, APERTURE)
        assert _opening(shaped) == pytest.approx(_opening(pressed), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mouth_amplitude": 0.4}, "mouth_amplitude: 0.4 is not between 0.5 and 1.5"),
        ({"mouth_amplitude": float("nan")}, "mouth_amplitude"),
        ({"head_motion": 1.1}, "head_motion: 1.1 is not between 0 and 1"),
    ],
)
def test_what_is_out_of_bounds_is_named(values: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Expression(**values)
