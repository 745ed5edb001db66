"""The written words of a sentence, as an engine says them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from services.tts.engine import SpokenWord
from services.tts.reading.said import Said


class Follower:
    """Turns the times of an engine's words into those of the words that are written."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._place = 0  # in what is said
        self._word = -1  # the written word that was told last

    def written(self, words: Iterable[SpokenWord]) -> tuple[SpokenWord, ...]:
        """The written words that begin with these spoken ones, in order. What is said for several is one."""
        return tuple(self._merged(words))

    def _merged(self, words: Iterable[SpokenWord]) -> Iterator[SpokenWord]:
        pending: SpokenWord | None = None
        for word in words:
            index = self._index(word.text)
            if index > self._word and self._said.words:
                if pending:
                    yield pending
                begin, end, _ = self._said.words[index]
                pending, self._word = replace(word, text=self._said.written[begin:end]), index
            elif pending:
                pending = replace(pending, end_s=word.end_s)
        if pending:
            yield pending

    def _index(self, word: str) -> int:
        """Which written word a spoken one belongs to; one that an engine spells otherwise goes with the one before."""
        found = re.compile(re.escape(word), re.IGNORECASE).search(self._said.text, self._place)
        if found:
            self._place = found.end()
        return self._said.word_at(found.start()) if found else self._word
