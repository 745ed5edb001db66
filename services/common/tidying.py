"""Forgetting, now and again, what nobody needs any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

CERTAIN_AFTER_S = 3600.0  # that what looks old must go on looking so: a clock that is set wrong is mended by then


class Lasting:
    """Tells what goes on being so, by a clock that nobody sets and that begins anew with the process.

    The time of day may jump ahead by years, and what was made a minute ago looks old; nothing is deleted for that.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def among(self, names: Iterable[str], for_s: float) -> list[str]:
        """Those of whom this is so now that were among the names at every look for so long."""
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in names}
        return [name for name, since in self._since.items() if now - since >= for_s]


async def tidy(forget: Callable[[], int], every_s: float) -> None:
    """Call `forget` in a thread again and again, until cancelled. It returns how much it forgot."""
    while True:
        try:
            if count := await asyncio.to_thread(forget):
                logger.info("forgotten", extra={"fields": {"count": count}})
        except Exception:  # noqa: BLE001 - tidying must go on later whatever broke now
            logger.exception("tidying stumbled")
        await asyncio.sleep(every_s)
