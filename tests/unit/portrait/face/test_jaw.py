"""The footage's jaw goes where the drawn mouth's is; what is far from it stays."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.arrays import Floats
from portrait.face.jaw import Jaw
from portrait.tracking.geometry import LIP_COUNT, MOUTH_POINTS, Canon

CHIN = 34  # the row of the test picture's jaw line


def mouth(drop: float) -> Floats:
    """(57, 2) a mouth whose jaw line is a level row, `drop` pixels under the usual place."""
    points = np.full((len(MOUTH_POINTS), 2), 1.0, np.float32)
    points[LIP_COUNT:, 0] = np.linspace(-0.2, 2.2, len(MOUTH_POINTS) - LIP_COUNT)
    points[LIP_COUNT:, 1] = (CHIN + drop) / 24
    return points


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A bright face above a dark neck."""
    picture = np.full((48, 48, 3), 40, np.uint8)
    picture[:CHIN] = 200
    return picture


@pytest.mark.parametrize("drop", [-3, 0, 3])
def test_the_jaw_line_moves(canon: Canon, crop: np.ndarray, drop: int) -> None:
    moved, where = Jaw(mouth(0), canon).follow(crop, mouth(0), mouth(drop))
    edge = int((moved[:, 24, 0] > 120).sum())
    assert edge == pytest.approx(CHIN + drop, abs=1)
    assert (where[CHIN, 24] > 0.9) == (drop != 0)


def test_the_border_and_the_upper_face_stay(canon: Canon, crop: np.ndarray) -> None:
    moved, where = Jaw(mouth(0), canon).follow(crop, mouth(0), mouth(4))
    assert where[:10].max() < 0.1
    assert where[:, 0].max() == 0
    assert np.abs(moved[:10].astype(int) - crop[:10]).max() == 0
