"""Short-time spectra of 16 kHz speech and what is read from them: filter banks, noise removal, cepstra.

Frames, filters, noise removal and cepstra follow the front end that the acoustic model in `phones` was trained with
(pocketsphinx `fe_sigproc`, `fe_noise`, and the model's `feat.params`), so that its scores come out the same.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft

from portrait.arrays import Doubles, Floats

SAMPLE_RATE = 16_000
HOP = 160
FRAME = 410
LEAD = (FRAME - HOP) // 2
"""Samples of a frame before the 10 ms that it stands for; as many follow them."""
CEPSTRUM_SIZE = 13

_FFT = 512
_BIN_HERTZ = SAMPLE_RATE / _FFT
_PRE_EMPHASIS = np.float32(0.97)
_FULL_SCALE = np.float32(32768)
_LIFTER = 22
_VOCAL_TRACT_LIMIT_HERTZ = 4800
"""Above this, warping bends back so that half the sample rate stays where it is."""


def power_spectra(samples: Floats) -> Floats:
    """Power (t, 257) of the whole frames in `samples` (-1..1, 16-bit scale inside); the first is only a predecessor."""
    emphasised = (samples[1:] - _PRE_EMPHASIS * samples[:-1]) * _FULL_SCALE
    if len(emphasised) < FRAME:
        return np.zeros((0, _FFT // 2 + 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, FRAME)[::HOP]
    spectra = rfft(frames * _window(), _FFT, axis=1)
    return np.asarray(spectra.real**2 + spectra.imag**2, np.float32)


@cache
def _window() -> Floats:
    return np.hamming(FRAME).astype(np.float32)


@lru_cache(maxsize=64)
def mel_filters(warp: float = 1.0) -> Floats:
    """Eighty triangles (257, 80) from 40 to 7600 Hz, averaged over each bin, as the lowest are narrower than one."""
    edges = _mel_edges(80, 40, 7600, warp)
    fine = (np.arange((_FFT // 2 + 1) * 16) + 0.5) / 16 - 0.5
    return np.asarray(_triangles(edges, fine * _BIN_HERTZ).reshape(80, -1, 16).mean(axis=2).T.copy(), np.float32)


@lru_cache(maxsize=64)
def cepstral_filters(warp: float = 1.0) -> Floats:
    """The acoustic model's 25 filters (257, 25) from 130 to 6800 Hz, their corners rounded to bins."""
    edges = np.floor(_mel_edges(25, 130, 6800, warp) / _BIN_HERTZ + 0.5) * _BIN_HERTZ
    return _triangles(edges, np.arange(_FFT // 2 + 1, dtype=np.float64) * _BIN_HERTZ).T.astype(np.float32).copy()


@lru_cache(maxsize=64)
def whisper_filters(warp: float = 1.0) -> Floats:
    """Whisper's eighty triangles (201, 80): of even width up to 1 kHz, then of even ratio (Slaney's scale)."""
    turn, step = 15.0, np.log(6.4) / 27  # at 1 kHz; how much wider each unit is above it
    mels = np.linspace(0, turn + np.log(8) / step, 82)
    hertz = np.where(mels < turn, mels * 1000 / turn, 1000 * np.exp(step * np.maximum(mels - turn, 0)))
    return _triangles(_corners(hertz, warp), np.linspace(0, SAMPLE_RATE / 2, 201)).T.astype(np.float32).copy()


def _mel_edges(count: int, low: float, high: float, warp: float) -> Doubles:
    """Left, middle and right corner in Hz (count, 3), those under 4800 Hz multiplied by `warp`."""
    mel_low, mel_high = 2595 * np.log10(1 + np.array([low, high]) / 700)
    return _corners(700 * (10 ** (np.linspace(mel_low, mel_high, count + 2) / 2595) - 1), warp)


def _corners(hertz: Doubles, warp: float) -> Doubles:
    """Left, middle and right corner (count, 3) of filters that begin where their neighbours peak (count + 2,)."""
    nyquist, knee = SAMPLE_RATE / 2, _VOCAL_TRACT_LIMIT_HERTZ * min(warp, 1) / warp
    hertz = np.interp(hertz, [0, knee, nyquist], [0, knee * warp, nyquist])
    return np.stack([hertz[:-2], hertz[1:-1], hertz[2:]], axis=1)


def _triangles(edges: Doubles, hertz: Doubles) -> Doubles:
    """Unit-area triangles (count, len(hertz)) over the given frequencies."""
    left, middle, right = (edges[:, [corner]] for corner in range(3))
    rising, falling = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
    return np.maximum(np.minimum(rising, falling), 0) * 2 / (right - left)


class NoiseRemoval:
    """Spectral subtraction of the slowly tracked noise floor; keeps its state from call to call.

    Doblinger, "Computationally efficient speech enhancement by spectral minima tracking in subbands" (1995), with the
    temporal masking of Kim and Stern's PNCC, at the constants of pocketsphinx `fe_noise`.
    """

    def __init__(self) -> None:
        self._power: Doubles = np.zeros(0)

    def __call__(self, bands: Floats) -> Doubles:
        """Cleaned power (t, bands) of the next frames' power (t, bands), 16-bit scale."""
        bands = bands.astype(np.float64)
        if not len(self._power) and len(bands):
            self._power, self._peak = bands[0].copy(), np.zeros(bands.shape[1])
            self._noise, self._floor = bands[0] / 20, bands[0] / 20
        gains = np.array([self._gain(frame) for frame in bands]).reshape(bands.shape)
        return bands * _neighbourhood_mean(gains)

    def _gain(self, frame: Doubles) -> Doubles:
        self._power = power = 0.7 * self._power + 0.3 * frame
        self._noise = noise = _lower_envelope(power, self._noise)
        signal = np.maximum(power - noise, 1.0)
        self._floor = floor = _lower_envelope(signal, self._floor)
        decayed = 0.85 * self._peak
        masked = np.where(signal < 0.85 * decayed, 0.2 * decayed, signal)
        self._peak = np.maximum(signal, decayed)
        return np.clip(np.maximum(masked, floor) / np.maximum(power, 1e-9), 1 / 20, 20)


def _lower_envelope(power: Doubles, envelope: Doubles) -> Doubles:
    """Follow `power` slowly upward and quickly downward."""
    weight = np.where(power >= envelope, 0.995, 0.5)
    return weight * envelope + (1 - weight) * power


def _neighbourhood_mean(gains: Doubles) -> Doubles:
    """Average each band's gain with up to four neighbours on either side."""
    bands = np.arange(gains.shape[1])
    near = np.abs(bands[:, None] - bands) <= 4
    return np.asarray(gains @ (near / near.sum(axis=0)), np.float64)


def cepstra(log_bands: NDArray[np.floating]) -> Floats:
    """Liftered cepstra (t, 13) of log band powers (t, 25)."""
    lifter = 1 + _LIFTER / 2 * np.sin(np.arange(CEPSTRUM_SIZE) * np.pi / _LIFTER)
    return (dct(log_bands, type=2, norm="ortho", axis=1)[:, :CEPSTRUM_SIZE] * lifter).astype(np.float32)
