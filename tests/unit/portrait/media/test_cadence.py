"""Copies of frames are known from frames, and what remains is shown when it was filmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from portrait.media.cadence import find
from portrait.media.video import frames, stills


def drifting(index: int) -> np.ndarray:
    """A frame unlike any other, its number told by its mean."""
    y, x = np.mgrid[:96, :96] / 96
    return (
        (40 + index + 25 * np.sin(9 * x + 0.8 * index) * np.cos(7 * y - 0.5 * index))[..., None]
        .repeat(3, -1)
        .astype(np.uint8)
    )


def changes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    thumbnails, times = [], []
    for second, still in stills(path):
        thumbnails.append(still.thumbnail())
        times.append(second)
    moved = np.abs(np.diff(np.array(thumbnails), axis=0, prepend=thumbnails[:1])).mean(axis=(1, 2))
    return moved.astype(np.float32), np.array(times)


@pytest.mark.parametrize("place", [0, 3, 5])
def test_twenty_five_converted_to_thirty(record: Callable[..., Path], place: int) -> None:
    """Every sixth frame is a copy; wherever it is, the original frames come back one by one."""
    filmed = [i - (i // 6) - (i % 6 >= place) + (place == 0) for i in range(150)]
    path = record([drifting(max(0, number)) for number in filmed], fps=30)
    cadence = find(*changes(path))
    assert cadence is not None
    assert (cadence.period, set(cadence.phases)) == (6, {place})
    numbers = [float(shown.mean()) for _, shown in frames(path, cadence=cadence)]
    assert np.diff(numbers) == pytest.approx(1, abs=0.6)  # neither a stutter nor a leap
    assert len(numbers) == pytest.approx(125, abs=1)


def test_a_pattern_that_moves_at_a_cut() -> None:
    moving = np.ones(360, np.float32)
    moving[2:180:6] = moving[184::6] = 0.01
    cadence = find(moving, np.arange(360) / 30)
    assert cadence is not None
    assert cadence.phases == (2, 2, 2, 4, 4, 4)


def test_ordinary_footage_has_no_copies() -> None:
    rng = np.random.default_rng(0)
    regular = np.arange(360) / 30
    assert find(rng.uniform(0.2, 2, 360).astype(np.float32), regular) is None
    assert find(np.zeros(360, np.float32), regular) is None  # a picture that stands still
    twice = np.where(np.arange(360) % 2, 0.01, 1).astype(np.float32)
    assert find(twice, regular) is None  # 12.5 shown as 25: nothing is gained by leaving copies out
    copies = np.where(np.arange(360) % 6, 1, 0.01).astype(np.float32)
    assert find(copies, np.cumsum(rng.uniform(0.02, 0.06, 360))) is None  # irregular times already tell


def test_real_recordings(shared_data: Path) -> None:
    assert find(*changes(shared_data / "videos" / "mimictalk_may_en_5s.mp4")) is None
    cadence = find(*changes(shared_data / "videos" / "tfgui_segment10_en_5s.mp4"))
    assert cadence is not None
    assert cadence.period == 5  # a conversion from 20 frames a second
