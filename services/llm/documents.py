"""Markdown → passages that can be spoken.

Below a heading, a comment `<!-- also: opening times; when do you close? -->` holds other ways to ask for what follows;
it is searched and never spoken. `## Heading {#name}` names a section, as in Pandoc.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from services.llm.language import language_of

_DROPPED = re.compile(
    r"```.*?```|~~~.*?~~~|<!--(?!\s*also:).*?-->|!\[[^\]]*\]\([^)]*\)|^\|.*$|^[-*_]{3,}\s*$", re.S | re.M
)
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*(?:\{#([\w-]+)\})?\s*$")
_ALSO = re.compile(r"<!--\s*also:(.*?)-->", re.S)
_QUESTIONS = re.compile(r"[?？]+")
_PHRASES = re.compile(r"[?？;；,，、]+")
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
    also: tuple[str, ...] = ()  # other ways to ask for it
    section: str = ""  # the heading's name, if it has one
    title: str = ""  # of the document: its heading of the first level

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """All the ways to ask for it; a heading may ask in several, one question after the other."""
        return (*_parts(_QUESTIONS, self.heading), *self.also)

    @property
    def asks(self) -> bool:
        """Whether its heading is a question, as in a list of frequently asked ones."""
        return "?" in self.heading or "？" in self.heading

    @property
    def text(self) -> str:
        """The sentences as running text."""
        return ("" if self.language == "zh" else " ").join(self.sentences)


def passages(markdown: str) -> Iterator[Passage]:
    """Split a document at headings and blank lines. Code, tables and pictures are left out: nobody can say them."""
    about, block = Passage("", (), ""), []
    text = _ALSO.sub(_on_one_line, _DROPPED.sub("", markdown.replace("\r\n", "\n")))
    for line in [*text.split("\n"), ""]:
        title, also = _HEADING.match(line), _ALSO.match(line)
        if line.strip() and not title and not also:
            block.append(line)
            continue
        yield from _passages(about, block)
        block = []
        if title:
            about = _headed(about, *title.groups())
        elif also:
            about = replace(about, also=about.also + _parts(_PHRASES, also.group(1)))


def sentences(text: str) -> list[str]:
    """The sentences of a plain text, English or Chinese."""
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]


def _headed(before: Passage, level: str, heading: str, name: str | None) -> Passage:
    """An empty passage under the next heading."""
    heading = _plain(heading)
    return Passage(heading, (), "", section=name or "", title=heading if level == "#" else before.title)


def _passages(about: Passage, block: list[str]) -> Iterator[Passage]:
    spoken = [sentence for paragraph in _paragraphs(block) for sentence in sentences(_plain(paragraph))]
    chunk: list[str] = []
    for sentence in spoken:
        if chunk and sum(map(len, chunk)) + len(sentence) > _LONGEST:
            yield _filled(about, chunk)
            chunk = []
        chunk.append(sentence)
    if chunk:
        yield _filled(about, chunk)


def _filled(about: Passage, spoken: list[str]) -> Passage:
    language = language_of(" ".join([about.heading, *spoken])) or "en"
    return replace(about, sentences=tuple(spoken), language=language)


def _parts(ends: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in ends.split(text) if re.search(r"\w", part))


def _on_one_line(also: re.Match[str]) -> str:
    """A comment as lines of its own, so that what is beside it stays a line too."""
    return f"\n<!-- also:{' '.join(also.group(1).split())} -->\n"


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
