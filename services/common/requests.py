"""Reading request streams of the form `oneof {config; payload}`: config first, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from services.common.errors import InvalidInput


async def open_stream(requests: AsyncIterator[Any]) -> tuple[Any, AsyncIterator[Any]]:
    """The config that a request stream begins with, and the messages after it.

    Raises:
        InvalidInput: the first message is no config, or (while iterating) a second config comes.
    """
    iterator = aiter(requests)
    first = await anext(iterator, None)
    if first is None or first.WhichOneof("request") != "config":
        raise InvalidInput("The first message must hold the config.", reason="CONFIG_FIRST", field="config")
    return first.config, _payload(iterator)


async def _payload(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        kind = message.WhichOneof("request")
        if kind == "config":
            raise InvalidInput("The config may come only once, first.", reason="CONFIG_ONCE", field="config")
        if kind is None:
            raise InvalidInput("A message was empty.", reason="EMPTY_MESSAGE")
        yield message
