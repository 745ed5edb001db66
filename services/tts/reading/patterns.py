"""Pieces of the patterns that English and Chinese share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.tts.reading.units import CURRENCIES


def any_of(texts: Iterable[str]) -> str:
    """A pattern for one of these texts, the longest first."""
    return "|".join(sorted(map(re.escape, texts), key=len, reverse=True))


NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
START = r"(?<![A-Za-z\d_])(?<!\d[.,:/])"
"""Before a number that is no part of another or of a name."""
DASH = r"\s?[-–—−~～]\s?"
SIGN = any_of(CURRENCIES)
INSTANT = r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
"""The time that may follow a date in ISO 8601."""


def initials(letters: str) -> str:
    """Short capitals as engines read them letter by letter: dotted if they could be taken for a word."""
    is_short = letters.isupper() and 1 < len(letters) <= 4
    return ".".join(letters) + "." if is_short and set(letters) & set("AEIOU") else letters
