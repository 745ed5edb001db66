"""Closures become frames, however they lie in them, and those that are over are forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.mouth.closures import Closures

FRAME_S = 0.04


def told(*spans: tuple[float, float], count: int = 10) -> list[float]:
    """How far lips are shut in each frame; spans are in frames."""
    closures = Closures()
    for start, end in spans:
        closures.add(start * FRAME_S, end * FRAME_S)
    return closures.over(0, count).round(3).tolist()


@pytest.mark.parametrize(
    ("span", "frames"),
    [
        ((3.5, 3.5001), {3: 1.0}),
        ((3.1, 3.4), {2: 0.4, 3: 1.0}),
        ((2.8, 3.5), {2: 0.7, 3: 1.0}),
        ((2.25, 4.75), {1: 0.25, 2: 1.0, 3: 1.0, 4: 1.0, 5: 0.25}),
        ((2.6, 3.2), {2: 1.0, 3: 0.7}),
        ((-1.0, 0.5), {0: 1.0}),
        ((-2.0, 0.2), {0: 0.7}),
        ((9.75, 14.0), {9: 0.75}),
        ((10.2, 10.8), {9: 0.3}),
    ],
)
def test_the_frame_of_the_middle_is_shut_and_others_as_far_as_covered(
    span: tuple[float, float], frames: dict[int, float]
) -> None:
    assert told(span) == [pytest.approx(frames.get(frame, 0.0)) for frame in range(10)]


def test_in_pieces_as_at_once() -> None:
    spans = [(start, start + 0.7) for start in np.arange(0.3, 90, 1.7)]
    whole, pieces = Closures(), Closures()
    for start, end in spans:
        whole.add(start * FRAME_S, end * FRAME_S)
        pieces.add(start * FRAME_S, end * FRAME_S)
    cuts = [0, 1, 7, 48, 49, 96]
    parts = [pieces.over(a, b - a) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    assert np.concatenate(parts) == pytest.approx(whole.over(0, 96))


def test_what_is_over_is_forgotten() -> None:
    closures = Closures()
    for second in range(1000):
        closures.add(second, second + 0.1)
        closures.over(25 * second, 25)
    assert len(closures._spans) <= 1


def test_a_closure_has_a_length() -> None:
    with pytest.raises(ValueError, match="no length"):
        Closures().add(1.0, 1.0)
