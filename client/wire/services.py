"""Channels and stubs of the five services."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from visavis.asr.v1 import asr_pb2_grpc
from visavis.jobs.v1 import jobs_pb2_grpc
from visavis.llm.v1 import llm_pb2_grpc
from visavis.models.v1 import models_pb2_grpc
from visavis.render.v1 import render_pb2_grpc
from visavis.train.v1 import train_pb2_grpc
from visavis.tts.v1 import tts_pb2_grpc

from client.wire import request_id
from client.wire.interceptor import Interceptor
from client.wire.settings import ClientSettings

NAMES = ("asr", "llm", "tts", "render", "train")
_STUBS = {
    "asr": asr_pb2_grpc.AsrServiceStub,
    "llm": llm_pb2_grpc.LlmServiceStub,
    "tts": tts_pb2_grpc.TtsServiceStub,
    "render": render_pb2_grpc.RenderServiceStub,
    "train": train_pb2_grpc.TrainServiceStub,
}
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{}], "retryPolicy": _RETRY}],
}
_OPTIONS = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),  # new replicas are seen soon after a connection ages out
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 5000),  # a service that was away for minutes is found again within seconds
]
HEALTH_TIMEOUT_S = 2.0


class _Naming(Interceptor):
    """Notes on every call of a channel which service it goes to: a call that fails is the error that tells so."""

    def __init__(self, name: str) -> None:
        self._name = name

    def intercept(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        call = proceed(details, request)
        call.service = self._name
        return call


class Services:
    """Stubs on shared channels. Channels open at first use, so a server may fork before it."""

    asr: asr_pb2_grpc.AsrServiceStub
    llm: llm_pb2_grpc.LlmServiceStub
    tts: tts_pb2_grpc.TtsServiceStub
    render: render_pb2_grpc.RenderServiceStub
    train: train_pb2_grpc.TrainServiceStub

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._channels: dict[str, grpc.Channel] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(name)
        stub = _STUBS[name](self.channel(name))
        setattr(self, name, stub)
        return stub

    def jobs(self, name: str) -> jobs_pb2_grpc.JobServiceStub:
        """The jobs that one service has."""
        return jobs_pb2_grpc.JobServiceStub(self.channel(name))

    @cached_property
    def models(self) -> models_pb2_grpc.ModelServiceStub:
        """The models of the installation."""
        return models_pb2_grpc.ModelServiceStub(self.channel("train"))

    def channel(self, name: str) -> grpc.Channel:
        """The channel to one service."""
        with self._lock:
            if name not in self._channels:
                address = getattr(self.settings, f"{name}_address")
                channel = grpc.insecure_channel(address, options=_OPTIONS)
                self._channels[name] = grpc.intercept_channel(channel, request_id.Sender(), _Naming(name))
            return self._channels[name]

    def health(self) -> dict[str, str]:
        """State of each service: "serving", "loading" or "down"."""
        checks = {name: self._check(name) for name in NAMES}
        return {name: self._state(check) for name, check in checks.items()}

    def _check(self, name: str) -> grpc.Future[Any]:
        stub = health_pb2_grpc.HealthStub(self.channel(name))
        check: grpc.Future[Any] = stub.Check.future(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT_S)
        return check

    @staticmethod
    def _state(check: grpc.Future[Any]) -> str:
        try:
            serving = check.result().status == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError:
            return "down"
        return "serving" if serving else "loading"

    def close(self) -> None:
        """Close every channel; running calls are cancelled."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()
