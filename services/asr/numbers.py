"""Text as people write it, of engines that tell bare words: "twenty three dollars" becomes "$23", 百分之五十 50%.

WeTextProcessing's grammars find what is a number and of which kind; what they write otherwise than people do is mended
here, and what people write in words is left alone. Several words that become one are one word in time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from basics.languages import primary
from services.asr.engine import Hypothesis
from services.common.subtitles import Word

_UNSAID = re.compile(r"(?<=[a-z])-(?=[a-z])|\"")  # which its grammar does not know
_SAID_IN_ENGLISH = re.compile(
    r"\b(\w*(?:teen|ty)(?:-\w+|th|ths)?|(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
    r"|hundred|thousand|million|billion|tenth|eleventh|twelfth|half|quarter|first|second|third|fourth|fifth|sixth"
    r"|seventh|eighth|ninth|dot)",
    re.IGNORECASE,
)
_SMALL_ORDINALS = frozenset(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"))
_DIGITS = frozenset(
    ("zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple")
)
_LEAST_DIGITS = 4  # that are told one by one; fewer are counting
_MONTHS = re.compile(r"\b(january|february|march|april|may|june|july|august|september|october|november|december)\b")
_UNITS = {
    "gb": "GB", "mb": "MB", "kb": "kB", "tb": "TB", "hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "kw": "kW",
    "mw": "MW", "kwh": "kWh",
}  # fmt: skip
_SPELLED_OUT = frozenset(("min", "h", "s", "ms", "ft", "m", "yd", "in", "oz", "t", "l"))
_LONG = re.compile(r"(?<![\d.:])\d{5,}(?![\d:])")
_HAN_NUMERALS = "零〇幺一二两三四五六七八九十百千万亿点半"
_SAID_IN_CHINESE = re.compile(f"[{_HAN_NUMERALS}]")
_LEADING_NUMERAL = re.compile(f"^[{_HAN_NUMERALS}]+")
_HAN_DIGITS = re.compile(r"[零〇幺一二两三四五六七八九]+")
_SURELY_DIGITS = re.compile(r"[零〇幺]")
_SHARE = re.compile("[百千万]分之")
_NO_NUMBERS = ("十分", "十字")
_VAGUE = ("几", "来")
_PART_OF_DAY = re.compile(r"^(凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|今晚|明早)")
_ENDS_SENTENCE = re.compile(r"[.,!?;:…。，！？；：、][\"'”’)）]*$")

_grammar = threading.Lock()  # whether its graphs may be used by several threads is nowhere stated


@dataclass(frozen=True)
class _Change:
    """A stretch of the spoken text and what is written for it."""

    start: int
    end: int
    written: str


def load(languages: Iterable[str]) -> None:
    """Load the grammars of languages (BCP 47 tags), which takes seconds that the first who speaks shall not wait."""
    for tongue in {primary(language) for language in languages} & _GRAMMARS.keys():
        _found("", tongue)


def as_written(spoken: Hypothesis, language: str) -> Hypothesis:
    """An utterance as people write it, with its words; as it is in a language without grammar.

    Args:
        language: BCP 47 tag of what was spoken.
    """
    tongue = primary(language)
    grammar = _GRAMMARS.get(tongue)
    if grammar is None or not spoken.text:
        return spoken
    changes = [*grammar(spoken.text)]
    words = _words(spoken, changes)
    text = _changed(spoken.text, changes)
    end = _full_stop(text, tongue)
    if words:
        words[0] = replace(words[0], text=_begun(words[0].text))
        words[-1] = replace(words[-1], text=words[-1].text + end)
    return replace(spoken, text=_begun(text) + end, words=tuple(words))


def _changed(text: str, changes: list[_Change], start: int = 0, end: int | None = None) -> str:
    """A stretch of a text, changed."""
    parts, at = [], start
    for change in changes:
        parts += [text[at : change.start], change.written]
        at = change.end
    return "".join(parts) + text[at:end]


def _words(spoken: Hypothesis, changes: list[_Change]) -> list[Word]:
    """The words of the written text: each that a change touches is joined with the others that it touches."""
    words: list[Word] = []
    group: list[Word] = []
    start = end = at = 0
    ahead = list(changes)
    for word in spoken.words:
        found = spoken.text.find(word.text, at)
        begins = found if found >= 0 else at
        at = begins + len(word.text)
        if not group:
            start = begins
        group, end = [*group, word], at
        if any(change.start < end < change.end for change in ahead):
            continue
        inside = [change for change in ahead if change.start < end]
        ahead = ahead[len(inside) :]
        words += [_joined(group, _changed(spoken.text, inside, start, end))] if inside else group
        group = []
    return words + group


def _joined(group: list[Word], text: str) -> Word:
    confidence = sum(word.confidence for word in group) / len(group)
    return Word(text.strip(), group[0].start_s, group[-1].end_s, confidence)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _full_stop(text: str, language: str) -> str:
    """What ends the sentence: whoever pauses has ended one."""
    if _ENDS_SENTENCE.search(text):
        return ""
    if language == "zh":
        return "？" if text.endswith("吗") else "。"
    return "."


# English


def _english(text: str) -> Iterator[_Change]:
    if not _SAID_IN_ENGLISH.search(text):
        return
    plain = _UNSAID.sub(" ", "".join(letter.lower()[:1] for letter in text))  # as long as the text
    for found in _found(plain, "en"):
        start, end = found.input_start, found.input_end
        said = plain[start:end].split()
        if _is_written_in_english(found.token_type, said):
            if plain[:start].endswith("a ") and found.input_text.startswith("quarter"):
                start -= len("a ")
            yield _Change(start, end, _in_english(found.token_type, said, found.output_text))


def _is_written_in_english(kind: str, said: list[str]) -> bool:
    """Whether people use digits: not for the first few, nor where the grammar shortens words that are no numbers."""
    match kind:
        case "ordinal":
            return not (len(said) == 1 and said[0] in _SMALL_ORDINALS)
        case "telephone":
            return len(said) >= _LEAST_DIGITS and _DIGITS.issuperset(said)
        case "whitelist" | "word" | "punctuation" | "char":
            return False
    return True


def _in_english(kind: str, said: list[str], written: str) -> str:
    match kind:
        case "time":
            return re.sub(r"^0(?=\d:)", "", written)
        case "date":
            named = _MONTHS.sub(lambda month: month[0].capitalize(), written)
            return re.sub(r"^([A-Z]\w+ \d{1,2}) (\d{4})$", r"\1, \2", named)
        case "measure":
            number, _, unit = written.replace(" %", "%").partition(" ")
            written = f"{number} {_UNITS.get(unit, said[-1] if unit in _SPELLED_OUT else unit)}".strip()
        case "telephone" | "electronic":
            return written
    return _LONG.sub(lambda number: f"{int(number[0]):,}", written)


# Chinese


def _chinese(text: str) -> Iterator[_Change]:
    if not _SAID_IN_CHINESE.search(text):
        return
    for found in _found(text, "zh"):
        said, start, end = found.input_text, found.input_start, found.input_end
        if _is_written_in_chinese(said, found.output_text, text[end:]):
            yield _Change(start, end, _in_chinese(found.token_type, said, found.output_text))


def _is_written_in_chinese(said: str, written: str, after: str) -> bool:
    """Whether people use digits: not for vague numbers, nor for a few digits that may be a name."""
    if "~" in written or after.startswith(_VAGUE) or len(said) == 1 or said in _NO_NUMBERS:
        return False
    if "两" in said and _HAN_DIGITS.fullmatch(said):
        return False
    is_short = bool(_HAN_DIGITS.fullmatch(said)) and len(said) < _LEAST_DIGITS
    return not is_short or bool(_SURELY_DIGITS.search(said))


def _in_chinese(kind: str, said: str, written: str) -> str:
    if kind == "time":
        part = _PART_OF_DAY.match(said)
        clock = re.sub(r"\s*[ap]\.m\.$", "", written)
        clock = clock if "秒" in said else re.sub(r"^(\d+:\d+):00$", r"\1", clock)
        return (part[0] if part else "") + re.sub(r"^0(?=\d:)", "", clock)
    if kind == "date" and (day := re.fullmatch(r"(?:(\d+)/)?(\d+)/(\d+)", written)):
        year = f"{day[1]}年" if day[1] else ""
        return f"{year}{int(day[2])}月{int(day[3])}{said[-1]}"
    if said.endswith("分") and (minute := re.fullmatch(r"(\d+)\.(\d\d)分", written)):
        return f"{minute[1]}:{minute[2]}"
    if kind in ("measure", "money") and not _SHARE.match(said) and (numeral := _LEADING_NUMERAL.match(said)):
        number = re.search(r"[\d.]+万?亿?", written)
        unit = said[numeral.end() :]
        return f"{number[0]}{unit}" if number and unit else written
    for name, value in (("亿", 10**8), ("万", 10**4)):
        if said.endswith(name) and written.isdecimal() and int(written) % value == 0:
            return f"{int(written) // value}{name}"
    return written


_GRAMMARS: dict[str, Callable[[str], Iterator[_Change]]] = {"en": _english, "zh": _chinese}


def _found(text: str, language: str) -> list[Any]:
    with _grammar:
        try:
            return list(_normaliser(language).normalize_with_mapping(text).mappings)
        except RuntimeError:
            return []  # of a text that no grammar knows, which is right as it was said


@cache
def _normaliser(language: str) -> Any:
    from wetext import Normalizer

    return Normalizer(lang=language, operator="itn")
