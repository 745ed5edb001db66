"""A planted offset is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from portrait.sound.offset import estimate


@pytest.mark.parametrize("planted_ms", [-200, -70, 0, 30, 160])
def test_planted_offset_is_recovered(planted_ms: int) -> None:
    rng = np.random.default_rng(5)
    hidden = gaussian_filter1d(rng.normal(size=(3000, 6)), 4, axis=0)  # 30 s at 100 Hz, as quick as syllables
    mixing = rng.normal(size=(6, 248))
    features = hidden @ mixing + rng.normal(scale=0.3, size=(3000, 248))
    middles = np.clip(4 * np.arange(750) + 2 + planted_ms // 10, 0, 2999)
    motion = hidden[middles] @ rng.normal(size=(6, 4))
    motion += rng.normal(scale=0.5 * motion.std(), size=motion.shape)
    found, scores = estimate(features.astype(np.float32), motion.astype(np.float32), np.ones(750, bool))
    assert abs(found - planted_ms) <= 20
    assert scores.max() > 0.5


def test_frames_left_out_do_not_count() -> None:
    rng = np.random.default_rng(6)
    hidden = gaussian_filter1d(rng.normal(size=(3000, 4)), 4, axis=0)
    features = hidden @ rng.normal(size=(4, 248))
    motion = hidden[np.clip(4 * np.arange(750) + 2 + 8, 0, 2999)]
    motion[500:] = rng.normal(size=(250, 4)) * 10
    found, _ = estimate(features.astype(np.float32), motion.astype(np.float32), np.arange(750) < 500)
    assert abs(found - 80) <= 20
