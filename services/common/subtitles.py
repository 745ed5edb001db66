"""Word times → subtitles as WebVTT (W3C) and SubRip.

Cues follow Netflix's Timed Text Style Guide (general requirements, timing, English, simplified Chinese): at most two
lines of 42 characters, shown for 5/6 to 7 seconds, up to half a second longer than is spoken where reading takes
longer, two frames apart, with gaps of up to half a second closed. A line with Chinese in it has at most 40 columns,
of which a full-width character fills two and any other one. What is read in comfort are 17 characters a second, of
Chinese 9; at most 20 and 11. Where a cue or a line ends is chosen for a whole stretch of speech at once: where the
text and the speaker's own pauses allow it best. Every word is kept, so who speaks faster than can be read is shown as
fast.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from basics import webvtt
from services.common import phrases
from services.common.phrases import is_wide

LINE_COLUMNS, WIDE_LINE_COLUMNS = 42, 40
LINES = 2
MIN_CUE_S, MAX_CUE_S = 5 / 6, 7.0
LINGER_S = 0.5  # after what is spoken, where there is room
GAP_S = 2 / 24
CLOSED_GAP_S = 0.5
PAUSE_S = 0.7  # always ends a cue
COMFORTABLE, MOST = (17.0, 9.0), (20.0, 11.0)
"""Characters a second, of which half and full width."""
_CUE, _RUN_ON, _TOO_SHORT, _TOO_FAST = 3.0, 8.0, 12.0, 20.0
_SILENCE = 10.0  # for each second of silence: what a break there costs less, and none costs more …
_BREATH_S = 0.25  # … from so much on
_TAG = re.compile(r"<(?=[A-Za-z/!])")
_OVERRIDE = re.compile(r"\{(?=\\)")


@dataclass(frozen=True)
class Word:
    """A word, or more that are said together; times are seconds from the first sample."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0  # 0 to 1


@dataclass(frozen=True)
class Cue:
    """One subtitle: when it shows and its one or two lines."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(words: Iterable[Word]) -> list[Cue]:
    """Group words into readable cues."""
    return _shown([cue for stretch in _stretches(words) for cue in _Stretch(stretch).cues()])


def to_webvtt(found: Iterable[Cue]) -> str:
    """Cues as a WebVTT file."""
    return webvtt.write((cue.start_s, cue.end_s, "\n".join(cue.lines)) for cue in found)


def to_srt(found: Iterable[Cue]) -> str:
    """Cues as a SubRip file. The format has no escapes, so what players take for markup is drawn differently."""
    blocks = []
    for number, cue in enumerate(found, start=1):
        text = _OVERRIDE.sub("(", _TAG.sub("‹", "\n".join(cue.lines).replace("-->", "→")))
        blocks.append(f"{number}\n{webvtt.clock(cue.start_s, ',')} --> {webvtt.clock(cue.end_s, ',')}\n{text}\n")
    return "\n".join(blocks)


def fits(line: str) -> bool:
    """Whether a text is short enough for a line."""
    wide = sum(map(is_wide, line))
    return _fit(len(line) - wide, wide)


def _fit(half: int, wide: int) -> bool:
    return half + 2 * wide <= (WIDE_LINE_COLUMNS if wide else LINE_COLUMNS)


def reading_s(text: str, speeds: tuple[float, float] = MOST) -> float:
    """Seconds that it takes to read a text."""
    wide = sum(map(is_wide, text))
    return (len(text) - wide) / speeds[0] + wide / speeds[1]


def _stretches(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Words in order of time, cut where somebody pauses."""
    stretch: list[Word] = []
    clock = 0.0
    for word in words:
        if not (text := " ".join(word.text.split())):
            continue
        word = replace(word, text=text, start_s=max(word.start_s, clock), end_s=max(word.end_s, word.start_s, clock))
        if stretch and word.start_s - clock >= PAUSE_S and not phrases.is_closing(text[0]):
            yield stretch
            stretch = []
        stretch.append(word)
        clock = word.end_s
    if stretch:
        yield stretch


