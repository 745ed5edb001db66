"""What a sentence sounds like, for engines that speak phonemes: espeak-ng's phones, and where in them words begin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

import numpy as np

from services.tts import espeak_ng
from services.tts.espeak_ng import Clause

_WORDS_PER_MINUTE = 400  # of the reading that is thrown away but for its times
_EVENT_BYTES = 8  # of a phone's name in an event
_TONE = re.compile(r"[ˈˌ\d]")
_INSIDE = 1.5  # phones that a border of words may lie farther from where a word seems to begin than another phone


@dataclass(frozen=True)
class Reading:
    """How a sentence is said."""

    clauses: tuple[Clause, ...]
    words: tuple[tuple[str, int], ...]  # each with the phone it begins at, counted through all clauses


def read(text: str, voice: str) -> Reading:
    """Read one sentence in a voice of espeak's, e.g. `gmw/en-US`.

    espeak writes phones without saying which word they belong to, and says some words as one ("of the"). So it speaks
    the sentence besides, which tells when each word and each phone begins: the phones are a clock.

    Raises:
        ValueError: espeak has no such voice.
    """
    clauses = espeak_ng.clauses(text, voice)
    spoken = espeak_ng.speak(text, voice, _WORDS_PER_MINUTE)
    phones = [phone for clause in clauses for group in clause.groups for phone in group]
    seconds, numbers = _clock(phones, [phone for phone in spoken.phones if phone[0] and not phone[0].startswith("(")])
    if not numbers:
        return Reading(clauses, tuple((word, 0) for word, _ in spoken.words))
    places = [float(np.interp(second, seconds, numbers)) for _, second in spoken.words]
    borders = [0, *accumulate(len(group) for clause in clauses for group in clause.groups)]
    begun = _in_order(places, borders)
    return Reading(clauses, tuple((word, place) for (word, _), place in zip(spoken.words, begun, strict=True)))


def _in_order(places: Sequence[float], borders: Sequence[int]) -> list[int]:
    """A phone for each word to begin with, one after another: near where it seems to, best at a border of words.

    espeak tells of some words a little early, and of those that it says with another not at all. The cheapest choice
    is found by dynamic programming.
    """
    phones = np.arange(borders[-1])
    if len(places) > len(phones):
        return [min(round(place), len(phones) - 1) for place in places]
    inside = np.where(np.isin(phones, borders), 0, _INSIDE)
    best, froms = np.zeros(len(phones) + 1), []
    for place in places:
        costs = np.concatenate([[np.inf], best[:-1] + np.abs(phones - place) + inside])
        froms.append(np.maximum.accumulate(np.where(costs == np.minimum.accumulate(costs), np.arange(len(costs)), 0)))
        best = np.minimum.accumulate(costs)
    chosen, end = [], len(phones)
    for cheapest in reversed(froms):
        end = int(cheapest[end])
        chosen.append(end - 1)
        end -= 1
    return chosen[::-1]


def _clock(phones: Sequence[str], events: Sequence[tuple[str, float]]) -> tuple[list[float], list[int]]:
    """Seconds of the reading, and the phone that begins at each."""
    matcher = SequenceMatcher(None, list(map(_plain, phones)), [_plain(name) for name, _ in events], autojunk=False)
    matched = [
        (events[block.b + at][1], block.a + at) for block in matcher.get_matching_blocks() for at in range(block.size)
    ]
    return [second for second, _ in matched], [place for _, place in matched]


def _plain(phone: str) -> str:
    """A phone's name as far as events have it: without tone, and cut."""
    return _TONE.sub("", phone).encode()[:_EVENT_BYTES].decode("utf-8", "ignore")


def size(clause: Clause) -> int:
    """How many phones it has."""
    return sum(map(len, clause.groups))


def parts(clauses: Sequence[Clause], first: int, most: int) -> Iterator[tuple[Clause, ...]]:
    """A sentence whole, or, if it has more than `most` phones, its beginning and the rest, parted between clauses.

    Args:
        first: phones that the beginning has at least.
    """
    sizes = [size(clause) for clause in clauses]
    end = next((at for at, size in enumerate(accumulate(sizes), 1) if size >= first), len(sizes))
    if sum(sizes) <= most or end == len(sizes):
        yield tuple(clauses)
    else:
        yield tuple(clauses[:end])
        yield tuple(clauses[end:])
