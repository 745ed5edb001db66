"""A provider that takes no more requests now is asked again, when it wants that, if anybody can wait so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from services.common.errors import ServiceError
from services.common.provider import pause_s

PAUSES_S = (0.5,)
PATIENCE_S = 10.0
"""The longest that somebody is kept waiting for the first word by a provider that is busy."""


async def patiently(ask: Callable[[], AsyncGenerator[str, None]], patience_s: float) -> AsyncGenerator[str, None]:
    """Yield a reply; ask for it again where the provider did no work on it and nothing has been said.

    Args:
        ask: begins to ask, each time from the beginning.
        patience_s: seconds within which it may be asked again.
    """
    end = time.monotonic() + min(patience_s, PATIENCE_S)
    for own_s in (*PAUSES_S, None):
        has_begun = False
        try:
            async with aclosing(ask()) as deltas:
                async for delta in deltas:
                    has_begun = True
                    yield delta
            return
        except ServiceError as error:
            wait_s = None if has_begun else pause_s(error, own_s, end - time.monotonic())
            if wait_s is None:
                raise
        await asyncio.sleep(wait_s)
