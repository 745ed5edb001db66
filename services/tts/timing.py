"""Pauses, and the clocks of words and lips: what every speech engine of ours does alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from services.common.arrays import Samples
from services.tts.engine import LipClosure, SpokenWord

T = TypeVar("T", SpokenWord, LipClosure)
_PAUSES_S = ((".!?。！？…", 0.30), (";；:：\n", 0.22), (",，、", 0.12))
_SHORT_PAUSE_S = 0.08


class Clock(NamedTuple):
    """From the time of what was synthesised to that of a piece, which is trimmed and may be slower or faster."""

    offset_s: float
    rate: float
    duration_s: float  # of the sound, without its pause

    def at(self, second: float) -> float:
        return min(max(second - self.offset_s, 0) / self.rate, self.duration_s)


def pause_s(sentence: str) -> float:
    """How long to pause after a sentence, or a part of one."""
    mark = sentence.rstrip("\"'”’»)]）】」』》 ")[-1:]
    return next((pause for marks, pause in _PAUSES_S if mark and mark in marks), _SHORT_PAUSE_S)


def silence(seconds: float, sample_rate: int) -> Samples:
    """Nothing to hear."""
    return np.zeros(int(seconds * sample_rate), np.float32)


def words(starts: Sequence[tuple[str, float]], clock: Clock) -> tuple[SpokenWord, ...]:
    """Each word lasts until the next begins, the last until the sound ends."""
    begun = [clock.at(start) for _, start in starts]
    ends = [*begun[1:], clock.duration_s][: len(begun)]
    return tuple(SpokenWord(text, *span) for (text, _), *span in zip(starts, begun, ends, strict=True))


def closures(spans: Iterable[tuple[float, float]], clock: Clock) -> tuple[LipClosure, ...]:
    """Those of which something is left."""
    placed = (LipClosure(clock.at(start), clock.at(end)) for start, end in spans)
    return tuple(span for span in placed if span.end_s > span.start_s)


def faster(spans: Iterable[T], rate: float) -> tuple[T, ...]:
    """Words or closures of what is spoken faster by so much."""
    return tuple(replace(span, start_s=span.start_s / rate, end_s=span.end_s / rate) for span in spans)


def later(spans: Iterable[T], seconds: float) -> tuple[T, ...]:
    """Words or closures moved by so many seconds."""
    return tuple(replace(span, start_s=span.start_s + seconds, end_s=span.end_s + seconds) for span in spans)
