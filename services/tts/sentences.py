"""Text into sentences, as it arrives, so that the first can be spoken while the rest is being written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from basics.scripts import HAN

MAX_WEIGHT = 240  # about 20 s of speech
_WIDE_WEIGHT = 3  # a Chinese character takes about as long to say as three Latin letters
_SLICE = 2000  # characters looked at together

_CLOSERS = "\"'”’»›)\\]）】」』》"
_END = re.compile(rf"[.!?。！？；…．]+[{_CLOSERS}]*|\s*\n\s*")
_WIDE_END = re.compile(r"[。！？；]")
_CLAUSE_END = re.compile(r"[，、；：—]+|[,;:]+(?=\s)|\s[-–]+(?=\s)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:mr|mrs|ms|dr|prof|st|mt|sr|jr|vs|gen|col|lt|sgt|capt|maj|rev|hon|gov|sen|rep|dept|approx|"
    r"e\.g|i\.e|cf|bzw|z\.b|mme|mlle|(?![ap]\.m$)(?:[a-z]\.)*[a-z])$",
    re.IGNORECASE,
)
_MONTH = r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
_BEFORE_NUMBER = re.compile(rf"(?<![A-Za-z])(?:no|nos|nr|fig|figs|vol|pp|p|ch|sec|art|{_MONTH})$", re.IGNORECASE)
_DAY = re.compile(rf"\b{_MONTH}\. \d{{1,2}}$", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}$")
_HAN = re.compile(rf"[{HAN}]")
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
)


class SentenceSplitter:
    """Collects pieces of text and gives back sentences; how the text was cut into pieces makes no difference."""

    def __init__(self) -> None:
        self._pending = ""
        self.taken = 0
        """How many characters lie behind the end of the last sentence."""

    def push(self, text: str) -> Iterator[str]:
        """Take the next piece of text; yield the sentences that are now complete."""
        for at in range(0, len(text), _SLICE):
            self._pending += text[at : at + _SLICE]
            yield from self._complete(final=False)

    def flush(self) -> Iterator[str]:
        """The text is over; yield what is left of it."""
        yield from self._complete(final=True)

    def _complete(self, *, final: bool) -> Iterator[str]:
        while (end := _first_end(self._pending, final=final)) is not None:
            sentence, self._pending = self._pending[:end].strip(), self._pending[end:]
            self.taken += end
            if is_speakable(sentence):
                yield sentence


def split(text: str) -> Iterator[str]:
    """The sentences of a whole text, one at a time."""
    splitter = SentenceSplitter()
    yield from splitter.push(text)
    yield from splitter.flush()


def is_speakable(text: str) -> bool:
    """Whether there is a letter or a digit to say."""
    return any(character.isalnum() for character in text)


def has_han(text: str) -> bool:
    """Whether there are Chinese characters."""
    return bool(_HAN.search(text))


def language_of(sentence: str) -> str:
    """A guess from the script; Chinese where it has at least half as many characters as there are Latin words."""
    for language, letters in _SCRIPTS:
        if letters.search(sentence):
            return language
    if 2 * len(_HAN.findall(sentence)) >= max(1, len(re.findall(r"[A-Za-z]+", sentence))):
        return "zh"
    return "en-US"


def _first_end(text: str, *, final: bool) -> int | None:
    """Where the first sentence ends, or None while more text may still move that place."""
    limit = _limit(text)
    end = _natural_end(text, final=final)
    if end is not None and end <= limit:
        return end
    if limit < len(text):
        return _cut(text[:limit])
    return len(text) if final and text else None


def _natural_end(text: str, *, final: bool) -> int | None:
    for match in _END.finditer(text):
        rest = text[match.end() :]
        if match.group().isspace():
            if not text[: match.start()].strip():
                continue
            end, is_paragraph = match.start(), match.group().count("\n") > 1
        else:
            end, is_paragraph = match.end(), rest[: len(rest) - len(rest.lstrip())].count("\n") > 1
        if is_paragraph:
            return end
        following = rest.lstrip()
        if not following and not final:
            return None  # a closing quote or a small letter may follow
        if _ends_sentence(text, match, following):
            return end
    return None


def _ends_sentence(text: str, match: re.Match[str], following: str) -> bool:
    mark = match.group()
    if not following or _WIDE_END.search(mark):
        return True
    if mark.isspace():
        return not following[0].islower()
    after = text[match.end()]
    if not after.isspace() and not has_han(after):
        return False  # 3.14, example.com, "what?!"-she
    if "." not in mark and "…" not in mark:
        return True
    before = text[: match.start()]
    return not following[0].islower() and not (mark == "." and _is_abbreviated(before, following))


def _is_abbreviated(before: str, following: str) -> bool:
    """Whether a full stop after these characters ends no more than a word."""
    if _ABBREVIATION.search(before[-12:]) or _LIST_NUMBER.search(before) or _DAY.search(before[-12:]):
        return True
    return following[0].isdigit() and bool(_BEFORE_NUMBER.search(before[-8:]))


def _limit(text: str) -> int:
    """How many characters of the text fit into one sentence."""
    weight = 0
    for index, character in enumerate(text):
        weight += _WIDE_WEIGHT if ord(character) > 0x2E80 else 1
        if weight > MAX_WEIGHT:
            return index
    return len(text)


def _cut(text: str) -> int:
    """The best place to part a sentence that is too long: the last clause, else the last space, else its end."""
    clauses = [match.end() for match in _CLAUSE_END.finditer(text) if match.end() > len(text) // 3]
    if clauses:
        return clauses[-1]
    space = text.rfind(" ")
    return space + 1 if space > 0 else len(text)