class _Stretch:
    """Words that are said without a pause, and the units between which they can be cut into cues and lines."""

    def __init__(self, words: list[Word]) -> None:
        self._text, self._starts = "", []
        for word in words:
            self._text = phrases.joined([self._text, word.text])
            self._starts.append(len(self._text) - len(word.text))
        self._words = words
        self._wide = [0, *itertools.accumulate(map(is_wide, self._text))]
        self._units = phrases.units(self._text, WIDE_LINE_COLUMNS)
        self._spoken = [(self._second(unit.start), self._second(unit.end - 1, after=True)) for unit in self._units]
        silences = (after[0] - before[1] for before, after in itertools.pairwise(self._spoken))
        self._silences = [0.0, *(max(0.0, silence) for silence in silences)]  # before each unit
        self._run_on = [0.0, *itertools.accumulate(map(self._cost_of_running_on, range(len(self._units))))]

    def _cost_of_running_on(self, index: int) -> float:
        """Of a cue that goes on with this unit."""
        ended = self._units[index].cost == phrases.SENTENCE
        return _RUN_ON * ended + _SILENCE * max(0.0, self._silences[index] - _BREATH_S)

    def cues(self) -> list[Cue]:
        """Those that the cheapest way of cutting makes."""
        count = len(self._units)
        best: list[tuple[float, int, tuple[int, ...]]] = [(0.0, 0, ())]
        for last in range(1, count + 1):
            options = []
            for first in range(last - 1, -1, -1):
                layout = self._layout(first, last)
                if layout is None or (first < last - 1 and self._seconds(first, last) > MAX_CUE_S):
                    break
                cost = best[first][0] + layout[0] + self._cost(first, last)
                options.append((cost, first, layout[1]))
            best.append(min(options))
        edges, last = [], count
        while last:
            _, first, breaks = best[last]
            edges.append((first, *breaks, last))
            last = first
        return [self._cue(edge) for edge in reversed(edges)]

    def _cue(self, edges: Sequence[int]) -> Cue:
        lines = (self._line(first, last) for first, last in itertools.pairwise(edges))
        return Cue(self._spoken[edges[0]][0], self._spoken[edges[-1] - 1][1], tuple(lines))

    def _line(self, first: int, last: int) -> str:
        return self._text[self._units[first].start : self._units[last - 1].end]

    def _layout(self, first: int, last: int) -> tuple[float, tuple[int, ...]] | None:
        """In as few lines as fit: what breaking them costs, and where; None if they do not fit in a cue."""
        layouts = (phrases.breaks(self._units, first, last, self._fits, count) for count in range(1, LINES + 1))
        return next((layout for layout in layouts if layout), None)

    def _cost(self, first: int, last: int) -> float:
        """Of showing these units by themselves, but for their lines."""
        cost = _CUE + self._run_on[last] - self._run_on[first + 1]
        if last < len(self._units):
            cost += max(0.0, self._units[last].cost - _SILENCE * self._silences[last])
        seconds = self._seconds(first, last)
        half, wide = self._width(first, last)
        return (
            cost
            + (_TOO_SHORT if seconds < MIN_CUE_S else 0.0)
            + _TOO_FAST * max(0.0, half / MOST[0] + wide / MOST[1] - seconds)
        )

    def _fits(self, first: int, last: int) -> bool:
        return _fit(*self._width(first, last))

    def _width(self, first: int, last: int) -> tuple[int, int]:
        """Characters of half and full width."""
        start, end = self._units[first].start, self._units[last - 1].end
        wide = self._wide[end] - self._wide[start]
        return end - start - wide, wide

    def _seconds(self, first: int, last: int) -> float:
        """For how long these units can be shown."""
        end = self._spoken[last][0] if last < len(self._units) else self._spoken[last - 1][1] + LINGER_S
        return end - self._spoken[first][0]

    def _second(self, index: int, *, after: bool = False) -> float:
        """When a character begins or ends. Engines may tell the times of whole sentences only."""
        number = bisect.bisect_right(self._starts, index) - 1
        word, start = self._words[number], self._starts[number]
        end = start + len(word.text)
        said = self._columns(start, min(index + after, end)) / self._columns(start, end)
        return word.start_s + (word.end_s - word.start_s) * said

    def _columns(self, start: int, end: int) -> int:
        """Of these characters."""
        return end - start + self._wide[end] - self._wide[start]


def _shown(spoken: list[Cue]) -> list[Cue]:
    """The cues as long as they are shown, where at first they are as long as they are spoken."""
    rooms = (cue.start_s - GAP_S for cue in spoken[1:])
    return [replace(cue, end_s=_end_s(cue, next(rooms, float("inf")))) for cue in spoken]


def _end_s(cue: Cue, room_s: float) -> float:
    """When a cue goes.

    Args:
        room_s: when it has to.
    """
    comfortable_s = cue.start_s + reading_s("".join(cue.lines), COMFORTABLE)
    end_s = max(cue.end_s, min(comfortable_s, cue.end_s + LINGER_S), cue.start_s + MIN_CUE_S)
    if room_s - end_s < CLOSED_GAP_S - GAP_S:
        end_s = room_s
    return max(min(end_s, cue.start_s + MAX_CUE_S), min(cue.start_s, room_s) + GAP_S)
