"""Blocking code in an async server: one thread hop per item, nothing interrupted half-way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


async def in_thread(
    steps: Generator[T, None, None], interrupt: Callable[[], None] | None = None
) -> AsyncGenerator[T, None]:
    """Yield from a blocking generator. The consumer's pace is the producer's: no item is computed before it is wanted.

    When the consumer goes away the running step is awaited (a model cannot be interrupted mid-step) and the generator
    is then closed, so its `finally` blocks run. A step that waits for something, such as a network, can be ended early
    by `interrupt`: it is called in that case, and makes the step return or raise soon.
    """
    step: asyncio.Task[T | object] | None = None
    try:
        while True:
            step = asyncio.create_task(asyncio.to_thread(next, steps, _END))
            item = await asyncio.shield(step)
            if item is _END:
                return
            yield cast(T, item)
    finally:
        if step and not step.done():
            if interrupt:
                interrupt()
            await asyncio.wait([step])
        steps.close()
