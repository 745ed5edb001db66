"""The one way to serve: health, reflection, interceptors, warm-up before traffic, graceful drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from basics import logs, startup
from services.common import private
from services.common.describe import service_info
from services.common.hosting import Engines
from services.common.interceptors import CallInterceptor
from services.common.settings import ServiceSettings
from services.common.tidying import tidy

logger = logging.getLogger(__name__)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNLOAD_EVERY_S = 30.0


class Servicer(Protocol):
    """What answers the calls of one gRPC service."""

    full_name: str  # e.g. "visavis.tts.v1.TtsService"

    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""


class Service(ABC):
    """What `serve` needs of a service's own servicer."""

    full_name: str
    engine_package: ModuleType
    engines: Engines[Any]
    beside: Sequence[Servicer] = ()
    """What else is served on its port."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.engines = self.host(settings)

    @classmethod
    def host(cls, settings: ServiceSettings) -> Engines[Any]:
        """This service's engines, none of them loaded yet."""
        return Engines(cls.engine_package, cls.full_name.split(".")[1], settings)

    @abstractmethod
    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""

    def load(self) -> None:
        """Load and warm what calls will need. Blocks; runs in a thread before the service is healthy."""
        self.engines.load()

    async def start(self) -> None:  # noqa: B027 - optional
        """Begin background work once loaded, in the server's event loop."""

    async def close(self) -> None:
        """End background work and release what was loaded."""
        self.engines.close()


class Server:
    """A service on a port. Made apart from `serve`, so that tests can run it in their own loop."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self._service, self._settings = service, settings
        self._ready = False
        self._unloading: asyncio.Task[None] | None = None
        self._health = health.aio.HealthServicer()
        age = settings.max_connection_age_seconds * 1000
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_connection_age_ms", age),
            ("grpc.max_connection_age_grace_ms", 2 * 3600 * 1000),  # longer than the longest stream
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ]
        interceptor = CallInterceptor(lambda: self._ready, settings.max_concurrent_calls)
        self._server = grpc.aio.server(interceptors=[interceptor], options=options)
        servicers: list[Servicer] = [service, *service.beside]
        self._names = [one.full_name for one in servicers]
        for one in servicers:
            one.register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*self._names, health.SERVICE_NAME), self._server)
        self.port = self._server.add_insecure_port(f"{settings.host}:{settings.port}")

    async def start(self) -> None:
        """Listen, then load. Calls before the engine is loaded are answered UNAVAILABLE."""
        await self._announce(NOT_SERVING)
        await self._server.start()
        logger.info("listening", extra={"fields": {"port": self.port}})
        await asyncio.to_thread(self._service.load)
        await self._service.start()
        self._unloading = asyncio.create_task(tidy(self._service.engines.unload_idle, UNLOAD_EVERY_S))
        self._ready = True
        await self._announce(SERVING)
        logger.info("ready")

    async def stop(self) -> None:
        """Stop taking calls, let the running ones finish, then release the engine."""
        logger.info("draining")
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.drain_seconds)
        if self._unloading:
            self._unloading.cancel()
        await self._service.close()

    async def _announce(self, status: int) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)


async def serve(service: Service, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, asked_to_stop.set)
    server = Server(service, settings)
    starting = asyncio.create_task(server.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()  # a service that cannot load must die, not linger
        await stopping
    await server.stop()


def run(servicer: type[Service], kind: type[ServiceSettings]) -> None:
    """The whole of a service's `__main__`: private files, logs, then serve.

    With `--engines` it only tells what the service could do, as `visavis.common.v1.ServiceInfo` in JSON.
    """
    settings = startup.settings(kind)
    if sys.argv[1:] == ["--engines"]:
        sys.stdout.write(json_format.MessageToJson(service_info(servicer.host(settings))))
        return
    private.keep(settings)
    service = servicer(settings)
    logs.configure(service.full_name.split(".")[1], settings.log_level)
    asyncio.run(serve(service, settings))
