"""Failed calls as one exception that carries what a person needs."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.common.v1 import error_pb2

from basics.problem import Problem, ProblemError
from client.wire import request_id

_PLAIN = {
    grpc.StatusCode.UNAVAILABLE: ("UNAVAILABLE", "A service cannot be reached. Is it running? `visavis doctor` tells."),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("TIMEOUT", "A service took too long to answer. Try again."),
    grpc.StatusCode.CANCELLED: ("CANCELLED", "This was cancelled."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("BUSY", "A service is at its limit. Try again in a moment."),
}
_BROKEN = "Something broke; the log has the details."


class CallError(ProblemError):
    """A call was refused or failed.

    Attributes:
        code: the gRPC status.
        problem: what is wrong; its parts are attributes of the error too.
        service: the service that was called; empty where none was.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        field: str = "",
        values: dict[str, str] | None = None,
    ) -> None:
        super().__init__(Problem(reason, message, field, values or {}))
        self.code = code
        self.service = ""


def problem_of(message: error_pb2.Error) -> Problem:
    """What a message says is wrong."""
    return Problem(message.reason, message.message, message.field, dict(message.values))


def from_failure(error: Exception) -> CallError:
    """What is told when our own side fails: a full disk by its name, all else as something broken."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "The disk is full. Delete avatars, voices or videos you no longer need and try again."
        return CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", message)
    return _broken(grpc.StatusCode.INTERNAL, _BROKEN)


def _broken(code: grpc.StatusCode, message: str) -> CallError:
    """Nobody who reads it can mend it, but with the id someone can find it in the log."""
    values = {"request_id": request_id.current()}
    return CallError(code, "INTERNAL", f"{message} Request id: {values['request_id']}.", values=values)


def from_rpc(error: grpc.RpcError) -> CallError:
    """What a gRPC error says, with its ErrorInfo and BadRequest details, and which service it came from."""
    told = _told(error)
    told.service = getattr(error, "service", "")
    return told


def _told(error: grpc.RpcError) -> CallError:
    assert isinstance(error, grpc.Call)  # as all that calls raise are
    code, status = error.code(), rpc_status.from_call(error)
    if status is None:
        return CallError(code, *_PLAIN[code]) if code in _PLAIN else _broken(code, _BROKEN)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    if info.reason == "INTERNAL":
        return _broken(code, status.message)
    field = request.field_violations[0].field if request.field_violations else ""
    return CallError(code, info.reason, status.message, field, dict(info.metadata))


@contextlib.contextmanager
def translate() -> Iterator[None]:
    """Let only CallError out of a block that makes calls."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error) from None
