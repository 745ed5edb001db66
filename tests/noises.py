"""Sound that is no speech."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.asr.engine import SAMPLE_RATE as RATE


def noises(seconds: float) -> Iterator[np.ndarray]:
    """Silence, white and pink noise, hum, clicks and a tune, each at several levels."""
    random, count = np.random.default_rng(5), int(seconds * RATE)
    t = np.arange(count) / RATE
    yield np.zeros(count, np.float32)
    white = random.standard_normal(count)
    spectrum = np.fft.rfft(white)
    clicks = np.zeros(count)
    for at in random.integers(0, count - 400, int(4 * seconds)):
        clicks[at : at + 200] += random.standard_normal(200) * np.exp(-np.arange(200) / 40)
    notes = 220 * 2 ** (random.integers(0, 12, int(seconds / 0.3) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(notes[(t / 0.3).astype(int)]) / RATE
    tune = sum(np.sin(k * ratio * phase) / k for k in range(1, 6) for ratio in (1, 1.26, 1.5)) * np.exp(-4 * (t % 0.3))
    for sound in (
        white,
        np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), count),
        sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 10)),
        clicks,
        tune,
    ):
        for level in (0.003, 0.05, 0.25):
            yield np.clip(level * sound / np.sqrt(np.mean(sound**2)), -1, 1).astype(np.float32)
