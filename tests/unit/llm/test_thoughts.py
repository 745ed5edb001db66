"""Thoughts stay thoughts, wherever the stream is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from services.llm.thoughts import without_thoughts

CASES = [
    ("<think>hm</think>\n\nFour.", "Four."),
    ("Two <think>no, wait</think>plus two.", "Two plus two."),
    ("a < b and <b>", "a < b and <b>"),
    ("ends with <thi", "ends with <thi"),
    ("<think>never ends", ""),
    ("<think></think>", ""),
]


@pytest.mark.parametrize(("text", "spoken"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_cut(text, spoken, size):
    async def deltas() -> AsyncGenerator[str, None]:
        for at in range(0, len(text), size):
            yield text[at : at + size]

    async def collect() -> str:
        return "".join([delta async for delta in without_thoughts(deltas())])

    assert asyncio.run(collect()) == spoken
