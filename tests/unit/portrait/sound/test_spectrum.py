"""Filter banks and noise removal."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.sound import spectrum


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def loudest_band(hertz: float, warp: float) -> int:
    return int((spectrum.power_spectra(tone(hertz)) @ spectrum.mel_filters(warp)).mean(axis=0).argmax())


def test_every_mel_band_hears_as_much_of_white_noise() -> None:
    for warp in (0.88, 1.0, 1.12):
        assert spectrum.mel_filters(warp).sum(axis=0) == pytest.approx(np.full(80, 1 / 31.25), rel=0.02)


def test_bands_rise_with_the_tone() -> None:
    bands = [loudest_band(hertz, 1.0) for hertz in (150, 400, 1000, 2500, 6000)]
    assert bands == sorted(set(bands))


@pytest.mark.parametrize("warp", [0.88, 1.12])
def test_warping_puts_a_scaled_voice_where_the_unscaled_one_was(warp: float) -> None:
    for hertz in (500, 1200, 3000):
        assert abs(loudest_band(hertz * warp, warp) - loudest_band(hertz, 1.0)) <= 1
        assert abs(loudest_band(hertz * warp, 1.0) - loudest_band(hertz, 1.0)) >= 2


def test_frames_are_a_hundred_a_second_and_whole() -> None:
    assert spectrum.power_spectra(np.zeros(410, np.float32)).shape == (0, 257)
    assert spectrum.power_spectra(np.zeros(411 + 99 * 160, np.float32)).shape == (100, 257)


def test_noise_removal_lowers_a_steady_hiss_but_not_the_speech_over_it() -> None:
    rng = np.random.default_rng(0)
    bands = rng.exponential(1e6, (600, 25))
    bands[300:340] += 1e9
    clean = spectrum.NoiseRemoval()(bands.astype(np.float32))
    assert clean[200:290].mean() < 0.4 * bands[200:290].mean()
    assert clean[310:338].mean() == pytest.approx(bands[310:338].mean(), rel=0.3)


def test_noise_removal_continues_from_call_to_call() -> None:
    bands = np.random.default_rng(0).exponential(1e6, (50, 25)).astype(np.float32)
    removal = spectrum.NoiseRemoval()
    pieces = np.concatenate([removal(bands[start : start + 7]) for start in range(0, 50, 7)])
    assert pieces == pytest.approx(spectrum.NoiseRemoval()(bands), rel=1e-6)


def test_digital_silence_stays_finite() -> None:
    assert np.isfinite(spectrum.NoiseRemoval()(np.zeros((5, 25), np.float32))).all()
