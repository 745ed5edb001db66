"""A sentence as it is said, and which of its words are which of those that are written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from basics.languages import primary
from basics.scripts import HAN
from services.tts.reading import chinese, english
from services.tts.reading.rules import Found, Rule, find
from services.tts.sentences import has_han, language_of

_RULES: dict[str, list[Rule]] = {"en": english.RULES, "zh": chinese.RULES}
_MARKS = "，。；：！？、"
_TOKEN = re.compile(
    rf"[{HAN}]|[^\s{HAN}{_MARKS}]+[{_MARKS}]*|[{_MARKS}]+"
)  # Chinese is spoken and shown character by character
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code - 0xFEE0).isalnum()}
_FULL_WIDTH |= {ord(mark): ord(plain) for mark, plain in zip("％＋＝＠＆＃＊～／－＄", "%+=@&#*~/-$", strict=True)}
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[：．](?=\d)")
_TWO_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
_MARKS_SILENT = r"*_`#^~|\\<>{}\[\]=+@&\u200b-\u200d\ufe00-\ufe0f\ufeff※©®™％＝＠＆＃＊～／－＄＋"
_PICTURES = (
    r"\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u2bff\ue000-\uf8ff\U0001f000-\U0001faff\U000e0000-\U000e007f"
)
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_NOT_SAID = re.compile(f"(?P<wide>[０-９Ａ-Ｚａ-ｚ]+)|[{_MARKS_SILENT}{_PICTURES}{_CONTROL}]")


@dataclass(frozen=True)
class Said:
    """What is said for a sentence.

    Attributes:
        written: the sentence.
        text: what is said.
        changes: for stretches [begin, end) of what is written, which stretches of the text are said instead, in order;
            all else is said as it is written.
    """

    written: str
    text: str
    changes: tuple[tuple[int, int, int, int], ...]

    @cached_property
    def words(self) -> tuple[tuple[int, int, int], ...]:
        """Each written word as [begin, end) with the place in the text where saying it begins; in order, none left out.

        A word is a Chinese character, or what lies between spaces; what is said for several is one.
        """
        words: list[tuple[int, int, int]] = []
        changes = iter([*self.changes, (len(self.written) + 1,) * 4])
        change, shift = next(changes), 0
        for match in _TOKEN.finditer(self.written):
            begin, end = match.span()
            while change[1] <= begin:
                shift, change = change[3] - change[1], next(changes)
            if words and begin < words[-1][1]:  # said together with the word before
                words[-1] = words[-1][0], max(words[-1][1], end), words[-1][2]
            else:
                words.append((begin, end, begin + shift if begin < change[0] else change[2]))
            while change[0] < end:
                words[-1] = words[-1][0], max(words[-1][1], change[1]), words[-1][2]
                if change[1] > end:
                    break
                shift, change = change[3] - change[1], next(changes)
        return tuple(words)

    def word_at(self, place: int) -> int:
        """Which written word is being said at a place in the text."""
        return max(bisect_right([start for *_, start in self.words], place) - 1, 0)


def said(written: str, tongue: str) -> Said:
    """What is said for a sentence without marks.

    Args:
        tongue: `en`, `zh`, or any other language, whose numbers the engine reads.
    """
    rules = _RULES.get(tongue, [])
    return _joined(written, find(_half_width(written), rules))


def tongue_of(sentence: str, language: str) -> str:
    """In which language a sentence's numbers and signs are read.

    Args:
        language: that of the sentence, as a BCP 47 tag.
    """
    tongue = primary(language)
    if tongue in ("zh", "cmn", "yue"):
        is_foreign = not has_han(sentence) and _TWO_WORDS.search(sentence)
        return "en" if is_foreign else "zh"
    return language_of(sentence)[:2] if tongue == "en" and has_han(sentence) else tongue


def _half_width(text: str) -> str:
    text = text.translate(_FULL_WIDTH)
    return _BETWEEN_DIGITS.sub(lambda match: {"：": ":", "．": "."}[match[0]], text)


def _joined(written: str, found: Iterable[Found]) -> Said:
    parts: list[str] = []
    changes: list[tuple[int, int, int, int]] = []
    length = at = 0

    def add(text: str) -> None:
        nonlocal length
        if text:
            parts.append(text)
            length += len(text)

    def change(begin: int, end: int, text: str) -> None:
        before, after = (parts[-1][-1:] if parts else ""), written[end : end + 1]
        if _runs_together(before, text[:1]):
            text = f" {text}"
        if _runs_together(text[-1:], after):
            text += " "
        start = length
        add(text)
        changes.append((begin, end, start, length))

    def keep(begin: int, end: int) -> None:
        """As it is written, but for full-width letters and signs that nobody says."""
        start = begin
        for match in _NOT_SAID.finditer(written, begin, end):
            add(written[start : match.start()])
            change(*match.span(), match[0].translate(_FULL_WIDTH) if match["wide"] else " ")
            start = match.end()
        add(written[start:end])

    for one in found:
        keep(at, one.begin)
        change(one.begin, one.end, one.said)
        at = one.end
    keep(at, len(written))
    return Said(written, "".join(parts), tuple(changes))


def _runs_together(left: str, right: str) -> bool:
    return left.isalnum() and right.isalnum() and left.isascii() and right.isascii()
