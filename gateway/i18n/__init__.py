"""English and Chinese. `en.json` and `zh.json` hold the pages' words by key, `errors.zh.json` the services' errors.

The English of an error is what the service says itself, so it is written once, where it is raised.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from flask import has_request_context, request

LANGUAGES = {"en": "English", "zh": "中文"}
COOKIE = "visavis_language"
_PLACEHOLDER = re.compile(r"\{\w+\}")


@cache
def catalogue(name: str) -> dict[str, Any]:
    """A catalogue: `en`, `zh` or `errors.zh`."""
    words: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return words


def language() -> str:
    """The language of this request: the one chosen, else the browser's, else English."""
    if not has_request_context():
        return "en"
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(list(LANGUAGES), default="en") or "en"


def word(key: str, **values: object) -> str:
    """The page's word for a key, with `{name}` filled in."""
    return fill(catalogue(language()).get(key, key), {name: str(value) for name, value in values.items()})


def error_text(reason: str, english: str, values: dict[str, str]) -> str:
    """An error in the language of this request; `english` when no translation is known or fits.

    Where one reason is raised with different values, the catalogue lists several texts; the first that fills wins.
    """
    if language() == "en":
        return english
    texts = catalogue("errors.zh").get(reason, [])
    if isinstance(texts, dict):
        texts = texts["reason"] + texts["remedy"]
    filled = (fill(text, values) for text in ([texts] if isinstance(texts, str) else texts))
    return next((text for text in filled if not _PLACEHOLDER.search(text)), english)


def lack_texts(reason: str, english: str, remedy: str, values: dict[str, str]) -> tuple[str, str]:
    """What an engine lacks, and what mends that, in the language of this request.

    The catalogue parts the two where a lack has its own remedy; of any other it is the reason alone.
    """
    texts = catalogue("errors.zh").get(reason)
    if language() == "en" or not isinstance(texts, dict):
        return error_text(reason, english, values), remedy
    told = fill(texts["reason"], values), fill(texts["remedy"], values)
    return (english, remedy) if any(map(_PLACEHOLDER.search, told)) else told


def fill(text: str, values: dict[str, str]) -> str:
    """`{name}` replaced by its value; unlike `str.format`, unknown names stay and values are never interpreted."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
