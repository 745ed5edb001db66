"""The dialogue service, called as its callers call it."""

from __future__ import annotations

import asyncio
import socket

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.llm.v1 import llm_pb2, llm_pb2_grpc

from services.llm.servicer import LlmServicer
from services.llm.settings import LlmSettings

USER, ASSISTANT = llm_pb2.ROLE_USER, llm_pb2.ROLE_ASSISTANT


@pytest.fixture
def call(serving):
    """Run one coroutine function with a stub of a fresh service."""

    def run(work, **changes):
        settings = LlmSettings(port=0, **changes)

        async def serve():
            async with serving(LlmServicer(settings), settings) as channel:
                return await work(llm_pb2_grpc.LlmServiceStub(channel))

        return asyncio.run(serve())

    return run


def request(*texts: str, **fields: str) -> llm_pb2.ReplyRequest:
    """A dialogue in turns, the user first."""
    messages = [llm_pb2.Message(role=ASSISTANT if i % 2 else USER, text=text) for i, text in enumerate(texts)]
    return llm_pb2.ReplyRequest(messages=messages, **fields)


async def reply(stub, asked: llm_pb2.ReplyRequest) -> tuple[llm_pb2.ReplyHeader, str]:
    responses = [response async for response in stub.Reply(asked, timeout=60)]
    kinds = [response.WhichOneof("response") for response in responses]
    assert kinds[0] == "header"
    assert set(kinds[1:]) == {"delta"}
    return responses[0].header, "".join(response.delta for response in responses[1:])


def refusal(call, asked: llm_pb2.ReplyRequest, **changes: object) -> tuple[grpc.StatusCode, str, str]:
    """Status, reason and message of a refused call."""

    async def work(stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reply(stub, asked)
        return caught.value

    error = call(work, **changes)
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return error.code(), info.reason, error.details()


def test_answers_in_the_users_language(call):
    async def work(stub):
        return [await reply(stub, request(text)) for text in ("How long does training take?", "训练需要多久？")]

    (english, answer), (chinese, antwort) = call(work)
    assert (english.engine, english.model, english.language) == ("knowledge", "", "en")
    assert "eight minutes" in answer
    assert chinese.language == "zh"
    assert "八分钟" in antwort


def test_the_caller_may_choose_the_language(call):
    header, answer = call(lambda stub: reply(stub, request("Hello", language="zh")))
    assert header.language == "zh"
    assert "你好" in answer


def test_describes_itself_and_its_personas(call):
    info = call(lambda stub: stub.GetInfo(llm_pb2.GetInfoRequest()))
    assert info.info.default_engine == "knowledge"
    assert {"knowledge", "openai", "zhipu"} <= {engine.name for engine in info.info.engines}
    assert info.personas[0].name == "visavis"
    assert set(info.personas[0].greetings) == {"en", "zh"}


def test_a_new_folder_is_a_new_persona(call, tmp_path):
    (tmp_path / "cook").mkdir()
    (tmp_path / "cook" / "persona.toml").write_text('title = "Cook"\nlanguages = ["en"]\n')
    (tmp_path / "cook" / "rice.md").write_text("# Rice\n\nBoil *rice* for twelve minutes.\n")
    _, answer = call(lambda stub: reply(stub, request("How do I boil rice?", persona="cook")), personas=tmp_path)
    assert answer == "Boil rice for twelve minutes."


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (llm_pb2.ReplyRequest(), grpc.StatusCode.INVALID_ARGUMENT, "USER_LAST"),
        (request("Hi", "Hello."), grpc.StatusCode.INVALID_ARGUMENT, "USER_LAST"),
        (request("  \n"), grpc.StatusCode.INVALID_ARGUMENT, "EMPTY_TEXT"),
        (request("word " * 4000), grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG"),
        (request("Hi", persona="../visavis"), grpc.StatusCode.NOT_FOUND, "NO_SUCH_PERSONA"),
        (llm_pb2.ReplyRequest(messages=[{"text": "Hi"}]), grpc.StatusCode.INVALID_ARGUMENT, "ROLE_MISSING"),
    ],
)
def test_refuses_with_a_reason(call, asked, code, reason):
    status, found, message = refusal(call, asked)
    assert (status, found) == (code, reason)
    assert message


def test_a_provider_that_cannot_be_reached(call):
    changes = {"engine": "openai", "engines": {"openai": {"base_url": "http://127.0.0.1:9/v1", "model": "none"}}}
    status, reason, message = refusal(call, request("Hi"), **changes)
    assert (status, reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNREACHABLE")
    assert "LLM_OPENAI_BASE_URL" in message


def test_a_deadline_ends_a_reply_and_frees_its_place(call, eventually):
    async def end(stub):
        try:
            return [_ async for _ in stub.Reply(request("Hello"), timeout=0.5)]
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return error.code()
            raise

    async def work(stub):  # a second reply is refused as BUSY while the first keeps the one place
        return [await eventually(lambda: end(stub)) for _ in range(2)]

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        endpoint = {"openai": {"base_url": url, "model": "none"}}
        answers = call(work, engine="openai", engines=endpoint, max_concurrent_calls=1)
    assert answers == [grpc.StatusCode.DEADLINE_EXCEEDED] * 2
