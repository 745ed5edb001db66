"""The other services, for jobs that need them: a job's process calls them by gRPC, as any caller does."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import Field
from visavis.asr.v1 import asr_pb2_grpc
from visavis.tts.v1 import tts_pb2_grpc

from basics.problem import Problem
from services.common.errors import Busy, Internal, ServiceError, StorageFull, Unavailable
from services.common.interceptors import STATUS
from services.common.settings import ServiceSettings

T = TypeVar("T")
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between attempts while a service is away; the last one again and again."""
_GONE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,  # by a service that stops: nobody here cancels a call that is waited for
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
"""How a call ends, without a word, whose service dies."""
_AWAY = ("UNAVAILABLE", "LOADING", "BUSY")
"""Reasons of a service that will do later what it does not now. Any other is a refusal: an engine without its key."""
_KINDS = {code: kind for kind, code in STATUS.items() if kind is not StorageFull}
_OPTIONS = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 5000),
]


class PeerSettings(ServiceSettings):
    """Of a service whose jobs need others."""

    asr_address: str = Field("127.0.0.1:50051", validation_alias="VISAVIS_ASR_ADDRESS")
    """Where its jobs reach recognition: `host:port`, or `dns:///asr:50051` for every replica behind a name."""

    tts_address: str = Field("127.0.0.1:50053", validation_alias="VISAVIS_TTS_ADDRESS")
    """Where its jobs reach speech synthesis."""

    peer_wait_seconds: float = Field(120.0, ge=0)
    """How long a job waits for another service that is away or loads."""


class Peers:
    """Stubs of the other services, for one job. They connect when they are first called.

    Args:
        request_id: what the services log with every call, e.g. the job's id.
    """

    def __init__(self, settings: PeerSettings, request_id: str) -> None:
        self._wait_s = settings.peer_wait_seconds
        self.metadata = (("x-request-id", request_id),)
        self.asr = asr_pb2_grpc.AsrServiceStub(grpc.insecure_channel(settings.asr_address, options=_OPTIONS))
        self.tts = tts_pb2_grpc.TtsServiceStub(grpc.insecure_channel(settings.tts_address, options=_OPTIONS))

    def patiently(self, attempt: Callable[[], T]) -> T:
        """What an attempt returns, which makes one call; while the service is away, it is made again.

        Raises:
            ServiceError: what the service answered; `Unavailable` if it stayed away.
        """
        left_s = self._wait_s
        for pause_s in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            try:
                return attempt()
            except grpc.RpcError as error:
                answer = service_error(error)
            if answer.reason not in _AWAY or left_s <= 0:
                raise answer
            time.sleep(min(pause_s, left_s))
            left_s -= pause_s
        raise AssertionError("pauses never end")


def service_error(error: Any) -> ServiceError:
    """What a failed call says, as the error that its service raised."""
    status = rpc_status.from_call(error)
    if status is None:
        return _unsaid(error.code())
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    kind = StorageFull if info.reason == StorageFull.default_reason else _KINDS.get(status.code, Internal)
    return kind.of(Problem(info.reason or kind.default_reason, status.message, field, dict(info.metadata)))


def _unsaid(code: grpc.StatusCode) -> ServiceError:
    if code in _GONE:
        return Unavailable("A service cannot be reached. Is it running? `visavis doctor` tells.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Busy("A service is at its limit. Try again in a moment.")
    return Internal("Another service did not answer as it should; the logs have the details.")
