"""A provider's text and times as the house writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from basics.scripts import HAN
from services.asr.engine import Hypothesis
from services.asr.whisper.script import written
from services.common.subtitles import Word

_HAN, _KANA, _LATIN = re.compile(f"[{HAN}]"), re.compile("[\u3040-\u30ff]"), re.compile("[A-Za-z]")
_LETTER = re.compile(r"\w")
_TAG = re.compile(r"<\|([^|<>]*)\|>\s*")
_UNSAID = re.compile(r"^[^\w]*$")


def hypothesis(text: str, words: Sequence[Word], language: str, asked: str) -> Hypothesis:
    """What was heard, in the characters that the readers of the asked language read.

    Args:
        words: when each was said, as the provider spells them; dropped where they are not the text's.
        language: BCP 47 tag of what the provider heard; empty where it does not tell.
        asked: the tag that the caller asked for.
    """
    text = "" if _UNSAID.match(text) else text.strip()
    placed = spelled(text, words)
    language = asked or language or by_script(text)
    if language.lower().startswith("zh") and text:
        texts = written([word.text for word in placed], language)
        placed = [replace(word, text=text) for word, text in zip(placed, texts, strict=True)]
        text = written([text], language)[0]
    return Hypothesis(text, tuple(placed), language)


def as_text(told: object) -> str:
    """A text of an answer, without halves of characters, which no message could hold.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(told, str):
        raise TypeError("no text")
    return told.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def spelled(text: str, words: Sequence[Word]) -> list[Word]:
    """Words with the spelling and the punctuation that they have in the text; none where it says something else, such
    as figures for numbers."""
    starts: list[int] = []
    end = 0
    for word in words:
        found = re.compile(re.escape(word.text.strip()), re.I).search(text, end)
        if not found or _LETTER.search(text, end, found.start()):
            return []
        starts.append(found.start())
        end = found.end()
    if _LETTER.search(text, end):
        return []
    bounds = [0, *starts[1:], len(text)]
    parts = [text[start:stop].strip() for start, stop in zip(bounds, bounds[1:], strict=False)]
    return [replace(word, text=part) for word, part in zip(words, parts, strict=False)]


def by_script(text: str) -> str:
    """The language of a text, as far as its letters tell Chinese from English; empty for others."""
    if _KANA.search(text):
        return ""
    return "zh" if _HAN.search(text) else "en" if _LATIN.search(text) else ""


def without_tags(text: str) -> tuple[str, str]:
    """A text without what SenseVoice says of it (`<|zh|><|NEUTRAL|><|Speech|>…`), and its language, if told."""
    tags = _TAG.findall(text)
    language = tags[0].lower() if tags and tags[0].lower() in ("zh", "en", "yue", "ja", "ko") else ""
    return _TAG.sub("", text), language
