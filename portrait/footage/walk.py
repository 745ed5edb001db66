"""The order in which footage plays: forwards only, from jump to jump, for minutes without repeating itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Arrays, Floats, Indices
from portrait.footage.jumps import FADE, MARGIN

LEAST = 50
"""Frames that play between two jumps at least."""
RUN = 250
"""Frames after which a jump is looked for."""
LENGTH = 6000
"""Frames before the walk returns to where it began: four minutes."""
MEMORY = 1500.0
"""Frames over which it matters less and less that something was shown."""
CALM = 6.0
"""How much calm counts beside having been shown lately, for `head_motion` near 0."""


@dataclass(frozen=True)
class Mix:
    """What N frames are made of: frames (N, K) of the footage, and their weights (N, K), which sum to 1."""

    frames: Indices
    weights: Floats

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: slice) -> Mix:
        return Mix(self.frames[rows], self.weights[rows])

    def blend(self, arrays: Floats) -> Floats:
        """Rows of a per-frame array (L, …), mixed: (N, …)."""
        return np.asarray(np.einsum("nk,nk...->n...", self.weights, arrays[self.frames]), np.float32)

    def faded(self, other: Mix, share: Floats) -> Mix:
        """This mix turned into another by shares (N,) of the other."""
        weights = np.concatenate([self.weights * (1 - share)[:, None], other.weights * share[:, None]], axis=1)
        return Mix(np.concatenate([self.frames, other.frames], axis=1), weights.astype(np.float32))


@dataclass(frozen=True)
class Footage:
    """Base frames (L) and how one may lead to another."""

    stretches: Indices
    """(S, 2) begin and end of what was filmed in one go."""
    jumps: Indices
    """(J, 2) last frame of one run and first of the next. From every jump each other can be reached; the first one
    closes the idle loop."""
    activity: Floats
    """(L,) speed of the head."""
    landings: Indices
    """(L,) the frame of the idle loop most like each frame, counted from the loop's beginning."""

    @property
    def idle_length(self) -> int:
        """Frames of the idle loop."""
        last, first = self.jumps[0]
        return int(last - first + 1)

    @classmethod
    def of(cls, arrays: Arrays) -> Footage:
        """From the arrays of a file; KeyError when one is missing."""
        return cls(arrays["stretches"], arrays["jumps"], arrays["activity"], arrays["landings"])

    @property
    def arrays(self) -> Arrays:
        """Everything, for a file."""
        return {
            "stretches": self.stretches, "jumps": self.jumps, "activity": self.activity, "landings": self.landings
        }  # fmt: skip


class Walk:
    """An endless sequence of positions, each showing one base frame or, at a jump, a cross-fade of two.

    Positions 0 to `idle_length` - 1 are the idle loop, whatever the head motion. The same footage and head motion
    always give the same walk.
    """

    def __init__(self, footage: Footage, head_motion: float = 1.0) -> None:
        """`head_motion` 1 shows everything that was filmed; less prefers calm stretches; 0 stays in the idle loop."""
        self.footage = footage
        runs = [] if head_motion <= 0 else _Wanderer(footage, 1 - head_motion).runs()
        last, first = (int(v) for v in footage.jumps[0])
        self._mix = _joined([(first, last), *runs], len(footage.activity))

    def __len__(self) -> int:
        """Positions until it begins again."""
        return len(self._mix)

    def at(self, positions: range) -> Mix:
        """What is shown at positions, which may be any from 0 on."""
        rows = np.arange(positions.start, positions.stop) % len(self._mix)
        return Mix(self._mix.frames[rows], self._mix.weights[rows])

    def entry(self, position: int) -> int:
        """Where a walk that should begin on a position of the idle loop begins: on the same frame, outside the loop."""
        position %= len(self._mix)
        if position >= self.footage.idle_length or self._mix.weights[position, 0] < 1:
            return position
        same = (self._mix.frames[:, 0] == self._mix.frames[position, 0]) & (self._mix.weights[:, 0] == 1)
        places = np.flatnonzero(same)
        return int(places[1 + position % (len(places) - 1)]) if len(places) > 1 else position

    def landing(self, position: int) -> int:
        """The position in the idle loop that looks most like this one; the same one if it is in the idle loop."""
        position %= len(self._mix)
        if position < self.footage.idle_length:
            return position
        row = self._mix.weights[position].argmax()
        return int(self.footage.landings[self._mix.frames[position, row]])


