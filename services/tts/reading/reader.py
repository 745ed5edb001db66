"""Text as it arrives becomes sentences: how each is written without marks, and what is said for it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.tts.reading.marks import MarkRemover, Plain
from services.tts.reading.said import Said, said, tongue_of
from services.tts.sentences import SentenceSplitter, is_speakable, language_of

_TOGETHER = 200  # characters in which sentences are looked for at once: marks leave many short pieces
_GAP = re.compile(r"\s+")
_BEFORE_STOP = re.compile(r"(?<=\w) (?=[,.;:!?。，；：！？](?:\s|$))")


@dataclass(frozen=True)
class Sentence:
    """A sentence to speak.

    Attributes:
        language: a BCP 47 tag.
        end: how many characters of the text, as it came, are said with it and before it.
    """

    said: Said
    language: str
    end: int


class Reader:
    """Reads a text aloud, sentence by sentence; how it was cut into pieces makes no difference."""

    def __init__(self, language: str = "", *, is_read_by_engine: bool = False) -> None:
        """
        Args:
            language: a BCP 47 tag; empty to follow the script of each sentence.
            is_read_by_engine: whether an engine reads out numbers, signs and abbreviations itself.
        """
        self._language, self._is_read_by_engine = language, is_read_by_engine
        self._remover = MarkRemover(tongue_of("", language) if language else "")
        self._splitter = SentenceSplitter()
        self._plain: deque[tuple[int, Plain]] = deque()  # pieces that are not in a sentence yet, and where each ends
        self._plain_end = self._source_end = 0

    def push(self, text: str) -> Iterator[Sentence]:
        """Take the next piece of text; yield the sentences that are now complete."""
        yield from self._read(self._remover.push(text))

    def flush(self) -> Iterator[Sentence]:
        """The text is over; yield what is left of it."""
        yield from self._read(self._remover.flush())
        for written in self._splitter.flush():
            yield from self._sentence(written)

    def _read(self, pieces: Iterable[Plain]) -> Iterator[Sentence]:
        together = ""
        for piece in pieces:
            self._plain_end += len(piece.text)
            self._plain.append((self._plain_end, piece))
            together += piece.text
            if len(together) >= _TOGETHER:
                yield from self._split(together)
                together = ""
        yield from self._split(together)

    def _split(self, text: str) -> Iterator[Sentence]:
        for written in self._splitter.push(text):
            yield from self._sentence(written)

    def _sentence(self, written: str) -> Iterator[Sentence]:
        end = self._source_at(self._splitter.taken)
        language = self._language or language_of(written)
        told = self._said(written, tongue_of(written, language))
        if is_speakable(told.text):
            yield Sentence(told, language, end)

    def _said(self, written: str, tongue: str) -> Said:
        tidy = _GAP.sub(" ", written)  # where a mark was
        tidy = _BEFORE_STOP.sub("", tidy) if tongue in ("en", "zh") else tidy
        return said(tidy, "" if self._is_read_by_engine else tongue)

    def _source_at(self, plain: int) -> int:
        """How many characters of what came lie before a place in the text without marks."""
        while self._plain and self._plain[0][0] <= plain:
            self._source_end = self._plain.popleft()[1].end
        if self._plain:
            end, piece = self._plain[0]
            behind = end - plain  # of the piece that it ends in
            if behind < len(piece.text):
                self._source_end = piece.end - behind if piece.is_copy else piece.end
        return self._source_end
