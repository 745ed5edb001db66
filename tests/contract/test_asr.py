"""The recognition service, called as its callers call it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc

from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings

RATE = 16_000
ENGLISH = asr_pb2.TranscribeConfig(language="en")
Config, Message = asr_pb2.StreamingRecognizeConfig, asr_pb2.StreamingRecognizeRequest


@pytest.fixture
def call(serving, tmp_path):
    """Run one coroutine function with a stub of a fresh service."""

    def run(work, **changes):
        settings = AsrSettings(port=0, work_folder=tmp_path, **changes)

        async def serve():
            async with serving(AsrServicer(settings), settings) as channel:
                return await work(asr_pb2_grpc.AsrServiceStub(channel))

        return asyncio.run(serve())

    return run


@pytest.fixture(scope="session")
def two_utterances(shared_data) -> bytes:
    """16 kHz PCM: two sentences of one reader, a second of silence around each."""
    pcm = silence = bytes(2 * RATE)
    for name in ("en_librivox_0870.wav", "en_librivox_0920.wav"):
        with wave.open(str(shared_data / "speech" / name)) as reading:
            pcm += reading.readframes(reading.getnframes()) + silence
    return pcm


def chunks(pcm: bytes, rate: int = RATE) -> list[bytes]:
    size = rate // 10 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def wav(pcm: bytes, rate: int = RATE) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return target.getvalue()


async def recognise(stub, config: Config, pieces: list[bytes]) -> list[asr_pb2.StreamingRecognizeResponse]:
    messages = [Message(config=config), *(Message(audio=piece) for piece in pieces)]
    return [response async for response in stub.StreamingRecognize(_stream(messages), timeout=300)]


async def _stream(messages: list) -> AsyncIterator:
    for message in messages:
        yield message


def refusal(call, work: Callable) -> tuple[grpc.StatusCode, str, str]:
    """Status, reason and message of a refused call."""

    async def refused(stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await work(stub)
        return caught.value

    error = call(refused)
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return error.code(), info.reason, error.details()


def seconds(duration: Duration) -> float:
    return duration.ToMilliseconds() / 1000


def test_streams_two_utterances(call, two_utterances):
    responses = call(lambda stub: recognise(stub, Config(sample_rate_hertz=RATE), chunks(two_utterances)))
    kinds = [response.WhichOneof("response") for response in responses]
    assert kinds[0] == "header"
    milestones = [kind for kind in kinds[1:] if kind not in ("interim", "speech_goes_on")]
    assert milestones == ["speech_started", "final", "speech_ended"] * 2
    assert kinds.count("interim") > 5
    first, second = (response.final for response in responses if response.HasField("final"))
    assert "leisure to consider how much" in first.text
    assert "he might have been made still more" in second.text
    assert 0.9 < seconds(first.start_offset) < 1.6
    assert seconds(first.end_offset) < seconds(second.start_offset)
    pause_s = seconds(first.endpoint_offset) - seconds(first.end_offset)
    assert pause_s == pytest.approx(seconds(responses[0].header.hangover))
    assert " ".join(word.text for word in first.words) == first.text
    assert all(second.start_offset.ToMilliseconds() - 300 < w.start_offset.ToMilliseconds() for w in second.words)


def test_transcribes_a_file_of_another_rate(call, two_utterances):
    slow = np.frombuffer(two_utterances, np.int16)
    faster = np.interp(np.arange(0, len(slow), RATE / 44_100), np.arange(len(slow)), slow).astype(np.int16)

    async def work(stub):
        data = wav(faster.tobytes(), 44_100)
        parts = [data[at : at + 2**19] for at in range(0, len(data), 2**19)]
        messages = [
            asr_pb2.TranscribeRequest(config=ENGLISH),
            *(asr_pb2.TranscribeRequest(data=part) for part in parts),
        ]
        return await stub.Transcribe(_stream(messages), timeout=300)

    found = call(work)
    assert "leisure to consider how much" in found.text
    assert "still more respectable" in found.text
    assert found.webvtt.startswith("WEBVTT\n\n00:00:0")
    assert found.srt.startswith("1\n00:00:0")
    assert found.language == "en"
    assert seconds(found.duration) == pytest.approx(len(two_utterances) / 2 / RATE, abs=0.1)


def test_silence_says_nothing(call):
    assert [
        r.WhichOneof("response")
        for r in call(lambda stub: recognise(stub, Config(sample_rate_hertz=48_000), chunks(bytes(4 * 48_000), 48_000)))
    ] == ["header"]


def test_knows_only_english_and_says_what_to_do(call):
    status, reason, message = refusal(
        call, lambda stub: recognise(stub, Config(sample_rate_hertz=RATE, language="zh-CN"), [])
    )
    assert (status, reason) == (grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED")
    assert "ASR_ENGINE" in message
    assert "docs/adding-an-engine.md" in message


@pytest.mark.parametrize(
    ("language", "refused"),
    [
        ("", (grpc.StatusCode.INVALID_ARGUMENT, "LANGUAGE_MISSING")),
        ("zh-CN", (grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED")),
    ],
)
def test_a_recording_in_a_language_that_it_cannot_know_is_refused(call, language, refused):
    async def work(stub):
        return await stub.Transcribe(_stream([asr_pb2.TranscribeRequest(config={"language": language})]), timeout=60)

    assert refusal(call, work)[:2] == refused


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "CONFIG_FIRST"),
        ([Message(audio=b"\0\0")], "CONFIG_FIRST"),
        ([Message(config={"sample_rate_hertz": RATE})] * 2, "CONFIG_ONCE"),
        ([Message(config={})], "SAMPLE_RATE_OUT_OF_RANGE"),
        ([Message(config={"sample_rate_hertz": RATE}), Message(audio=b"\0")], "PCM_ODD_LENGTH"),
        ([Message(config={"sample_rate_hertz": RATE, "hangover": Duration(seconds=9)})], "HANGOVER_OUT_OF_RANGE"),
    ],
)
def test_wrong_messages_are_refused(call, messages, reason):
    async def work(stub):
        async for _ in stub.StreamingRecognize(_stream(messages), timeout=60):
            pass

    status, found, _ = refusal(call, work)
    assert (status, found) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "FILE_EMPTY"), (b"this is not sound" * 99, "UNREADABLE_MEDIA"), (wav(bytes(9000))[:20], "UNREADABLE_MEDIA")],
)
def test_files_without_sound_are_refused(call, data, reason):
    async def work(stub):
        messages = [asr_pb2.TranscribeRequest(config=ENGLISH), asr_pb2.TranscribeRequest(data=data)]
        return await stub.Transcribe(_stream(messages), timeout=60)

    status, found, _ = refusal(call, work)
    assert (status, found) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_cancelled_callers_leave_the_decoder_to_others(call, two_utterances):
    """One decoder, three callers who leave in the middle of a sentence: the fourth is served."""

    async def leave(stub):
        speech = stub.StreamingRecognize(timeout=300)
        await speech.write(Message(config=Config(sample_rate_hertz=RATE)))
        for piece in chunks(two_utterances)[:45]:
            await speech.write(Message(audio=piece))
        async for response in speech:
            if response.HasField("interim"):
                speech.cancel()
                return

    async def work(stub):
        for _ in range(3):
            with pytest.raises(asyncio.CancelledError):
                await leave(stub)
                raise asyncio.CancelledError
        return await recognise(stub, Config(sample_rate_hertz=RATE), chunks(two_utterances[: 9 * 2 * RATE]))

    responses = call(work, engines={"pocketsphinx": {"decoders": 1, "decoder_wait_seconds": 60}})
    assert any("leisure" in response.final.text for response in responses)


def test_a_deadline_ends_the_call(call):
    async def held():
        yield Message(config=Config(sample_rate_hertz=RATE))
        await asyncio.Event().wait()

    async def work(stub):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in stub.StreamingRecognize(held(), timeout=1):
                pass
        return caught.value.code()

    assert call(work) is grpc.StatusCode.DEADLINE_EXCEEDED