def following(jumps: Indices, stretches: Indices, least: int) -> NDArray[np.bool_]:
    """(J, J) whether one jump (column) can be taken `least` frames or more after another (row)."""
    place = np.searchsorted(stretches[:, 0], jumps, side="right")
    later = jumps[None, :, 0] >= jumps[:, None, 1] + least
    return np.asarray((place[:, None, 1] == place[None, :, 0]) & later, bool)


class _Wanderer:
    """Walks from jump to jump, where it was longest ago and, if asked to, where the head is calm."""

    def __init__(self, footage: Footage, calm: float) -> None:
        least = min(LEAST, footage.idle_length - 1)
        self._jumps, self._follows = footage.jumps, following(footage.jumps, footage.stretches, least)
        self._shown = np.full(len(footage.activity), -np.inf)
        rank = np.argsort(np.argsort(footage.activity)) / max(1, len(footage.activity) - 1)
        self._liveliness = np.concatenate([[0.0], np.cumsum(CALM * calm * rank)])
        self._home = _hops(self._follows)
        self._chance = np.random.default_rng(0)

    def runs(self) -> list[tuple[int, int]]:
        """First and last frames of the runs that follow the idle loop, until its beginning comes again."""
        runs: list[tuple[int, int]] = []
        jump, count = 0, 0
        while True:
            chosen = self._choose(jump, count)
            first, last = int(self._jumps[jump, 1]), int(self._jumps[chosen, 0])
            runs.append((first, last))
            self._shown[first : last + 1] = count + np.arange(last - first + 1)
            count, jump = count + last - first + 1, chosen
            if jump == 0 and (count >= LENGTH or len(self._jumps) == 1):
                return runs

    def _choose(self, jump: int, count: int) -> int:
        options = np.flatnonzero(self._follows[jump])
        first = int(self._jumps[jump, 1])
        soon = options[self._jumps[options, 0] < first + RUN]
        options = soon if len(soon) else options
        if count >= LENGTH:
            options = options[self._home[options] == self._home[options].min()]
        return int(options[np.argmin(self._dislike(first, options, count))])

    def _dislike(self, first: int, options: NDArray[np.intp], count: int) -> NDArray[np.float64]:
        leaving, reaching = self._jumps[options].T
        ahead = np.minimum(reaching + LEAST, len(self._shown))
        recent = np.exp((self._shown[(reaching + ahead) // 2] - count) / MEMORY)
        lively = (self._mean(first, leaving + 1) + self._mean(reaching, ahead)) / 2
        return np.asarray(recent + lively + 0.25 * self._chance.random(len(options)), np.float64)

    def _mean(self, start: int | Indices, end: Indices) -> NDArray[np.float64]:
        return np.asarray((self._liveliness[end] - self._liveliness[start]) / (end - start), np.float64)


def _hops(follows: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many jumps lead from each to the first one."""
    hops = np.full(len(follows), len(follows), np.int32)
    hops[0], found, count = 0, np.array([0]), 0
    while len(found):
        count += 1
        found = np.flatnonzero(follows[:, found].any(axis=1) & (hops == len(follows)))
        hops[found] = count
    return hops


def _joined(runs: list[tuple[int, int]], count: int) -> Mix:
    """Runs one after another and the last followed by the first, each turning into the next."""
    shown = np.concatenate([np.arange(first, last + 1) for first, last in runs])
    frames, weights = np.stack([shown, shown], axis=1), np.zeros((len(shown), 2))
    weights[:, 0] = 1
    at = 0
    for before, (first, last) in zip(runs[-1:] + runs[:-1], runs, strict=True):
        for step in range(-MARGIN, MARGIN):
            share = (step + MARGIN + 0.5) / FADE
            row = (at + step) % len(shown)
            frames[row], weights[row] = (before[1] + 1 + step, first + step), (1 - share, share)
        at += last - first + 1
    return Mix(frames.clip(0, count - 1).astype(np.int32), weights.astype(np.float32))
