"""One stack for all four kinds of call: request id, readiness, bounds on calls and texts, errors, one log line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from basics import logs
from services.common import errors, limits
from services.common.disk import is_full

logger = logging.getLogger(__name__)
DOMAIN = "visavis"
MOST_ID_CHARACTERS = 64
AWAY = ("UNAVAILABLE", "LOADING")
"""Reasons of a service that will do later what it does not now. Any other is a refusal: an engine without its key."""
_NOT_AGAIN = ("grpc-retry-pushback-ms", "-1")  # gRPC itself makes an UNAVAILABLE call again, unless it is told this
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context = grpc.aio.ServicerContext[Any, Any]

STATUS = {
    errors.InvalidInput: code_pb2.INVALID_ARGUMENT,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.Conflict: code_pb2.FAILED_PRECONDITION,
    errors.Unsupported: code_pb2.UNIMPLEMENTED,
    errors.Busy: code_pb2.RESOURCE_EXHAUSTED,
    errors.StorageFull: code_pb2.RESOURCE_EXHAUSTED,
    errors.Unavailable: code_pb2.UNAVAILABLE,
    errors.Internal: code_pb2.INTERNAL,
}


def to_service_error(error: BaseException) -> errors.ServiceError:
    """The error to answer with. What is not meant for the caller becomes a fixed text."""
    if isinstance(error, errors.ServiceError):
        return error
    if is_full(error):
        return errors.StorageFull(
            "The disk is full. Delete avatars, voices or videos you no longer need and try again."
        )
    return errors.Internal("Something broke inside this service; its log has the details under the request id.")


def to_status(error: errors.ServiceError) -> status_pb2.Status:
    """A gRPC status with ErrorInfo, and BadRequest when a field is to blame."""
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.values)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    status = status_pb2.Status(code=STATUS[type(error)], message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler of the service; health and reflection pass untouched.

    Args:
        is_ready: tells whether the engine has been loaded.
        max_concurrent_calls: more at once are refused.
    """

    def __init__(self, is_ready: Callable[[], bool], max_concurrent_calls: int) -> None:
        self._is_ready = is_ready
        self._free = max_concurrent_calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler, details = await continuation(handler_call_details), handler_call_details
        if handler is None or details.method.startswith("/grpc."):
            return handler
        metadata = dict(details.invocation_metadata or ())
        call_id = str(metadata.get("x-request-id") or uuid.uuid4().hex)[:MOST_ID_CHARACTERS]
        return self._wrap(handler, details.method, call_id)

    def _wrap(self, handler: Handler, method: str, call_id: str) -> Handler:
        async def unary(request: Any, context: Context) -> Any:
            async with self._call(method, call_id, context):
                return await behaviour(checked(request), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            async with (
                self._call(method, call_id, context),
                contextlib.aclosing(behaviour(checked(request), context)) as replies,
            ):
                async for reply in replies:
                    yield reply

        kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        kind = next(kind for kind in kinds if getattr(handler, kind))
        behaviour = getattr(handler, kind)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped = stream if handler.response_streaming else unary
        checked = _each_bounded if handler.request_streaming else _bounded
        made: Handler = make(wrapped, handler.request_deserializer, handler.response_serializer)
        return made

    @contextlib.asynccontextmanager
    async def _call(self, method: str, call_id: str, context: Context) -> AsyncIterator[None]:
        logs.request_id.set(call_id)
        began, outcome = time.monotonic(), "OK"
        try:
            with self._slot():
                yield
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "CANCELLED"
            raise
        except grpc.aio.AbortError:
            outcome = "ABORTED"
            raise
        except Exception as error:  # noqa: BLE001 - the one place where any failure becomes a status
            answer = to_service_error(error)
            outcome = answer.reason
            if isinstance(answer, errors.Internal):
                logger.exception("call broke")
            status = rpc_status.to_status(to_status(answer))
            metadata = status.trailing_metadata if answer.reason in AWAY else (*status.trailing_metadata, _NOT_AGAIN)
            await context.abort(status.code, status.details, metadata)
        finally:
            duration_ms = round((time.monotonic() - began) * 1000, 1)
            logger.info("call", extra={"fields": {"method": method, "outcome": outcome, "duration_ms": duration_ms}})

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._is_ready():
            raise errors.Unavailable("This service is still loading; try again in a moment.", reason="LOADING")
        if self._free <= 0:
            raise errors.Busy("This service is at its limit; try again in a moment.")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def _bounded(request: Any) -> Any:
    limits.check(request)
    return request


async def _each_bounded(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _bounded(request)
