"""A real server of one service on a free port, in the test's own event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import grpc
import pytest

from services.common.server import Server, Service
from services.common.settings import ServiceSettings

Serving = Callable[[Service, ServiceSettings], AbstractAsyncContextManager[grpc.aio.Channel]]


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
