"""Lists in pages: `?page_size=&page_token=`, as AIP-158 has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request

from client.wire.pages import Page
from gateway.refusal import Refusal
from gateway.web.fields import bounded

MAX_PAGE = 500
MAX_TOKEN = 400


def asked(default: int) -> tuple[int, str]:
    """The size of page and the token that this request asks for.

    Raises:
        Refusal: one of them cannot be.
    """
    text = request.args.get("page_size", "")
    size = int(text) if text.isdecimal() and len(text) < len(str(MAX_PAGE)) + 1 else 0
    if text and not 1 <= size <= MAX_PAGE:
        message = f"'page_size' must be a whole number from 1 to {MAX_PAGE}."
        values = {"field": "page_size", "low": "1", "high": str(MAX_PAGE)}
        raise Refusal(message, reason="NUMBER_OUT_OF_RANGE", field="page_size", values=values)
    return size or default, bounded(request.args.get("page_token", ""), "page_token", MAX_TOKEN)


def page_or_all(page: Callable[[int, str], Page], everything: Callable[[], list[Any]]) -> Page:
    """The page that this request asks for; everything when it asks for none, as callers that know no pages expect."""
    if not {"page_size", "page_token"} & request.args.keys():
        return Page(everything(), "")
    return page(*asked(0))
