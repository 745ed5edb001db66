"""The interceptor stack on a real server: errors, readiness, concurrency, drain, and what reaches the log."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status

from client.wire.services import _OPTIONS
from services.common import errors
from services.common.interceptors import STATUS, CallInterceptor, to_service_error

SECRET = "my secret words"


class Echo:
    """A service with one method of each kind that needs no generated code."""

    def __init__(self) -> None:
        self.held: asyncio.Queue[str] = asyncio.Queue()
        self.released = asyncio.Event()
        self.calls = 0

    async def unary(self, request: StringValue, context: Any) -> StringValue:
        self.calls += 1
        if request.value == "hold":
            self.held.put_nowait(request.value)
            await self.released.wait()
        if failure := FAILURES.get(request.value):
            raise failure
        return request

    async def stream(self, request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        yield request
        if failure := FAILURES.get(request.value):
            raise failure

    def handlers(self) -> grpc.GenericRpcHandler:
        options = {"request_deserializer": StringValue.FromString, "response_serializer": StringValue.SerializeToString}
        return grpc.method_handlers_generic_handler(
            "test.Echo",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary, **options),
                "Stream": grpc.unary_stream_rpc_method_handler(self.stream, **options),
            },
        )


FAILURES: dict[str, Exception] = {
    "no face": errors.InvalidInput("There is no face.", reason="NO_FACE", field="video", values={"second": "3"}),
    "gone": errors.NotFound("Gone."),
    "taken": errors.AlreadyExists("Taken."),
    "not now": errors.Conflict("Not now."),
    "cannot": errors.Unsupported("Cannot."),
    "away": errors.Unavailable("Away."),
    "no key": errors.Unavailable("No key.", reason="KEY_REFUSED"),
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "broken": RuntimeError(SECRET),
}


def serve(
    work: Callable[[grpc.aio.Channel, Echo], Awaitable[Any]], *, ready: bool = True, most: int = 8, options: Any = None
) -> Any:
    async def run() -> Any:
        echo = Echo()
        server = grpc.aio.server(interceptors=[CallInterceptor(lambda: ready, most)])
        server.add_generic_rpc_handlers((echo.handlers(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
                return await work(channel, echo)
        finally:
            await server.stop(0)

    return asyncio.run(run())


def unary(channel: grpc.aio.Channel, text: str, **options: Any) -> Any:
    call = channel.unary_unary("/test.Echo/Unary", StringValue.SerializeToString, StringValue.FromString)
    return call(StringValue(value=text), **options)


async def fail(call: Any) -> tuple[grpc.StatusCode, str, str, str, dict[str, str]]:
    """Status, message, reason, field and values."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    status = rpc_status.from_call(caught.value)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    return caught.value.code(), status.message, info.reason, field, dict(info.metadata)


def test_an_error_carries_status_reason_field_and_values() -> None:
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "There is no face.", "NO_FACE", "video", {"second": "3"})
    assert serve(lambda channel, _: fail(unary(channel, "no face"))) == expected

    def streamed(channel: grpc.aio.Channel, _: Echo) -> Any:
        call = channel.unary_stream("/test.Echo/Stream", StringValue.SerializeToString, StringValue.FromString)
        return fail(call(StringValue(value="no face")))

    assert serve(streamed) == expected


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("gone", grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        ("taken", grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS"),
        ("not now", grpc.StatusCode.FAILED_PRECONDITION, "CONFLICT"),
        ("cannot", grpc.StatusCode.UNIMPLEMENTED, "UNSUPPORTED"),
        ("full", grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL"),
        ("broken", grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_every_kind_of_error_has_its_status(text: str, code: grpc.StatusCode, reason: str) -> None:
    answer = serve(lambda channel, _: fail(unary(channel, text)))
    assert (answer[0], answer[2]) == (code, reason)
    assert SECRET not in answer[1]


@pytest.mark.parametrize(("text", "calls"), [("away", 4), ("no key", 1)])
def test_a_refusal_is_not_made_again_by_grpc_itself(text: str, calls: int) -> None:
    """A service that is away is asked again; an engine without its key, or whose provider is slow and dear, is not."""

    async def work(channel: grpc.aio.Channel, echo: Echo) -> int:
        await fail(unary(channel, text))
        return echo.calls

    assert serve(work, options=_OPTIONS) == calls


def test_every_error_class_is_mapped() -> None:
    assert set(STATUS) == set(errors.ServiceError.__subclasses__())
    assert code_pb2.OK not in STATUS.values()
    assert to_service_error(ValueError(SECRET)).message.count(SECRET) == 0


def test_a_service_that_still_loads_is_unavailable() -> None:
    answer = serve(lambda channel, _: fail(unary(channel, "hello")), ready=False)
    assert (answer[0], answer[2]) == (grpc.StatusCode.UNAVAILABLE, "LOADING")


def test_calls_beyond_the_limit_are_turned_away_and_slots_come_back() -> None:
    async def work(channel: grpc.aio.Channel, echo: Echo) -> Any:
        held = [unary(channel, "hold") for _ in range(2)]
        for _ in held:
            await asyncio.wait_for(echo.held.get(), 60)
        answer = await fail(unary(channel, "hello"))
        echo.released.set()
        await asyncio.gather(*held)
        cancelled = unary(channel, "hello")
        cancelled.cancel()
        return answer, (await unary(channel, "hello")).value

    answer, text = serve(work, most=2)
    assert (answer[0], answer[2], text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY", "hello")


def test_the_log_knows_the_call_but_not_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "services.common.interceptors")
    serve(lambda channel, _: unary(channel, SECRET, metadata=(("x-request-id", "r-1"),)))
    (record,) = [record for record in caplog.records if record.message == "call"]
    assert record.fields["method"] == "/test.Echo/Unary"
    assert record.fields["outcome"] == "OK"
    assert SECRET not in caplog.text
