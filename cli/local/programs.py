"""The processes that make up Visavis on one machine, and how to ask each whether it is ready."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.settings import LocalSettings
from client.wire.services import NAMES
from client.wire.settings import ClientSettings

CHECK_TIMEOUT_S = 2.0
SHARING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""Five services share processors and memory: threads that wait must not spin, as OpenBLAS's do whatever they are told,
and what one thread has freed must serve the next one, or the threads of each reply leave megabytes behind."""


@dataclass(frozen=True)
class Program:
    """One process: `python -m module`, listening on host and port.

    Attributes:
        setting: what a user types to have it listen elsewhere; `{port}` stands for the port.
        is_here: False for a service on another machine, which is used but not started.
    """

    name: str
    module: str
    host: str
    port: int
    setting: str
    environment: dict[str, str] = field(default_factory=dict)
    is_here: bool = True

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def state(self) -> str:
        """ "serving", "loading" or "down"."""
        return _page_state(self) if self.name == "gateway" else _service_state(self)


def _service_state(program: Program) -> str:
    # A channel of its own each time: one that met a closed port would wait ever longer before it tries again.
    if program.is_here and not _listens(program):
        return "down"
    request = health_pb2.HealthCheckRequest()
    with grpc.insecure_channel(program.address) as channel:
        try:
            status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=CHECK_TIMEOUT_S).status
        except grpc.RpcError:
            return "down"
    return "serving" if status == health_pb2.HealthCheckResponse.SERVING else "loading"


def _listens(program: Program) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((program.host, program.port), CHECK_TIMEOUT_S):
        return True
    return False


def _page_state(program: Program) -> str:
    connection = http.client.HTTPConnection(reachable(program.host), program.port, timeout=CHECK_TIMEOUT_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/healthz")
            return "serving" if connection.getresponse().status == http.HTTPStatus.OK else "loading"
        except (OSError, http.client.HTTPException):
            return "down"


def reachable(host: str) -> str:
    """The address to reach a server by that listens on `host`."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            return "127.0.0.1"
    return host


def programs(
    local: LocalSettings, addresses: ClientSettings, data: Path, *, port: int | None = None, with_gateway: bool = True
) -> list[Program]:
    """All of them, the gateway last. Services listen where callers look for them; only loopback ones are started."""
    places = local.places(data) | {f"VISAVIS_{name.upper()}_ADDRESS": _address(addresses, name) for name in NAMES}
    found = [_service(name, _address(addresses, name), places) for name in NAMES]
    if with_gateway:
        host, port = local.gateway_host, port or local.gateway_port
        environment = {**places, "GATEWAY_HOST": host, "GATEWAY_PORT": str(port)}
        setting = "visavis up --port {port}"
        found.append(Program("gateway", "gateway", host, port, setting, environment))
    return found


def _address(addresses: ClientSettings, name: str) -> str:
    address: str = getattr(addresses, f"{name}_address")
    return address


def _service(name: str, address: str, places: dict[str, str]) -> Program:
    host, _, port = address.rpartition(":")
    prefix = name.upper()
    setting = f"VISAVIS_{prefix}_ADDRESS=127.0.0.1:{{port}} visavis up"
    if not _is_loopback(host) or not port.isdigit():
        return Program(name, "", host or address, int(port) if port.isdigit() else 0, setting, {}, is_here=False)
    environment = {**SHARING, **places, f"{prefix}_HOST": host, f"{prefix}_PORT": port}
    return Program(name, f"services.{name}", host, int(port), setting, environment)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False
