"""Forgetting, now and again, what nobody needs any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


async def tidy(forget: Callable[[], int], every_s: float) -> None:
    """Call `forget` in a thread again and again, until cancelled. It returns how much it forgot."""
    while True:
        try:
            if count := await asyncio.to_thread(forget):
                logger.info("forgotten", extra={"fields": {"count": count}})
        except Exception:  # noqa: BLE001 - tidying must go on later whatever broke now
            logger.exception("tidying stumbled")
        await asyncio.sleep(every_s)
