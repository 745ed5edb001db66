"""Changing the rate of a stream: no delay, no seams."""

from __future__ import annotations

import numpy as np
import pytest

from services.render.sound import Resampler


def sine(rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * 300 * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("source", "target"), [(8000, 48_000), (22_050, 16_000), (44_100, 48_000), (16_000, 16_000)])
@pytest.mark.parametrize("piece", [160, 4096])
def test_pieces_join_without_a_seam_and_nothing_is_delayed(source: int, target: int, piece: int) -> None:
    resampler, samples = Resampler(source, target), sine(source)
    parts = [resampler.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    result = np.concatenate([*parts, resampler.flush()])
    assert len(result) == pytest.approx(target, abs=2)
    wanted = sine(target)[: len(result)]
    middle = slice(target // 50, -target // 50)
    assert np.abs(result[: len(wanted)] - wanted)[middle].max() < 0.02


def test_nothing_in_nothing_out() -> None:
    resampler = Resampler(8000, 16_000)
    assert len(resampler.push(np.zeros(0, np.float32))) == len(resampler.flush()) == 0
