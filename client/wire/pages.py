"""Lists that services give page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Page:
    """Some entries of a list, and what asks for those that follow; empty when none do."""

    entries: list[Any]
    next_page_token: str


def walk(page: Callable[[str], Page]) -> Iterator[Any]:
    """Every entry of a list, its pages fetched as they are needed."""
    token = ""
    while True:
        got = page(token)
        yield from got.entries
        token = got.next_page_token
        if not token:
            return
