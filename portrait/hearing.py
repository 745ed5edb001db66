"""The part of the features that tells a mouth's shape: what a frame may see of them, and which directions count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait.audio import MEL, PHONES, POSTERIOR
from portrait.geometry import Floats

PAST, FUTURE = 50, 23
"""Features (100 Hz) that a frame sees before its own four, and from the first of its own on."""
MEL_AXES = 24
COMPACT_SIZE = MEL_AXES + len(PHONES)
POSTERIOR_WEIGHT = 2.0
"""Posteriors count more than the spectrum, which differs between voices; the state scores add nothing to both."""

State = dict[str, Floats]


@dataclass(frozen=True)
class Speech:
    """Features of one rendering of the training audio (T, 248 or compact), aligned with the picture by shifting."""

    features: Floats
    shift: int

    def window(self, start: int, count: int) -> Floats:
        """What frames start … start + count - 1 see, (4 count + 69, …); the ends are repeated."""
        return window(self.features, start, count, self.shift)


def window(features: Floats, start: int, count: int, shift: int = 0) -> Floats:
    """The features that `count` frames from `start` on see, repeated at the ends."""
    first = 4 * start - PAST + shift
    return features[np.clip(np.arange(first, first + 4 * count + PAST + FUTURE - 4), 0, len(features) - 1)]


def frames_in(windowed: Floats) -> int:
    """How many frames a window is for."""
    return (len(windowed) - PAST - FUTURE + 4) // 4


def learn_scale(features: Floats) -> State:
    """Mean and spread of training features (T, 248), and the principal directions of the scaled spectrum."""
    centre, scale = features.mean(axis=0), features.std(axis=0) + 0.05
    mel = np.clip((features[:, MEL] - centre[MEL]) / scale[MEL], -5, 5)
    axes = np.linalg.eigh(mel.T @ mel)[1][:, -MEL_AXES:]
    return {"centre": centre, "scale": scale, "mel_axes": np.ascontiguousarray(axes, np.float32)}


def compact(features: Floats, state: State) -> Floats:
    """Features (T, 248) in the few directions that count (T, 66)."""
    scaled = np.clip((features - state["centre"]) / state["scale"], -5, 5)
    return np.concatenate([scaled[:, MEL] @ state["mel_axes"], POSTERIOR_WEIGHT * scaled[:, POSTERIOR]], axis=1)
