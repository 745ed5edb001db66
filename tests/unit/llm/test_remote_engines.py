"""The remote engines, each with its real SDK against a server that speaks the protocol."""

from __future__ import annotations

import asyncio
import importlib
import math
import socket
from dataclasses import replace

import pytest

from services.common.bounds import ANSWER_BYTES
from services.common.errors import Busy, InvalidInput, ServiceError, Unavailable
from services.llm import patience
from services.llm.engine import LlmEngine, Message, ReplyOptions, Role
from services.llm.persona import SHIPPED, Personas

VISAVIS = Personas(SHIPPED).get("visavis")
OPTIONS = ReplyOptions(system_prompt="Be brief.", persona=VISAVIS, language="en", max_tokens=99, temperature=0.5)
DIALOGUE = [Message(Role.USER, "Hi"), Message(Role.ASSISTANT, "Hello."), Message(Role.USER, "What is two plus two?")]
LONGEST_S = 30  # only ends what would hang; the provider is silent for longer

pytestmark = pytest.mark.parametrize("name", ["zhipu", "openai"])


def make_engine(name: str, url: str, **changes: object) -> LlmEngine:
    values = {"base_url": url, "model": "test-model", "api_key": "secret-key", **changes}
    engine_type = importlib.import_module(f"services.llm.engines.{name}").Engine
    engine = engine_type(engine_type.settings_type(**values))
    engine.load()
    return engine


async def collect(engine: LlmEngine, options: ReplyOptions = OPTIONS) -> list[str]:
    return [delta async for delta in engine.reply(DIALOGUE, options)]


def fail(engine: LlmEngine) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        asyncio.run(collect(engine))
    assert "secret-key" not in caught.value.message
    return caught.value


def test_streams_deltas_as_they_come(name, provider):
    provider.deltas = ["It ", "is ", "four", "."]
    assert asyncio.run(collect(make_engine(name, provider.url))) == ["It ", "is ", "four", "."]
    request = provider.requests[0]
    assert [m["role"] for m in request["messages"]] == ["system", "user", "assistant", "user"]
    assert request["messages"][0]["content"] == "Be brief."
    assert (request["model"], request["max_tokens"], request["stream"]) == ("test-model", 99, True)
    assert provider.authorizations == ["Bearer secret-key"]


def test_thoughts_are_not_spoken(name, provider):
    provider.deltas = ["<thi", "nk>two and two", "</think", ">\n\nFour", ", <b"]
    assert "".join(asyncio.run(collect(make_engine(name, provider.url)))) == "Four, <b"


@pytest.mark.parametrize(
    ("status", "kind", "reason", "remedy"),
    [
        (401, Unavailable, "KEY_REFUSED", "LLM_{}_API_KEY"),
        (404, Unavailable, "MODEL_NOT_FOUND", "LLM_{}_MODEL"),
        (429, Busy, "PROVIDER_LIMIT", "later"),
        (400, InvalidInput, "REFUSED", "differently"),
        (500, Unavailable, "PROVIDER_FAILING", "later"),
    ],
)
def test_refusals_name_the_remedy(name, provider, status, kind, reason, remedy):
    provider.status = status
    error = fail(make_engine(name, provider.url))
    assert (type(error), error.reason) == (kind, reason)
    assert remedy.format(name.upper()) in error.message


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (429, "insufficient_quota", "QUOTA_SPENT"),
        (429, "1113", "QUOTA_SPENT"),
        (400, "1301", "REFUSED"),
        (400, "1211", "MODEL_NOT_FOUND"),
    ],
)
def test_the_providers_own_code_tells_more_than_the_status(name, provider, status, code, reason):
    provider.status, provider.code = status, code
    assert fail(make_engine(name, provider.url)).reason == reason


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_provider_is_asked_again_when_it_says(name, provider, status, monkeypatch):
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(patience.asyncio, "sleep", wait)
    provider.deltas, provider.statuses, provider.retry_after = ["Four."], [status], "7"
    assert asyncio.run(collect(make_engine(name, provider.url))) == ["Four."]
    assert [seconds for seconds in waits if seconds] == [7.0]
    provider.statuses = [status] * 2
    assert fail(make_engine(name, provider.url)).reason == "PROVIDER_LIMIT"


@pytest.mark.parametrize(("retry_after", "patience_s"), [("3600", math.inf), ("4", 3.0)])
def test_nobody_waits_longer_than_anybody_listens(name, provider, retry_after, patience_s):
    provider.statuses, provider.retry_after = [429], retry_after
    options = replace(OPTIONS, patience_s=patience_s)
    with pytest.raises(Busy):
        asyncio.run(collect(make_engine(name, provider.url), options))
    assert len(provider.requests) == 1


def test_what_has_been_said_is_not_asked_for_again(name, provider):
    provider.deltas, provider.break_after = ["It ", "is "], 1
    assert fail(make_engine(name, provider.url)).reason == "REPLY_BROKEN_OFF"
    assert len(provider.requests) == 1


def test_a_reply_without_end_is_ended_and_told(name, provider):
    provider.deltas, provider.floods = ["a" * 2**16], True
    error = fail(make_engine(name, provider.url))
    assert (error.reason, f"LLM_{name.upper()}_BASE_URL" in error.message) == ("ANSWER_TOO_LARGE", True)
    assert provider.flooded < 4 * ANSWER_BYTES  # what fits into the buffers of a connection included


def test_a_connection_lost_in_mid_reply(name, provider):
    provider.deltas, provider.break_after = ["It ", "is ", "four."], 2
    heard = []

    async def listen() -> None:
        async for delta in make_engine(name, provider.url).reply(DIALOGUE, OPTIONS):
            heard.append(delta)

    with pytest.raises(Unavailable) as caught:
        asyncio.run(listen())
    assert (heard, caught.value.reason) == (["It ", "is "], "REPLY_BROKEN_OFF")


def test_nobody_listens(name):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = fail(make_engine(name, f"http://127.0.0.1:{unused.getsockname()[1]}/v1"))
    assert error.reason == "PROVIDER_UNREACHABLE"
    assert f"LLM_{name.upper()}_BASE_URL" in error.message


def test_no_answer_in_time(name, provider):
    provider.stall_after = 0
    error = fail(make_engine(name, provider.url, read_seconds=0.2))
    assert error.reason == "PROVIDER_TIMEOUT"


def test_no_key(name):
    lack = make_engine(name, "", api_key="").lack()
    assert lack is not None
    assert (lack.code, lack.remedy) == ("KEY_MISSING", f"Set LLM_{name.upper()}_API_KEY and restart the service.")


@pytest.mark.parametrize("stall_after", [0, 1], ids=["before the first word", "between words"])
def test_cancelling_hangs_up(name, provider, stall_after):
    provider.deltas, provider.stall_after = ["It ", "is"], stall_after

    async def listen_and_leave() -> None:
        reply = asyncio.create_task(collect(make_engine(name, provider.url)))
        assert await asyncio.to_thread(provider.stalled.wait, LONGEST_S)
        await asyncio.sleep(0.05)
        reply.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reply

    asyncio.run(listen_and_leave())
    assert provider.gone.wait(LONGEST_S)


def test_closing_the_iterator_hangs_up(name, provider):
    provider.deltas, provider.stall_after = ["It ", "is"], 1

    async def listen_to_one() -> str:
        reply = make_engine(name, provider.url).reply(DIALOGUE, OPTIONS)
        first = await anext(reply)
        await reply.aclose()
        return first

    assert asyncio.run(listen_to_one()) == "It "
    assert provider.gone.wait(LONGEST_S)
