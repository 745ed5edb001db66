"""Markdown → passages that can be spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.llm.language import language_of

_DROPPED = re.compile(r"```.*?```|~~~.*?~~~|<!--.*?-->|!\[[^\]]*\]\([^)]*\)|^\|.*$|^[-*_]{3,}\s*$", re.S | re.M)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+|^\s*>\s?")
_LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKS = re.compile(r"\*\*|__|~~|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|`|<[a-zA-Z/][^>]*>")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')”’]*\s+(?=[\"'(“‘]?[A-Z0-9À-Þ])|(?<=[。！？])(?![”’」』）])\s*")
_LONGEST = 600  # characters of a passage; longer paragraphs are split between sentences


@dataclass(frozen=True)
class Passage:
    """A few sentences about one thing."""

    heading: str
    sentences: tuple[str, ...]
    language: str

    @property
    def text(self) -> str:
        """The sentences as running text."""
        return ("" if self.language == "zh" else " ").join(self.sentences)


def passages(markdown: str) -> Iterator[Passage]:
    """Split a document at headings and blank lines. Code, tables and pictures are left out: nobody can say them."""
    heading, block = "", []
    for line in [*_DROPPED.sub("", markdown.replace("\r\n", "\n")).split("\n"), ""]:
        title = _HEADING.match(line)
        if line.strip() and not title:
            block.append(line)
            continue
        yield from _passages(heading, block)
        block = []
        if title:
            heading = _plain(title.group(1))


def sentences(text: str) -> list[str]:
    """The sentences of a plain text, English or Chinese."""
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]


def _passages(heading: str, block: list[str]) -> Iterator[Passage]:
    spoken = [sentence for paragraph in _paragraphs(block) for sentence in sentences(_plain(paragraph))]
    chunk: list[str] = []
    for sentence in spoken:
        if chunk and sum(map(len, chunk)) + len(sentence) > _LONGEST:
            yield _passage(heading, chunk)
            chunk = []
        chunk.append(sentence)
    if chunk:
        yield _passage(heading, chunk)


def _passage(heading: str, spoken: list[str]) -> Passage:
    return Passage(heading, tuple(spoken), language_of(" ".join([heading, *spoken])) or "en")


def _paragraphs(block: list[str]) -> Iterator[str]:
    """Lines joined to paragraphs; every list item is one of its own and ends with a full stop."""
    paragraph = ""
    for line in block:
        if _BULLET.match(line) and paragraph:
            yield _stopped(paragraph)
            paragraph = ""
        text = _BULLET.sub("", line).strip()
        glue = "" if not paragraph or language_of(paragraph[-1] + text[:1]) == "zh" else " "
        paragraph += glue + text
    if paragraph:
        yield _stopped(paragraph)


def _stopped(paragraph: str) -> str:
    if re.search(r"[.!?:。！？：…][\"')”’」）]*$", paragraph):
        return paragraph
    return paragraph + ("。" if language_of(paragraph) == "zh" else ".")


def _plain(markdown: str) -> str:
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", markdown)).split())
