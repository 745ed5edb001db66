"""A real server of one service on a free port, in the test's own event loop.

grpc.aio's client reports INTERNAL, without a reason, where a refusal or a deadline falls into one of its writes. So
what a test has refused is the last thing that it sends; where it cannot be, INTERNAL without a reason is expected too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest

from services.common.server import Server, Service
from services.common.settings import ServiceSettings

LONGEST_S = 60  # only ends what would hang
Serving = Callable[[Service, ServiceSettings], AbstractAsyncContextManager[grpc.aio.Channel]]


@contextlib.asynccontextmanager
async def served(service: Service, settings: ServiceSettings) -> AsyncIterator[str]:
    """A service, and where it is: for others that call it. The settings need `port=0`, or a port."""
    server = Server(service, settings)
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop()


@pytest.fixture
def serving() -> Serving:
    """`async with serving(servicer, settings) as channel:`; the settings need `port=0`."""

    @contextlib.asynccontextmanager
    async def run(service: Service, settings: ServiceSettings) -> AsyncIterator[grpc.aio.Channel]:
        server = Server(service, settings)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                yield channel
        finally:
            await server.stop()

    return run


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """`await eventually(make)`: the answer to the call that `make` makes, as soon as the service has a place for it."""

    async def run(make: Callable[[], Awaitable[Any]]) -> Any:
        deadline = time.monotonic() + LONGEST_S
        while True:
            try:
                return await make()
            except grpc.aio.AioRpcError as error:
                is_busy = error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)
                if not is_busy or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    return run
