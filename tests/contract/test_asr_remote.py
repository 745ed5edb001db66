"""The recognition service with engines on somebody else's server, called as its callers call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc
from visavis.common.v1 import info_pb2

from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from tests.contract.test_asr import RATE, Config, chunks, recognise, seconds, wav
from tests.recognisers import Runtime, Transcriber, running_runtime, running_transcriber

LONGEST_S = 30  # only ends what would hang
SAID = ["Hello there.", "How are you?"]


@pytest.fixture(params=["zhipu", "openai", "funasr"])
def name(request) -> str:
    return request.param


@pytest.fixture
def server(name) -> Iterator[Transcriber | Runtime]:
    with running_runtime() if name == "funasr" else running_transcriber() as server:
        server.texts = list(SAID)
        yield server


@pytest.fixture
def call(serving, tmp_path, name, server):
    """Run one coroutine function with a stub of a fresh service, whose engine asks the server."""
    reached = {"url": server.url} if name == "funasr" else {"base_url": server.url, "api_key": "k", "model": "m"}

    def run(work, **changes):
        settings = AsrSettings(
            port=0,
            work_folder=tmp_path,
            storage_url=(tmp_path / "storage").as_uri(),
            max_utterance_ms=60_000,
            engine=name,
            engines={name: {**reached, **changes}},
        )

        async def serve():
            async with serving(AsrServicer(settings), settings) as channel:
                return await work(asr_pb2_grpc.AsrServiceStub(channel))

        return asyncio.run(serve())

    return run


def voice(length_s: float) -> bytes:
    """PCM of a voice-like pulse train, and a second of silence after it."""
    t = np.arange(int(length_s * RATE)) / RATE
    parts = (np.sin(2 * np.pi * 120 * k * t) / (1 + abs(k * 120 - f) / 80) for k in range(1, 28) for f in (600, 1500))
    sound = 3000 * sum(parts) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    return sound.clip(-32768, 32767).astype(np.int16).tobytes() + bytes(2 * RATE)


async def transcribe(stub, pcm: bytes) -> asr_pb2.TranscribeResponse:
    data = wav(pcm)
    parts = [data[at : at + 2**19] for at in range(0, len(data), 2**19)]
    messages = [asr_pb2.TranscribeRequest(config={"hotwords": ["Visavis"]})]
    messages += [asr_pb2.TranscribeRequest(data=part) for part in parts]

    async def stream():
        for message in messages:
            yield message

    return await stub.Transcribe(stream(), timeout=60)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return info.reason


def test_two_utterances_are_heard_live(call, server, name):
    spoken = bytes(RATE) + voice(1.5) + voice(1.5)
    responses = call(lambda stub: recognise(stub, Config(sample_rate_hertz=RATE), chunks(spoken)))
    kinds = [response.WhichOneof("response") for response in responses]
    milestones = [kind for kind in kinds[1:] if kind not in ("interim", "speech_goes_on")]
    assert milestones == ["speech_started", "final", "speech_ended"] * 2
    finals = [response.final for response in responses if response.HasField("final")]
    assert [(final.text, final.language) for final in finals] == [(text, "en") for text in SAID]
    assert ("interim" in kinds) is (name != "openai")  # FunASR's while one speaks, GLM's as it answers


def test_a_recording_is_cut_at_its_pauses_and_put_together(call, server, name):
    pcm = bytes(RATE) + voice(1.5) + bytes(4 * RATE) + voice(1.5)
    found = call(lambda stub: transcribe(stub, pcm))
    assert found.text == " ".join(SAID)
    assert found.language == "en"
    assert [round(seconds(one.start_offset), 1) for one in found.utterances] == pytest.approx([0.5, 5.0], abs=0.2)
    assert "How are you?" in found.webvtt
    if name == "funasr":
        assert "Visavis" in server.openings[0]["hotwords"]
    else:
        assert "Visavis" in str(server.forms[0])


@pytest.mark.parametrize("name", ["zhipu"], indirect=True)
def test_who_talks_without_a_pause_is_cut_where_the_provider_takes_no_more(call, server):
    found = call(lambda stub: transcribe(stub, voice(40)))
    assert [len(sound) < 30 * 2 * RATE for sound in server.sounds] == [True, True]
    first, second = found.utterances
    assert seconds(second.start_offset) - seconds(first.end_offset) == pytest.approx(0, abs=0.3)
    assert seconds(second.end_offset) == pytest.approx(40, abs=0.3)


def test_it_is_told_that_sound_is_sent_away_unless_the_server_is_here(call, name):
    async def work(stub):
        info = await stub.GetInfo(asr_pb2.GetInfoRequest())
        return next(engine for engine in info.info.engines if engine.name == name)

    here = call(work)
    away = call(work, **({"url": "ws://asr.example.org"} if name == "funasr" else {"base_url": "http://example.org"}))
    able = [info_pb2.CAPABILITY_OFFLINE in engine.capabilities for engine in (here, away)]
    assert able == [True, False]
    assert here.licence


@pytest.mark.parametrize("way", ["live", "recorded"])
def test_who_leaves_ends_the_request(call, server, name, way):
    if name == "funasr":
        server.is_silent = True
        waits = server.over
    else:
        server.stall_after = 0
        waits = server.stalled

    async def work(stub):
        spoken = bytes(RATE) + voice(1.5)
        live = way == "live"
        config = Config(sample_rate_hertz=RATE)
        made = asyncio.create_task(recognise(stub, config, chunks(spoken)) if live else transcribe(stub, spoken))
        assert await asyncio.to_thread(waits.wait, LONGEST_S)
        made.cancel()
        return await asyncio.to_thread(server.gone.wait, LONGEST_S)

    assert call(work)


def test_what_went_wrong_reaches_the_caller(call, server, name):
    if name == "funasr":
        server.answer = "<html>"
    else:
        server.body = b"<html>"

    async def work(stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await transcribe(stub, voice(1.5))
        return caught.value

    error = call(work)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_GARBLED")
    assert f"ASR_{name.upper()}" in error.details()
