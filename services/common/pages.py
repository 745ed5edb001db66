"""Lists in pages, as AIP-158 has them: bounded in number and in bytes, whatever is stored."""

from __future__ import annotations

import base64
import json
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from services.common import limits
from services.common.errors import InvalidInput

PAGE_SIZE, MOST = 100, 500
PAGE_BYTES = 2**20
"""A page that has reached so much ends. A message may have four times as much, and no entry of a list has that."""


@dataclass(frozen=True)
class Page:
    """Some entries of a list, and what asks for those that follow; empty when none do."""

    entries: list[Any]
    next_page_token: str


def size_of(request: Any) -> int:
    """How many entries a List… request wants on a page.

    Raises:
        InvalidInput: fewer than none.
    """
    if request.page_size < 0:
        message = f"'page_size' must be a number from 0 to {MOST}."
        raise InvalidInput(
            message, reason="NUMBER_OUT_OF_RANGE", field="page_size", values={"low": "0", "high": str(MOST)}
        )
    return min(request.page_size or PAGE_SIZE, MOST)


def token(position: Any) -> str:
    """A position in a list, of JSON types, as callers carry it."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def position(page_token: str, kind: type | tuple[type, ...]) -> Any:
    """The position that a token stands for, which must be of this kind; None for an empty token.

    Raises:
        InvalidInput: it is no token of ours.
    """
    if not page_token:
        return None
    try:
        told = json.loads(base64.b64decode(page_token + "=" * (-len(page_token) % 4), b"-_", validate=True))
    except (ValueError, RecursionError):
        told = None
    if not _is(told, kind):
        message = "This 'page_token' is none of ours. Send the 'next_page_token' of the page before, or none."
        raise InvalidInput(message, reason="PAGE_TOKEN_WRONG", field="page_token")
    return told


def _is(told: Any, kind: type | tuple[type, ...]) -> bool:
    if isinstance(kind, type):
        return type(told) is kind and _is_storable(told)
    are_of_kind = isinstance(told, list) and [type(one) for one in told] == list(kind)
    return are_of_kind and all(_is_storable(one) for one in told)


def _is_storable(told: Any) -> bool:
    """Whether a database and a file system can hold, and so be asked for, such a value: json reads more than that."""
    if isinstance(told, float):
        return math.isfinite(told)
    return not isinstance(told, str) or not any(unicodedata.category(one) in ("Cc", "Cs") for one in told)


def page(entries: Iterable[tuple[Message, str]], size: int) -> Page:
    """The first entries, each given with the token of its place, up to `size` of them or about a megabyte.

    Texts that are longer than their proto allows are cut. What is not shown is not made, if the entries come lazily,
    except one.
    """
    shown: list[Message] = []
    last, total = "", 0
    for entry, place in entries:
        if len(shown) >= size or total >= PAGE_BYTES:
            return Page(shown, last)
        limits.cut(entry)
        total += entry.ByteSize()
        shown.append(entry)
        last = place
    return Page(shown, "")


def after(names: Iterable[str], name: str | None) -> Iterator[str]:
    """Of names in order, those behind one, which need not be there any more; all when there is none."""
    return (one for one in names if name is None or one > name)
