"""The speech service with engines on somebody else's server, called as its callers call it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from visavis.common.v1 import info_pb2
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from services.common.audio import from_pcm
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from tests.contract.test_tts import NAME, recording, refused, register, say, spoken
from tests.speakers import (
    LONGEST_S,
    Speaker,
    hertz,
    running_cosyvoice_grpc,
    running_cosyvoice_http,
    running_gptsovits,
    tone,
    wav,
)

Call = Callable[..., Any]
SERVERS: dict[str, Callable[[], AbstractContextManager[Speaker]]] = {
    "cosyvoice over gRPC": running_cosyvoice_grpc,
    "cosyvoice over HTTP": running_cosyvoice_http,
    "gptsovits": running_gptsovits,
}
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[Speaker]:
    with SERVERS[kind]() as server:
        yield server


@pytest.fixture
def call(serving: Any, tmp_path: Path, kind: str, server: Speaker) -> Call:
    """Run one coroutine function with a stub of a fresh service, whose engine asks the server."""
    name = kind.split()[0]

    def run(work: Callable[[Any], Any], **changes: Any) -> Any:
        reached = {"url": server.url, "model": "CosyVoice2-0.5B", "speaker": "ada"}
        if name == "gptsovits":
            recorded = tmp_path / "ada.wav"
            recorded.write_bytes(wav(tone(5, 16_000), 16_000))
            reached |= {"model": "v2", "speaker": str(recorded)}
        settings = TtsSettings(
            port=0,
            work_folder=tmp_path / "work",
            storage_url=(tmp_path / "storage").as_uri(),
            engine=name,
            engines={name: {**reached, **changes}},
        )

        async def serve() -> Any:
            async with serving(TtsServicer(settings), settings) as channel:
                return await work(tts_pb2_grpc.TtsServiceStub(channel))

        return asyncio.run(serve())

    return run


def sound(replies: list[tts_pb2.StreamingSynthesizeResponse]) -> np.ndarray:
    return from_pcm(b"".join(reply.audio.pcm for reply in replies))


def test_a_registered_voice_is_spoken_in_sentence_by_sentence(call: Call, server: Speaker) -> None:
    async def work(stub: Any) -> Any:
        await stub.CreateVoice(register(recording("f3")), timeout=60)
        return await spoken(stub, say("Good morning. How are you?", voice=NAME))

    header, *replies = call(work)
    rate = header.header.sample_rate_hertz
    assert [reply.sentence.text for reply in replies if reply.HasField("sentence")] == ["Good morning.", "How are you?"]
    heard = sound(replies)
    assert np.count_nonzero(heard) == pytest.approx(2 * rate, rel=0.01)
    assert hertz(heard[:rate], rate) == pytest.approx(440, rel=0.02)
    assert len(server.asked) == 2


def test_the_first_piece_is_heard_before_the_last_is_made(call: Call, server: Speaker) -> None:
    server.waits_after = len(server.pieces) - 1

    async def work(stub: Any) -> Any:
        made = stub.StreamingSynthesize(say("Good morning."), timeout=60)
        replies = []
        async for reply in made:
            replies.append(reply)
            if reply.HasField("audio"):
                server.go_on.set()
        return replies

    assert len(sound(call(work))) > 20_000


def test_new_words_of_a_voice_are_sent_from_then_on(call: Call, server: Speaker) -> None:
    async def work(stub: Any) -> None:
        await stub.CreateVoice(register(recording("f3"), transcript=""), timeout=60)
        await spoken(stub, say("Good morning.", voice=NAME))
        await stub.SetVoiceTranscript(
            tts_pb2.SetVoiceTranscriptRequest(name=NAME, transcript="Some call me nature."), timeout=60
        )
        await spoken(stub, say("Good morning.", voice=NAME))

    call(work)
    first, second = server.asked
    assert not first.get("prompt_text")
    assert second["prompt_text"] == "Some call me nature."


def test_a_server_that_has_too_much_to_do_is_asked_once_more(call: Call, server: Speaker, kind: str) -> None:
    server.status, server.refuses = (grpc.StatusCode.RESOURCE_EXHAUSTED if "gRPC" in kind else 429), 1
    assert np.abs(sound(call(lambda stub: spoken(stub, say("Good morning."))))).max() > 0.1
    server.refuses = 2
    status, reason, _ = call(lambda stub: refused(stub.StreamingSynthesize(say("Good morning."), timeout=60)))
    assert (status, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_LIMIT")


def test_who_leaves_ends_the_server_s_work(call: Call, server: Speaker) -> None:
    server.stall_after = len(server.pieces) - 1

    async def work(stub: Any) -> bool:
        made = asyncio.create_task(spoken(stub, say("Good morning.")))
        assert await asyncio.to_thread(server.stalled.wait, LONGEST_S)
        made.cancel()
        return await asyncio.to_thread(server.gone.wait, LONGEST_S)

    assert call(work)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pieces": []}, "NOTHING_SPOKEN"),
        ({"kind": "text/html; charset=utf-8", "pieces": [b"<html>\n"]}, "PROVIDER_GARBLED"),
        ({"pieces": [bytes(48_000)]}, "NOTHING_SPOKEN"),
        ({"pieces": [tone(0.5, 24_000) + b"x"]}, "PROVIDER_GARBLED"),
        ({"break_after": -1}, "REPLY_BROKEN_OFF"),
        ({"break_after": 0}, ""),
        ({"pieces": [tone(1, 24_000)] * 170}, "ANSWER_TOO_LARGE"),
    ],
    ids=["empty", "page", "silent", "odd", "breaks off", "falls", "endless"],
)
def test_what_goes_wrong_reaches_the_caller(
    call: Call, server: Speaker, kind: str, changes: dict[str, Any], reason: str
) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    if server.break_after == -1:  # the last piece
        server.break_after = len(server.pieces) - 1
    status, told, _ = call(lambda stub: refused(stub.StreamingSynthesize(say("Good morning."), timeout=60)))
    if server.break_after == 0:
        reason = "SPEAKER_UNKNOWN" if kind.startswith("cosyvoice") else "REPLY_BROKEN_OFF"
    assert (status, told) == (UNAVAILABLE, reason)


def test_a_server_that_falls_silent_is_not_waited_for(call: Call, server: Speaker) -> None:
    server.stall_after = len(server.pieces) - 1
    work = lambda stub: refused(stub.StreamingSynthesize(say("Good morning."), timeout=60))  # noqa: E731
    assert call(work, read_seconds=0.3)[1] == "PROVIDER_TIMEOUT"
    assert server.gone.wait(LONGEST_S)


def test_one_that_is_down_is_named(call: Call, kind: str) -> None:
    scheme = "grpc" if "gRPC" in kind else "http"
    work = lambda stub: refused(stub.StreamingSynthesize(say("Good morning."), timeout=60))  # noqa: E731
    assert call(work, url=f"{scheme}://127.0.0.1:9", connect_seconds=0.5)[1] == "PROVIDER_UNREACHABLE"


def test_it_is_told_what_an_engine_lacks_and_where_it_is(call: Call, kind: str) -> None:
    async def work(stub: Any) -> Any:
        info = (await stub.GetInfo(tts_pb2.GetInfoRequest(), timeout=60)).info
        return next(engine for engine in info.engines if engine.name == kind.split()[0])

    here, away, nowhere = call(work), call(work, url="http://tts.example.org"), call(work, url="")
    able = [info_pb2.CAPABILITY_OFFLINE in engine.capabilities for engine in (here, away)]
    assert able == [True, False]
    assert info_pb2.CAPABILITY_CLONING in here.capabilities
    assert here.licence
    assert (here.lack.reason, nowhere.lack.reason) == ("", "ADDRESS_MISSING")
    assert f"TTS_{kind.split()[0].upper()}_URL" in nowhere.remedy
