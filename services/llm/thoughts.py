"""Keeps a reasoning model's thoughts from being spoken: some servers send them inside the reply, in `<think>` tags."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

_OPEN, _CLOSE = "<think>", "</think>"


async def without_thoughts(deltas: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The deltas of a reply without what lies between `<think>` and `</think>`, however the tags are cut up."""
    pending, thinking, spoken = "", False, False
    async with aclosing(deltas):
        async for delta in deltas:
            out, pending, thinking = _split(pending + delta, thinking)
            out = out if spoken else out.lstrip()
            if out:
                spoken = True
                yield out
    if pending and not thinking:
        yield pending


def _split(text: str, thinking: bool) -> tuple[str, str, bool]:
    """What may be said, what could be the beginning of a tag, and whether the model thinks at the end of it."""
    out = ""
    while True:
        tag = _CLOSE if thinking else _OPEN
        before, found, after = text.partition(tag)
        if not found:
            held = _overlap(text, tag)
            known = text[: len(text) - held]
            return out + ("" if thinking else known), text[len(text) - held :], thinking
        out += "" if thinking else before
        text, thinking = after, not thinking


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text could be the beginning of the tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-size:])), 0)
