"""How long a server is waited for: for each piece, and for all of them; not how long their reader takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """That of one request; `seconds` for all that is waited for."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    async def with_(self, step: Awaitable[T], most_s: float) -> T:
        """What a step comes to.

        Raises:
            TimeoutError: it takes longer than `most_s`, or all steps together longer than is waited for.
        """
        begun = time.monotonic()
        try:
            async with asyncio.timeout(max(min(most_s, self._left_s), 0)):
                return await step
        finally:
            self._left_s -= time.monotonic() - begun
