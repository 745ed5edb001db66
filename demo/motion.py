"""How the presenter moves while speaking or waiting: head, breath, blinks, glances and brows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from demo.expression import Expression, Pose
from demo.speech import Speech
from demo.visemes import CHANNELS, articulate

Track = NDArray[np.floating[Any]]
_FINE = 100


def _drift(rng: np.random.Generator, times: Track, slowest: float = 0.07, fastest: float = 0.5) -> Track:
    """Slow noise of about unit size: six sinusoids, fainter as they are faster."""
    frequencies = np.exp(rng.uniform(math.log(slowest), math.log(fastest), 6))
    phases = rng.uniform(0, 2 * np.pi, 6)
    waves = np.sin(2 * np.pi * frequencies * times[:, None] + phases) * (slowest / frequencies) ** 0.5
    return np.asarray(waves.sum(1) / 1.6, np.float64)


def _loudness(speech: Speech, times: Track, smooth: float) -> Track:
    """The voice's envelope at `times`, 1 at its loud parts."""
    hop = speech.rate // _FINE
    frames = speech.samples[: len(speech.samples) // hop * hop].reshape(-1, hop)
    level = gaussian_filter1d(np.sqrt((frames**2).mean(1)), smooth * _FINE)
    peak = float(np.percentile(level, 95)) + 1e-6
    return np.asarray(np.clip(np.interp(times, (np.arange(len(level)) + 0.5) / _FINE, level / peak), 0, 1.2))


def _blinks(rng: np.random.Generator, times: Track) -> Track:
    """Eyelid closure: a blink every 2–6 s, shut in 0.09 s and opened in 0.17 s."""
    shut = np.zeros(len(times))
    at = rng.uniform(0.8, 2.5)
    while at < times[-1]:
        shut = np.maximum(shut, np.clip(np.minimum((times - at) / 0.09 + 1, 1.25 - (times - at) / 0.17), 0, 1))
        at += rng.uniform(2.0, 6.0)
    return shut


def _glances(rng: np.random.Generator, times: Track) -> tuple[Track, Track]:
    """Where the eyes point: mostly into the lens, with small quick jumps."""
    starts = np.concatenate([[0.0], np.cumsum(rng.uniform(0.7, 2.6, int(times[-1]) + 4))])
    away = rng.standard_normal((2, len(starts))) * np.array([[1.1], [0.5]]) * (rng.random(len(starts)) < 0.6)
    index = np.searchsorted(starts, times, side="right") - 1
    x, y = (gaussian_filter1d(a[index], 0.6) for a in away)
    return x, y


def _expressions(rng: np.random.Generator, speech: Speech, times: Track, yaw: Track) -> list[Expression]:
    """The face: lips from the phonemes, opened further by a louder voice; eyes that hold the lens as the head turns."""
    fine = np.arange(0, times[-1] + 0.1, 1 / _FINE)
    spoken = articulate(speech.phonemes, fine, speech.seconds)
    mouth = {name: np.interp(times, fine, gaussian_filter1d(track, 0.9)) for name, track in spoken.items()}
    mouth["jaw"] = np.clip(mouth["jaw"] * (1.0 + 0.2 * _loudness(speech, times, 0.08)), 0, 1)
    cheer, blink, (gaze_x, gaze_y) = _drift(rng, times), _blinks(rng, times), _glances(rng, times)
    smile = np.clip(0.72 + 0.14 * cheer - 0.14 * _loudness(speech, times, 1.0), 0.2, 1)
    brow = np.clip(0.25 * cheer + 0.45 * (_loudness(speech, times, 0.22) - 0.35), -0.6, 1)
    return [
        Expression(
            **{name: float(mouth[name][i]) for name in CHANNELS},
            smile=float(smile[i]),
            blink=float(blink[i]),
            gaze=(float(gaze_x[i] - 0.22 * yaw[i]), float(gaze_y[i])),
            brow=float(brow[i]),
        )
        for i in range(len(times))
    ]


def _poses(rng: np.random.Generator, speech: Speech, times: Track, yaw: Track) -> list[Pose]:
    """The head: slow drift, livelier while speaking, with small nods on stressed words; and the breath."""
    mood = _loudness(speech, times, 1.0)
    nod = _loudness(speech, times, 0.22) - mood
    lively = 0.45 + 0.55 * np.clip(mood * 1.4, 0, 1)
    pitch, roll, x, y, near = (_drift(rng, times) for _ in range(5))
    breath = 0.5 - 0.5 * np.cos(2 * np.pi * (0.24 * times + rng.random()))
    return [
        Pose(
            yaw=float(2.6 * yaw[i] * lively[i]),
            pitch=float((1.5 * pitch[i] - 2.2 * nod[i]) * lively[i]),
            roll=float(1.5 * roll[i] * lively[i]),
            x=float(2.6 * x[i] * lively[i]),
            y=float((1.3 * y[i] + 1.6 * nod[i]) * lively[i]),
            scale=float(1 + 0.006 * near[i]),
            breath=float(breath[i]),
        )
        for i in range(len(times))
    ]


def perform(speech: Speech, frames: int, fps: float, seed: int) -> list[tuple[Expression, Pose]]:
    """Expression and pose of every frame, for this speech (or for its silence)."""
    rng = np.random.default_rng(seed)
    times = (np.arange(frames) + 0.5) / fps
    yaw = _drift(rng, times)
    return list(zip(_expressions(rng, speech, times, yaw), _poses(rng, speech, times, yaw), strict=True))
