"""A sentence in parts that an image takes: at most so many characters, cut where one would breathe."""

from __future__ import annotations

import re

MOST = 45  # more, and these images leave words out
_MARKS = re.compile(r"(?<=[,，、;；:：。.!?！？])\s*")
_SPACES = re.compile(r"\s+")


def chunks(sentence: str, most: int = MOST) -> list[str]:
    """Parts of at most `most` characters: cut at marks, else between words, else anywhere."""
    joined: list[str] = []
    for part in _small(sentence.strip(), most):
        if joined and len(joined[-1]) + 1 + len(part) <= most:
            joined[-1] += (" " if joined[-1].isascii() or part.isascii() else "") + part
        else:
            joined.append(part)
    return joined


def _small(text: str, most: int) -> list[str]:
    parts = []
    for part in filter(None, _MARKS.split(text)):
        if len(part) <= most:
            parts.append(part)
            continue
        for word in _SPACES.split(part):
            parts += [word[at : at + most] for at in range(0, len(word), most)]
    return parts
