"""Word times → subtitles as WebVTT (W3C) and SubRip.

Cues follow broadcast habit: at most two lines of 42 columns (a Chinese character fills two), at most six seconds, a new
cue after a pause or a full stop.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from services.asr.engine import Word

LINE_COLUMNS = 42
LINES = 2
MAX_CUE_S = 6.0
MIN_CUE_S = 1.0  # shorter cues cannot be read; they stay while nothing follows
PAUSE_S = 0.7
_CLOSING = tuple(".?!。？！…")
# What a line break may not split: a Chinese or Japanese character, or a run of others, with the punctuation after it.
_UNIT = re.compile(r"\s*(?:[⺀-鿿豈-﫿\U00020000-\U0003ffff][，。；：？！、）】》”’…]*|[^\s⺀-鿿豈-﫿]+)")
_NO_SPACE_BEFORE = re.compile(r"^[,.;:?!%)\]}，。；：？！、）】》”’…]")


@dataclass(frozen=True)
class Cue:
    """One subtitle: when it shows and its one or two lines."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


def cues(words: Iterable[Word]) -> list[Cue]:
    """Group words into readable cues."""
    grouped = [_cue(group) for group in _groups(_pieces(words))]
    following = [*(cue.start_s for cue in grouped[1:]), float("inf")]
    return [
        replace(cue, end_s=min(max(cue.end_s, cue.start_s + MIN_CUE_S), max(next_start, cue.start_s)))
        for cue, next_start in zip(grouped, following, strict=False)
    ]


def to_webvtt(words: Iterable[Word]) -> str:
    """The words as a WebVTT file."""
    blocks = ["WEBVTT"]
    for cue in cues(words):
        text = "\n".join(_escaped(line) for line in cue.lines)
        blocks.append(f"{_timestamp(cue.start_s, '.')} --> {_timestamp(cue.end_s, '.')}\n{text}")
    return "\n\n".join(blocks) + "\n"


def to_srt(words: Iterable[Word]) -> str:
    """The words as a SubRip file. The format has no escapes, so an arrow in the text is drawn differently."""
    blocks = []
    for number, cue in enumerate(cues(words), start=1):
        text = "\n".join(cue.lines).replace("-->", "→")
        blocks.append(f"{number}\n{_timestamp(cue.start_s, ',')} --> {_timestamp(cue.end_s, ',')}\n{text}\n")
    return "\n".join(blocks)


def columns(text: str) -> int:
    """Width of the text on a screen; East Asian characters count twice."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def joined(words: Sequence[Word]) -> str:
    """The words as running text: spaces between Latin words, none between Chinese ones or before punctuation."""
    text = ""
    for word in words:
        tight = not text or _NO_SPACE_BEFORE.match(word.text) or (_is_wide(text[-1]) and _is_wide(word.text[0]))
        text += word.text if tight else f" {word.text}"
    return text


def _pieces(words: Iterable[Word]) -> Iterator[Word]:
    """Words in order of time, cut where a line may break: engines may return a whole Chinese sentence as one word."""
    clock = 0.0
    for word in words:
        clock = max(word.start_s, clock)
        seconds = max(word.end_s - clock, 0.0)
        units = [unit.strip() for unit in _UNIT.findall(word.text)]
        per_column = seconds / max(1, columns("".join(units)))
        start = clock
        for unit in units:
            end = start + columns(unit) * per_column
            yield replace(word, text=unit, start_s=start, end_s=end)
            start = end


def _groups(words: Iterable[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and _starts_cue(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _starts_cue(group: list[Word], word: Word) -> bool:
    if _NO_SPACE_BEFORE.match(word.text) and word.start_s - group[-1].end_s < PAUSE_S:
        return len(_lines(joined([*group, word]))) > LINES
    return (
        word.start_s - group[-1].end_s >= PAUSE_S
        or word.end_s - group[0].start_s > MAX_CUE_S
        or group[-1].text.endswith(_CLOSING)
        or len(_lines(joined([*group, word]))) > LINES
    )


def _cue(group: list[Word]) -> Cue:
    return Cue(group[0].start_s, min(group[-1].end_s, group[0].start_s + MAX_CUE_S), tuple(_balanced(joined(group))))


def _lines(text: str, width: int = LINE_COLUMNS) -> list[str]:
    """Greedy wrapping at spaces and between Chinese characters."""
    lines = [""]
    for unit in _UNIT.findall(text):
        if lines[-1] and columns(lines[-1] + unit) > width:
            lines.append("")
        lines[-1] += unit if lines[-1] else unit.lstrip()
    return lines


def _balanced(text: str) -> list[str]:
    """The text in as few lines as fit, of about equal length."""
    fewest = _lines(text)
    for width in range(columns(text) // len(fewest), LINE_COLUMNS):
        if len(lines := _lines(text, width)) == len(fewest):
            return lines
    return fewest


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timestamp(seconds: float, decimal: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{decimal}{rest % 1000:03}"
