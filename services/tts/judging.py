"""What can be told of a reference recording before a voice is made of it: length, noise, overdrive, a second speaker.

Nothing here refuses: a warning says what could be better and how. Each bound is measured on real recordings
(docs/voices.md): clean ones stay clear of it, copies made worse by a stated amount do not. White or steady noise is
told, a babble of voices or music may not be; two speakers are told only where their pitches lie far apart, as most
men's and women's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

import numpy as np
from pydantic import Field

from basics.problem import Problem
from services.common.arrays import Doubles, Flags, Samples
from services.tts import world

LEARNT_S = 300  # engines need no more, and memory is bounded by it
SHORT_S = 5.0
NOISY_DB = 18.0
CLIPPED_SHARE = 5e-4
APART_SEMITONES = 7.0

_FIELD = "audio"
_WINDOW_S = 0.02
# Below the loudest windows: what still counts as speech, and what its level is taken from.
_SPEECH_DB, _LOUD_DB = 25, 15
_ABOVE_NOISE_DB = 6
_MOST_DB = 99.0  # digital silence between the words
_NEAR_PEAK = 0.97
_TURN_S = 1.0  # of voiced speech, of which the median pitch is taken
_LEAST_TURNS = 2  # one after the other, for each of two speakers

Level = Annotated[float, Field(ge=0, le=_MOST_DB)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Judgement:
    """What was heard in as much of a recording as engines learn from."""

    seconds: Annotated[float, Field(ge=0, le=1e6)]  # of the whole recording
    speech_s: Annotated[float, Field(ge=0, le=LEARNT_S)]
    signal_to_noise_db: Level  # speech over the quietest twentieth of the recording
    clipped_share: Share  # of the samples within 3 % of the loudest
    apart_semitones: Annotated[float, Field(ge=0, le=100)]  # between two speakers, 0 where only one can be told

    def warnings(self) -> list[Problem]:
        """What could be better, with the remedy."""
        found = []
        if self.speech_s < SHORT_S:
            second = f"{self.speech_s:.1f}"
            message = (
                f"Only {second} seconds of speech were heard. A voice is imitated better from ten or more, "
                "and most engines refuse less than about three."
            )
            found.append(Problem("SPEECH_SHORT", message, _FIELD, {"second": second}))
        if self.seconds > LEARNT_S:
            most = f"{LEARNT_S / 60:g}"
            message = f"Only the first {most} minutes are learnt from. Cut the recording to its best part."
            found.append(Problem("SPEECH_LONG", message, _FIELD, {"max_minutes": most}))
        if self.signal_to_noise_db < NOISY_DB:
            level = f"{self.signal_to_noise_db:.0f}"
            message = (
                f"There is noise behind the voice (only {level} dB below it), which is imitated too. "
                "Record in a quiet room, close to the microphone."
            )
            found.append(Problem("NOISY", message, _FIELD, {"level": level}))
        if self.clipped_share > CLIPPED_SHARE:
            message = "The sound is overdriven in places. Move back from the microphone or lower its level."
            found.append(Problem("CLIPPING", message, _FIELD))
        if self.apart_semitones >= APART_SEMITONES:
            message = "More than one person seems to speak. Cut the recording to the one whose voice it shall be."
            found.append(Problem("SEVERAL_SPEAKERS", message, _FIELD))
        return found


def judge(samples: Samples, seconds: float) -> Judgement:
    """Hear a recording.

    Args:
        samples: float32 mono at `world.SAMPLE_RATE`, the part that is learnt.
        seconds: how long the whole recording is.
    """
    window = round(world.SAMPLE_RATE * _WINDOW_S)
    levels = _levels(samples, window)
    top, floor = np.percentile(levels, 95), np.percentile(levels, 5)
    speaking = levels > max(top - _SPEECH_DB, floor + _ABOVE_NOISE_DB)
    loud = 10 * np.log10(np.mean(10 ** (levels[levels > top - _LOUD_DB] / 10)))
    size = np.abs(samples)
    return Judgement(
        seconds=seconds,
        speech_s=float(np.count_nonzero(speaking)) * _WINDOW_S,
        signal_to_noise_db=float(np.clip(loud - floor, 0, _MOST_DB)),
        clipped_share=float(np.mean(size > _NEAR_PEAK * size.max())),
        apart_semitones=_apart(samples, speaking, window),
    )


def _levels(samples: Samples, window: int) -> Doubles:
    """Of windows one after the other, in dB of full scale."""
    count = max(len(samples) // window, 1)
    padded = np.pad(samples, (0, max(window - len(samples), 0)))
    power = np.mean(padded[: count * window].astype(np.float64).reshape(count, window) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def _apart(samples: Samples, speaking: Flags, window: int) -> float:
    """Semitones between two speakers: between the two groups into which the pitches of the turns fall best, 0 where
    either group is no more than single turns. One speaker's turns vary by up to five and a half."""
    f0 = world.pitch(samples)
    at = (np.arange(len(f0)) * world.FRAME_MS / 1000 * world.SAMPLE_RATE // window).astype(int)
    f0 = f0[(f0 > 0) & speaking[np.minimum(at, len(speaking) - 1)]]
    count = int(len(f0) / world.FRAMES_PER_S / _TURN_S)
    if count < 2 * _LEAST_TURNS:
        return 0.0
    turns = np.array([12 * np.log2(np.median(turn)) for turn in np.array_split(f0, count)])
    high = turns >= _best_cut(np.sort(turns))
    runs = [(is_high, len(list(run))) for is_high, run in groupby(high)]
    longest = [max((length for is_high, length in runs if is_high == side), default=0) for side in (True, False)]
    if min(longest) < _LEAST_TURNS:
        return 0.0
    return float(np.median(turns[high]) - np.median(turns[~high]))


def _best_cut(ordered: Doubles) -> float:
    """The value from which on the upper of two groups begins, such that each varies least (k-means of two, exactly)."""
    costs = [left.var() * len(left) + right.var() * len(right) for left, right in _cuts(ordered)]
    return float(ordered[int(np.argmin(costs)) + 1])


def _cuts(ordered: Doubles) -> list[tuple[Doubles, Doubles]]:
    return [(ordered[:at], ordered[at:]) for at in range(1, len(ordered))]
