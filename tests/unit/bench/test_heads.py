"""The benchmark's own arithmetic: closures, offsets, means."""

from __future__ import annotations

import numpy as np
import pytest

from bench.heads import closure, cross, tables
from demo.speech import Phoneme

OWN = np.linspace(0, 1, 101)
"""Training frames whose openings have quantiles that are easy to tell: shut up to .3, open from .5."""


def _recital(*phones: tuple[str, float, float]) -> closure.Recital:
    return closure.Recital("nobody", np.zeros(16_000 * 2, np.float32), tuple(Phoneme(*phone) for phone in phones))


def test_lips_that_do_as_they_should_and_lips_that_do_not() -> None:
    recital = _recital(("ˈm", 0.4, 0.48), ("æ", 0.48, 0.8), ("p", 0.8, 0.84), ("aɪ", 0.84, 0.88), ("", 0.88, 1.6))
    right = np.full(50, 0.6)
    right[:12], right[20], right[22:] = 0.1, 0.1, 0.3
    expected = {"m, b, p": 1, "silence": 1, "a": 1, "phones mbp": 2, "phones a": 1}
    found = closure.shares(recital, right, OWN)
    assert {name: found[name] for name in expected} == expected
    assert found["frames silent"] == 6 + 24  # .08 to .32 s, and .96 to 1.92 s
    wrong = closure.shares(recital, 0.4 + np.zeros(50), OWN)
    assert (wrong["m, b, p"], wrong["silence"], wrong["a"]) == (0, 0, 0)
    assert np.array(recital.closures) == pytest.approx(np.array([[0.4, 0.48], [0.765, 0.81]]))


@pytest.mark.parametrize("offset_ms", [-50, 0, 120])
def test_a_sound_is_moved_into_step(offset_ms: int) -> None:
    sound = np.zeros(16_000, np.float32)
    sound[8000 + 16 * offset_ms] = 1  # positive: the sound that belongs to a frame comes later in the file
    moved = cross.shifted(sound, offset_ms)
    assert len(moved) == len(sound)
    assert moved.argmax() == 8000
    ends = cross.shifted(np.ones(16_000, np.float32), offset_ms)
    assert ends.sum() == 16_000 - 16 * abs(offset_ms)


def test_tables_have_means_and_dashes() -> None:
    rows = [{"psnr": 30.0, "ssim": 0.9}, {"psnr": 32.0}]
    found = tables.summary(rows)
    assert found["mean of 2"] == {"psnr": 31.0}
    assert found["standard deviation"]["psnr"] == pytest.approx(2**0.5)
    text = tables.table({"one": rows[0], "two": rows[1]}, {"psnr": ".1f", "ssim": ".2f"})
    assert text.splitlines() == [
        "|  | psnr | ssim |",
        "|---|---|---|",
        "| one | 30.0 | 0.90 |",
        "| two | 32.0 | – |",
        "",
    ]
