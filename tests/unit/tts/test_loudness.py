"""Louder and quieter, without a clip and without a seam."""

from __future__ import annotations

import numpy as np
import pytest

from services.tts.loudness import amplified


def test_a_gain_of_nothing_changes_nothing_and_a_small_one_is_exact() -> None:
    samples = np.linspace(-0.4, 0.4, 101, dtype=np.float32)
    assert amplified(samples, 0) is samples
    assert amplified(samples, 6) == pytest.approx(samples * 10 ** (6 / 20))
    assert amplified(samples, -24) == pytest.approx(samples * 10 ** (-24 / 20))


def test_peaks_are_bent_below_full_scale_and_keep_their_order() -> None:
    samples = np.linspace(-1, 1, 2001, dtype=np.float32)
    louder = amplified(samples, 3)
    assert np.abs(louder).max() < 1
    assert (np.diff(louder) > 0).all(), "no two levels become one, as clipping makes them"
    assert amplified(samples[700:900], 3) == pytest.approx(louder[700:900]), "pieces join without a seam"
