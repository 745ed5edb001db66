"""Stage 1: what is heard becomes mouth shape. An ensemble of small convolutional nets and one kernel regression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from portrait.arrays import Floats
from portrait.compute.device import one_thread
from portrait.compute.workers import NO_WORKERS, Workers
from portrait.mouth.hearing import (
    FUTURE,
    PAST,
    Directions,
    Speech,
    State,
    compact,
    frames_in,
    learn_scale,
    window,
    windows,
)
from portrait.mouth.kernel import fit_kernel, predict_kernel
from portrait.mouth.motion_net import MotionNet, fit_net, pairs
from portrait.sound.audio import BILABIALS, MEL, POSTERIOR

__all__ = ["FUTURE", "PAST", "Motion", "Speech", "shutting", "train_motion", "window"]

NETS = 4
STEPS = 200
GAIN = 1.25
"""Least squares under-opens the mouth; this restores most of the spread at little cost in landmark distance."""
BILABIAL = 0.4, 0.8
"""Posteriors of b, m and p together at which the lips begin to shut, and are shut. Less shuts open mouths too often."""
SILENT = -1.2, -1.3
"""The same of mean normalised mel power: that of digital silence. In a speaker's own pauses the mouth may stay open."""
PAUSE = 4
"""Features on either side that must be silent too: gaps inside words are not pauses."""


class Motion:
    """The trained ensemble: features to coefficients, with gain and lip closure; has no state between calls."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._nets = [_net(state, index) for index in range(int(state["nets"][0]))]

    @property
    def state(self) -> State:
        """Everything learned, as arrays for a safetensors file."""
        return self._state

    @property
    def directions(self) -> Directions | None:
        """What it hears of an encoder's tokens, if it has learned from any."""
        return Directions(self._state) if "token_axes" in self._state else None

    def coefficients(self, windowed: Floats, told: Floats | None = None, directions: Floats | None = None) -> Floats:
        """Coefficients (N, 12) from `window(…)` features (4 N + 69, 248), and how far lips are told to be shut (N,).

        Whoever has learned from an encoder's tokens needs their directions (ceil(N / 4), 43, 64), too.
        """
        heard = windows(compact(windowed, self._state).astype(np.float32), directions)
        with torch.inference_mode(), one_thread():
            paired = torch.from_numpy(pairs(heard))
            voices = [net(paired).transpose(1, 2).flatten(0, 1).numpy() for net in self._nets]
        # The kernel regression is worth about half of the nets together.
        mean = (2 * np.mean(voices, axis=0) + predict_kernel(self._state, heard)) / 3
        mean = mean[: frames_in(windowed)]
        will = shutting(windowed) if told is None else np.maximum(shutting(windowed), told)
        return self._close(mean * self._state["gain"], will).astype(np.float32)

    def _close(self, coefficients: Floats, will: Floats) -> Floats:
        """Shut the lips on bilabials and in pauses, told or heard: the ear forgives much, an open m not."""
        opening = self._state["aperture"]
        excess = np.maximum(coefficients @ opening - self._state["closed"][0], 0) * will
        return np.asarray(coefficients - excess[:, None] * opening / (opening @ opening + 1e-9), np.float32)


def shutting(windowed: Floats) -> Floats:
    """How surely the lips are shut in each frame (N,), 0 to 1, from features (4 N + 69, 248)."""
    count = frames_in(windowed)
    own = slice(PAST, PAST + 4 * count)
    bilabial = windowed[:, POSTERIOR][own, sorted(BILABIALS)].sum(axis=1).reshape(count, 4).max(axis=1)
    loudness = windowed[PAST - PAUSE : own.stop + PAUSE, MEL].mean(axis=1)
    around = sliding_window_view(loudness, 2 * PAUSE + 1).mean(axis=1).reshape(count, 4).mean(axis=1)
    return np.clip(np.maximum(_between(bilabial, *BILABIAL), _between(around, *SILENT)), 0, 1)


def _between(values: Floats, none: float, full: float) -> Floats:
    return (values - none) / (full - none)


def _net(state: State, index: int) -> MotionNet:
    prefix = f"net{index}."
    net = MotionNet(state[f"{prefix}stem.0.weight"].shape[1])
    weights = {k[len(prefix) :]: torch.from_numpy(v) for k, v in state.items() if k.startswith(prefix)}
    net.load_state_dict(weights)
    return net.eval()


def train_motion(
    speeches: list[Speech],
    coefficients: Floats,
    usable: NDArray[np.bool_],
    aperture: Floats,
    *,
    seed: int,
    steps: int = STEPS,
    nets: int = NETS,
    workers: Workers = NO_WORKERS,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
    directions: State | None = None,
) -> Motion:
    """Fit the ensemble on coefficients (N, 12) of the training frames; the first speech is the clean one.

    `usable` (N,) leaves out frames without a face; `aperture` (12,) is how coefficients open the lips. `on_step` hears
    of each net that is done; `workers` fit them. `directions` are what the speeches' own were made with, if they have
    any.
    """
    clean = speeches[0].features[: 4 * len(coefficients)]
    state: State = learn_scale(clean[usable.repeat(4)[: len(clean)]]) | {
        "aperture": aperture.astype(np.float32),
        "nets": np.array([nets], np.float32), "gain": np.array([GAIN], np.float32),
        "closed": np.quantile(coefficients[usable] @ aperture, [0.05]).astype(np.float32),
    } | (directions or {})  # fmt: skip
    heard = [Speech(compact(s.features, state).astype(np.float32), s.shift, s.directions) for s in speeches]
    fit = partial(_fit, heard, coefficients, usable, aperture, steps)
    fitted = [workers.submit(fit, each) for each in range(seed, seed + nets)]
    state |= fit_kernel(heard[0], coefficients, usable)
    for index, done in enumerate(fitted):
        net, loss = done.result()
        state |= {f"net{index}.{name}": value for name, value in net.items()}
        on_step(index + 1, nets, loss)
    return Motion(state)


def _fit(
    heard: list[Speech], coefficients: Floats, usable: NDArray[np.bool_], aperture: Floats, steps: int, seed: int
) -> tuple[State, float]:
    """The weights of one net of the ensemble, and its last loss."""
    torch.manual_seed(seed)
    net = MotionNet(heard[0].windows(0, 1).shape[2])
    with one_thread():
        loss = fit_net(net, heard, coefficients, usable, aperture, np.random.default_rng(seed), steps)
    return {name: value.numpy() for name, value in net.state_dict().items()}, loss
