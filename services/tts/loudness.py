"""Level and edges of speech, so that sentences follow each other evenly."""

from __future__ import annotations

import numpy as np

from services.common.arrays import Samples

AUDIBLE = 10 ** (-50 / 20)  # peak of a recording with anything in it
TARGET_RMS = 10 ** (-23 / 20)
_PEAK = 0.95
_KNEE = 0.8  # from where what is made louder is bent
_WINDOW_S, _FADE_S = 0.02, 0.005
_GATE = 10 ** (-25 / 20)  # windows this far below the loud ones are pauses
_SILENCE = 10 ** (-50 / 20)


def levelled(samples: Samples, rate: int) -> Samples:
    """Speech at -23 dB of full scale (RMS, pauses left out), never clipping."""
    return samples * gain(samples, rate)


def gain(samples: Samples, rate: int) -> float:
    """What brings speech to that level, or as near as its peaks allow."""
    return min(speech_gain(samples, rate), _PEAK / max(float(np.abs(samples).max(initial=0)), 1e-6))


def speech_gain(samples: Samples, rate: int) -> float:
    """What brings speech to that level, whatever its peaks; 1 of what is too short to have one."""
    window = int(rate * _WINDOW_S)
    if len(samples) < window:
        return 1.0
    power = (samples[: len(samples) // window * window].reshape(-1, window) ** 2).mean(1)
    speech = power[power >= np.percentile(power, 95) * _GATE**2]
    return TARGET_RMS / max(float(np.sqrt(speech.mean())), 1e-6)


def amplified(samples: Samples, decibels: float) -> Samples:
    """Louder or quieter by so much. What would go beyond full scale is bent below it, sample by sample, so that pieces
    of speech join without a seam; a gain of 0 leaves all as it is."""
    if not decibels:
        return samples
    return bent(samples * np.float32(10 ** (decibels / 20)))


def bent(samples: Samples) -> Samples:
    """The samples; those that come near full scale or beyond it are bent below it."""
    over = np.maximum(np.abs(samples) - _KNEE, 0)
    below = _KNEE + (1 - _KNEE) * np.tanh(over / (1 - _KNEE))
    return np.where(over > 0, np.sign(samples) * below, samples).astype(np.float32)


def sounding_span(samples: Samples, rate: int, peak: float | None = None) -> tuple[int, int]:
    """First and last sample of what can be heard beside the `peak`, theirs or that of all speech, with 20 ms to each
    side."""
    peak = float(np.abs(samples).max(initial=0)) if peak is None else peak
    loud = np.flatnonzero(np.abs(samples) > peak * _SILENCE)
    if not len(loud):
        return 0, 0
    margin = int(rate * _WINDOW_S)
    return max(int(loud[0]) - margin, 0), min(int(loud[-1]) + margin, len(samples))


def faded(samples: Samples, rate: int, *, begins: bool = True, ends: bool = True) -> Samples:
    """The samples rising from and falling to zero within 5 ms, so that joins do not click."""
    ramp = np.linspace(0, 1, min(int(rate * _FADE_S), len(samples) // 2), dtype=np.float32)
    result = samples.astype(np.float32)
    if len(ramp) and begins:
        result[: len(ramp)] *= ramp
    if len(ramp) and ends:
        result[-len(ramp) :] *= ramp[::-1]
    return result
