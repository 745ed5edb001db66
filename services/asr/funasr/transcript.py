"""What the runtime has said of an utterance so far, and whether that was all.

Its servers differ. The one in C++ marks its last message with `is_final`. The one in Python tells in `is_final` whether
the sound still goes on, so its last message is the first text of a sentence that does not have it; newer ones say
`is_end`. One that offers nothing but whole recordings answers with one message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from basics.scripts import HAN
from services.asr.engine import Hypothesis
from services.asr.remote.heard import as_text, hypothesis, without_tags
from services.common.phrases import joined
from services.common.provider import MISSHAPEN
from services.common.subtitles import Word

_UNIT = re.compile(rf"[{HAN}]|[^\W{HAN}]+(?:'\w+)?")  # what the runtime's models give a time to


class Transcript:
    """The text, sentence by sentence: those that are certain, and after them what was heard on the fly."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._fleeting = ""
        self._words: list[Word] | None = []  # None once a sentence came without times
        self._language = ""
        self._marks_end: bool | None = None  # what `is_final` means here; None as long as that is not known

    @property
    def text(self) -> str:
        """All of it."""
        return joined(filter(None, (*self._sentences, self._fleeting.strip())))

    def add(self, message: Mapping[str, Any], is_over: bool) -> bool | None:
        """Take a message of the server.

        Args:
            is_over: whether it was told that the sound is over.

        Returns:
            Whether it was the last one; None if that cannot be told.
        """
        text, language = without_tags(as_text(message.get("text") or ""))
        self._language = self._language or language
        is_certain = "offline" in str(message.get("mode") or "")
        if is_certain:
            self._take(text, message)
        else:
            self._fleeting += text
        return self._is_last(message, is_certain, is_over)

    def hypothesis(self, asked: str) -> Hypothesis:
        """What was heard, when it is over."""
        return hypothesis(self.text, self._words or () if not self._fleeting else (), self._language, asked)

    def _take(self, text: str, message: Mapping[str, Any]) -> None:
        self._fleeting = ""
        if not text.strip():
            return
        self._sentences.append(text.strip())
        words = _words(message)
        self._words = self._words + words if words and self._words is not None else None

    def _is_last(self, message: Mapping[str, Any], is_certain: bool, is_over: bool) -> bool | None:
        is_final = bool(message.get("is_final"))
        if not is_certain and not (is_over and is_final):
            self._marks_end = not is_final
        if not is_over:
            return False
        if message.get("is_end") or (is_final and "mode" not in message):
            return True
        if self._marks_end is not None:
            return is_final if self._marks_end else is_certain and not is_final
        return True if message.get("mode") == "offline" and not is_final else None


def _words(message: Mapping[str, Any]) -> list[Word]:
    """The words of a sentence and their times, from the beginning of the sound."""
    try:
        found = []
        for sentence in message.get("stamp_sents") or ():
            texts, times = str(sentence["text_seg"]).split(), sentence["ts_list"]
            found += [Word(text, *_span(span)) for text, span in zip(texts, times, strict=True)]
        if found or not message.get("timestamp"):
            return found
        texts, times = _UNIT.findall(str(message["text"])), json.loads(message["timestamp"])
        return [Word(text, *_span(span)) for text, span in zip(texts, times, strict=True)]
    except MISSHAPEN:
        return []  # other times than those of words: the text is right without them


def _span(milliseconds: Any) -> tuple[float, float]:
    start, end = milliseconds
    return start / 1000, end / 1000
