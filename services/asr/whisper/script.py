"""Chinese as its readers write it: simplified or traditional characters, full-width punctuation.

Whisper writes either kind of character, whatever it is asked for, and separates phrases by a space or a Latin comma.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise

from opencc import OpenCC

_HAN = r"[\u3400-\u9fff\U00020000-\U0003ffff]"
_MARK = re.compile(rf"(?<={_HAN})\s*([,.?!:;]+)$")
_FULL_WIDTH = str.maketrans(",.?!:;", "，。？！：；")
_STARTS_WITH_HAN, _ENDS_WITH_HAN = re.compile(rf"\s*{_HAN}"), re.compile(rf"{_HAN}$")
_CONVERSIONS = {"hk": "s2hk", "mo": "s2hk", "tw": "s2tw", "hant": "s2tw"}


def written(words: Sequence[str], tag: str) -> list[str]:
    """The words of a Chinese text as the readers of a language tag write them: traditional for `zh-TW`, `zh-HK` and
    `zh-Hant`, simplified for others. Words may begin with a space; those between Chinese words become commas."""
    parts = tag.lower().replace("_", "-").split("-")
    name = next((conversion for part, conversion in _CONVERSIONS.items() if part in parts), "t2s")
    return _punctuated(_converted(words, _converter(name)))


def _converted(words: Sequence[str], converter: OpenCC) -> list[str]:
    """What surrounds a character tells which other it stands for, so the words are converted together."""
    text = converter.convert("".join(words))
    ends = [0, *accumulate(map(len, words))]
    if len(text) != ends[-1]:
        return [converter.convert(word) for word in words]
    return [text[start:end] for start, end in pairwise(ends)]


def _punctuated(words: list[str]) -> list[str]:
    marked = [_MARK.sub(lambda found: found[1].translate(_FULL_WIDTH), word) for word in words]
    for at, (word, following) in enumerate(pairwise(marked)):
        if following[:1].isspace() and _STARTS_WITH_HAN.match(following):
            marked[at + 1] = following.lstrip()
            if _ENDS_WITH_HAN.search(word):
                marked[at] = f"{word}，"
    return marked


@cache
def _converter(name: str) -> OpenCC:
    return OpenCC(name)
