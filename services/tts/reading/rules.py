"""Expressions in a sentence that are not said as they are written, and the words that are said for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Say = Callable[[re.Match[str]], str | None]
"""What is said for a match; None if it is not such an expression after all."""


class Rule(NamedTuple):
    """A kind of expression."""

    pattern: re.Pattern[str]
    say: Say


class Found(NamedTuple):
    """What is said for the characters [begin, end) of a sentence."""

    begin: int
    end: int
    said: str


def rule(pattern: str, say: Say | str, flags: int = 0) -> Rule:
    """A rule of a pattern, and what is said for it: always the same, or what a function makes of the match."""
    return Rule(re.compile(pattern, flags), say if callable(say) else lambda _match: say)


def find(text: str, rules: Sequence[Rule]) -> Iterator[Found]:
    """The expressions of a sentence from left to right; of two that begin together the first rule's."""
    upcoming = [_Next(one, one.pattern.search(text)) for one in rules]
    at = 0
    while True:
        for one in upcoming:
            if one.match and one.match.start() < at:
                one.match = one.rule.pattern.search(text, at)
        found = min((one for one in upcoming if one.match), key=_Next.begin, default=None)
        if found is None or found.match is None:
            return
        match = found.match
        said = found.rule.say(match)
        if said is None or match.end() == match.start():
            found.match = found.rule.pattern.search(text, match.start() + 1)
            continue
        yield Found(match.start(), match.end(), said)
        at = match.end()


def stop(match: re.Match[str], dotted: str) -> str:
    """The full stop that the last dot of an abbreviation also is, at the end of a sentence."""
    return "." if dotted.endswith(".") and not match.string[match.end() :].strip(" \"'”’)") else ""


@dataclass
class _Next:
    rule: Rule
    match: re.Match[str] | None

    def begin(self) -> int:
        return self.match.start() if self.match else 0
