"""Which language a text is in, as far as personas care: Chinese, or one written in Latin letters."""

from __future__ import annotations

import re

from basics.scripts import HAN

_HAN = re.compile(rf"[{HAN}]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")


def language_of(text: str) -> str:
    """`zh` or `en`, or nothing when the text holds no words. One Han character weighs as much as a Latin word."""
    han, latin = len(_HAN.findall(text)), len(_LATIN_WORD.findall(text))
    if not han and not latin:
        return ""
    return "zh" if 2 * han >= latin else "en"


def reply_language(asked: str, texts: list[str], default: str = "en") -> str:
    """The language to answer in: the one asked for, else that of the latest of `texts` that shows one."""
    if asked:
        return asked
    found = (language_of(text) for text in reversed(texts))
    return next((language for language in found if language), default)
