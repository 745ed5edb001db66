"""The part of the features that tells a mouth's shape: what a frame may see of them, and which directions count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait.arrays import Floats
from portrait.sound.audio import MEL, PHONES, POSTERIOR
from portrait.sound.encoder import BLOCK

PAST, FUTURE = 50, 23
"""Features (100 Hz) that a frame sees before its own four, and from the first of its own on."""
MEL_AXES = 24
COMPACT_SIZE = MEL_AXES + len(PHONES)
POSTERIOR_WEIGHT = 2.0
"""Posteriors count more than the spectrum, which differs between voices; the state scores add nothing to both."""
DIRECTIONS = 64
"""Of an encoder's tokens."""
FARTHEST = 5.0
"""What lies farther from the mean says nothing that the training could have told."""

State = dict[str, Floats]


@dataclass(frozen=True)
class Speech:
    """Features of one rendering of the training audio (T, 248 or compact), aligned with the picture by shifting."""

    features: Floats
    shift: int
    directions: Floats | None = None
    """(ceil(N / 4), 43, 64) what an encoder made of each block of four frames, if one listens; see `Directions`."""

    @property
    def stride(self) -> int:
        """A stretch that is looked at begins at a multiple of so many frames."""
        return 1 if self.directions is None else BLOCK

    def window(self, start: int, count: int) -> Floats:
        """What frames start … start + count - 1 see, (4 count + 69, …); the ends are repeated."""
        return window(self.features, start, count, self.shift)

    def windows(self, start: int, count: int) -> Floats:
        """The same in as many windows as they are heard in (B, 4 n + 69, …); the last may be for more frames."""
        directions = None if self.directions is None else self.directions[start // BLOCK : -(-(start + count) // BLOCK)]
        return windows(self.window(start, count), directions)


def window(features: Floats, start: int, count: int, shift: int = 0) -> Floats:
    """The features that `count` frames from `start` on see, repeated at the ends."""
    first = 4 * start - PAST + shift
    return features[np.clip(np.arange(first, first + 4 * count + PAST + FUTURE - 4), 0, len(features) - 1)]


def windows(windowed: Floats, directions: Floats | None) -> Floats:
    """The windows (B, 4 n + 69, …) in which N frames are heard, of what they see of the features (4 N + 69, …).

    One, unless there are directions (ceil(N / 4), 43, …) of tokens: then a block of four frames each, with its own.
    """
    if directions is None:
        return windowed[None]
    span = np.arange(4 * BLOCK + PAST + FUTURE - 4)
    own = windowed[np.minimum(4 * BLOCK * np.arange(len(directions))[:, None] + span, len(windowed) - 1)]
    return np.concatenate([own, directions.repeat(2, axis=1)[:, : len(span)].astype(np.float32)], axis=2)


def frames_in(windowed: Floats) -> int:
    """How many frames a window (…, 4 N + 69, features) is for."""
    return int(windowed.shape[-2] - PAST - FUTURE + 4) // 4


class Directions:
    """The few directions that count of an encoder's tokens."""

    def __init__(self, state: State) -> None:
        self._centre, self._axes = state["token_centre"], state["token_axes"]

    @staticmethod
    def learn(tokens: Floats) -> State:
        """Principal directions of training tokens (n, width), each scaled by one over the root of its deviation.

        Whitened, the last directions would be as loud as the first; unscaled, they would not be heard.
        """
        centre = tokens.mean(axis=0, dtype=np.float64)
        values, axes = np.linalg.eigh(np.cov(tokens - centre, rowvar=False))
        kept = slice(-1, -DIRECTIONS - 1, -1)
        weights = np.maximum(values[kept], 1e-6) ** -0.25
        return {"token_centre": centre.astype(np.float32), "token_axes": (axes[:, kept] * weights).astype(np.float32)}

    def __call__(self, tokens: Floats) -> Floats:
        """Directions (…, 64) of tokens (…, width)."""
        return np.clip((tokens - self._centre) @ self._axes, -FARTHEST, FARTHEST).astype(np.float32)


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
