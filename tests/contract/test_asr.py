"""The recognition service, called as its callers call it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc
from visavis.common.v1 import info_pb2

from services.asr import engines, numbers
from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.common.audio import decode, to_pcm
from services.common.recordings import Recordings
from services.common.storage import Storage
from tests import tiny_sherpa

RATE = 16_000
ENGLISH = asr_pb2.TranscribeConfig(language="en")
READY = info_pb2.ENGINE_STATE_READY
Config, Message = asr_pb2.StreamingRecognizeConfig, asr_pb2.StreamingRecognizeRequest


@pytest.fixture
def call(serving, tmp_path):
    """Run one coroutine function with a stub of a fresh service."""

    def run(work, **changes):
        changes = {"engine": "pocketsphinx", "use_silero": False, "use_smart_turn": False, **changes}
        settings = AsrSettings(port=0, work_folder=tmp_path, storage_url=(tmp_path / "storage").as_uri(), **changes)

        async def serve():
            async with serving(AsrServicer(settings), settings) as channel:
                return await work(asr_pb2_grpc.AsrServiceStub(channel))

        return asyncio.run(serve())

    return run


@pytest.fixture(params=["pocketsphinx", "whisper"])
def ear(request) -> dict[str, Any]:
    """The settings of each engine; one whose model cannot be had is skipped."""
    if request.param == "pocketsphinx":
        return {"engine": "pocketsphinx"}
    return {"engine": "whisper", "engines": {"whisper": {"model": str(request.getfixturevalue("whisper_base"))}}}


@pytest.fixture(scope="session")
def two_utterances(shared_data) -> bytes:
    """16 kHz PCM: two sentences of one reader, a second of silence around each."""
    pcm = silence = bytes(2 * RATE)
    for name in ("en_librivox_0870.wav", "en_librivox_0920.wav"):
        with wave.open(str(shared_data / "speech" / name)) as reading:
            pcm += reading.readframes(reading.getnframes()) + silence
    return pcm


@pytest.fixture
def more_engines(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Writes engines of the user's own, each by its name; returns the folder."""
    monkeypatch.setattr(engines, "__path__", list(engines.__path__))

    def write(**sources: str) -> Path:
        (tmp_path / "more" / "asr").mkdir(parents=True)
        for name, source in sources.items():
            (tmp_path / "more" / "asr" / f"{name}.py").write_text(source)
        return tmp_path / "more"

    return write


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


def test_streams_two_utterances(call, ear, two_utterances):
    config = Config(sample_rate_hertz=RATE, language="en")
    responses = call(lambda stub: recognise(stub, config, chunks(two_utterances)), **ear)
    kinds = [response.WhichOneof("response") for response in responses]
    assert kinds[0] == "header"
    milestones = [kind for kind in kinds[1:] if kind not in ("interim", "speech_goes_on")]
    assert milestones == ["speech_started", "final", "speech_ended"] * 2
    assert ear["engine"] == "whisper" or kinds.count("interim") > 5  # Whisper guesses by the clock, and this is faster
    first, second = (response.final for response in responses if response.HasField("final"))
    assert "leisure to consider how much" in first.text
    assert "he might have been made still more" in second.text
    assert 0.9 < seconds(first.start_offset) < 1.6
    assert seconds(first.end_offset) < seconds(second.start_offset)
    pause_s = seconds(first.endpoint_offset) - seconds(first.end_offset)
    assert pause_s == pytest.approx(seconds(responses[0].header.hangover))
    assert " ".join(word.text for word in first.words) == first.text
    assert all(second.start_offset.ToMilliseconds() - 300 < w.start_offset.ToMilliseconds() for w in second.words)


def test_who_has_finished_is_answered_sooner_with_the_models_that_tell(
    call, real_model, two_utterances, monkeypatch, tmp_path
):
    names = ("silero-vad", "smart-turn")
    for name in names:
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).symlink_to(real_model(name))
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path / "models"))
    spoken = chunks(two_utterances[: 9 * 2 * RATE])

    async def work(stub):
        info = await stub.GetInfo(asr_pb2.GetInfoRequest())
        (tmp_path / "models" / "smart-turn").unlink()
        return info.detectors, await recognise(stub, Config(sample_rate_hertz=RATE, language="en"), spoken)

    detectors, responses = call(work, use_silero=True, use_smart_turn=True)
    assert [(one.name, one.state) for one in detectors] == [(name, READY) for name in names]
    final = next(response.final for response in responses if response.HasField("final"))
    assert seconds(final.endpoint_offset) - seconds(final.end_offset) == pytest.approx(0.2)  # not the hangover
    info = call(lambda stub: stub.GetInfo(asr_pb2.GetInfoRequest()), use_silero=True, use_smart_turn=True)
    missing = info.detectors[1]
    assert (missing.lack.reason, missing.remedy) == ("MODEL_MISSING", "visavis models pull smart-turn")


def test_transcribes_a_file_of_another_rate(call, ear, two_utterances):
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

    found = call(work, **ear)
    assert "leisure to consider how much" in found.text
    assert "still more respectable" in found.text
    assert found.webvtt.startswith("WEBVTT\n\n00:00:0")
    assert found.srt.startswith("1\n00:00:0")
    assert found.language == "en"
    assert seconds(found.duration) == pytest.approx(len(two_utterances) / 2 / RATE, abs=0.1)


def test_transcribes_a_recording_that_is_stored(call, two_utterances, tmp_path):
    (tmp_path / "brought.wav").write_bytes(wav(two_utterances[: 12 * RATE]))
    facts = {"duration_s": 6.0, "width": 256, "height": 256}
    storage = Storage((tmp_path / "storage").as_uri(), tmp_path / "cache")
    recording_id = Recordings(storage).add(tmp_path / "brought.wav", facts)

    async def work(stub):
        config = asr_pb2.TranscribeConfig(language="en", recording_id=recording_id)
        return await stub.Transcribe(_stream([asr_pb2.TranscribeRequest(config=config)]), timeout=300)

    found = call(work)
    assert "leisure" in found.text
    assert seconds(found.duration) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(
    ("recording_id", "data", "reason"),
    [
        ("recording-" + "0" * 32, b"", "RECORDING_NOT_FOUND"),
        ("../storage", b"", "RECORDING_NOT_FOUND"),
        ("recording-" + "0" * 32, b"12", "RECORDING_OR_DATA"),
    ],
)
def test_a_recording_that_is_not_there_is_refused(call, recording_id, data, reason):
    async def work(stub):
        config = asr_pb2.TranscribeConfig(language="en", recording_id=recording_id)
        messages = [asr_pb2.TranscribeRequest(config=config)] + [asr_pb2.TranscribeRequest(data=data)] * bool(data)
        return await stub.Transcribe(_stream(messages), timeout=60)

    assert refusal(call, work)[1] == reason


def test_silence_says_nothing(call, ear):
    config = Config(sample_rate_hertz=48_000)
    responses = call(lambda stub: recognise(stub, config, chunks(bytes(4 * 48_000), 48_000)), **ear)
    assert [response.WhichOneof("response") for response in responses] == ["header"]


def test_chinese_is_heard_live_and_in_a_recording_whether_it_is_named_or_not(call, whisper_base, shared_data):
    sound = to_pcm(decode(shared_data / "speech" / "zh_aishell3_SSB00730374.wav", RATE))
    settings = {"engine": "", "engines": {"whisper": {"model": str(whisper_base)}}}  # the default where it is there

    async def work(stub):
        spoken = chunks(bytes(RATE) + sound + bytes(2 * RATE))
        named = await recognise(stub, Config(sample_rate_hertz=RATE, language="zh-TW"), spoken)
        unnamed = await recognise(stub, Config(sample_rate_hertz=RATE), spoken)
        messages = [asr_pb2.TranscribeRequest(config={}), asr_pb2.TranscribeRequest(data=wav(sound))]
        return named, unnamed, await stub.Transcribe(_stream(messages), timeout=300)

    named, unnamed, written = call(work, **settings)
    assert named[0].header.language == "zh-TW"
    assert "現在這個部門" in next(response.final.text for response in named if response.HasField("final"))
    assert unnamed[0].header.language == ""
    final = next(response.final for response in unnamed if response.HasField("final"))
    assert ("现在这个部门" in final.text, final.language) == (True, "zh")
    assert (written.language, written.utterances[0].language) == ("zh", "zh")
    assert "现在这个部门" in written.text
    assert "月球探测器\n和自动驾驶汽车" in written.webvtt, "between words, before the conjunction"
    assert "月球探测器\n和自动驾驶汽车" in written.srt


EXPECTING = """
from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.common.engine import EngineInfo


class Expected(Recognition):
    def __init__(self, hotwords):
        self.hotwords = hotwords

    def feed(self, pcm):
        return ""

    def finish(self):
        return Hypothesis("; ".join(self.hotwords))


class Engine(AsrEngine):
    def load(self):
        pass

    def info(self):
        return EngineInfo("expecting", "1", ("en",))

    def open(self, language, hotwords=()):
        return Expected(hotwords)
"""


def test_an_engine_is_told_the_hot_words_of_a_call_and_then_those_of_the_settings(call, more_engines, two_utterances):
    asked = [" Vera\n Lynn", "", "Ulm"]

    async def work(stub):
        live = Config(sample_rate_hertz=RATE, hotwords=asked)
        heard = await recognise(stub, live, chunks(two_utterances[: 9 * 2 * RATE]))
        config = asr_pb2.TranscribeConfig(language="en", hotwords=asked)
        messages = [asr_pb2.TranscribeRequest(config=config), asr_pb2.TranscribeRequest(data=wav(two_utterances))]
        return heard, await stub.Transcribe(_stream(messages), timeout=300)

    folder = more_engines(expecting=EXPECTING)
    settings = {"engine": "expecting", "engine_folder": folder, "hotwords": ["Ulm", "Visavis"], "written_form": False}
    heard, written = call(work, **settings)
    expected = "Vera Lynn; Ulm; Visavis"
    assert [response.final.text for response in heard if response.HasField("final")] == [expected]
    assert {utterance.text for utterance in written.utterances} == {expected}


TELLING = """
from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.common.engine import Capability, EngineInfo


class Told(Recognition):
    def __init__(self, expected):
        self.expected = expected

    def feed(self, pcm):
        return ""

    def finish(self):
        return Hypothesis(f"{self.expected.language}: {' '.join(self.expected.among)}")


class Engine(AsrEngine):
    def load(self):
        pass

    def info(self):
        able = {Capability.LANGUAGE_DETECTION, Capability.WRITTEN_FORM}
        return EngineInfo("telling", "1", ("en", "zh", "fr"), frozenset(able))

    def open(self, language, hotwords=()):
        return Told(None)

    def begin(self, expected, *, is_recorded=False):
        return Told(expected)
"""


@pytest.mark.parametrize(
    ("language", "languages", "told"),
    [
        ("", [], ": "),
        ("", ["zh-CN", "en", "tlh"], ": en zh-CN"),
        ("", ["zh-CN", "tlh"], "zh-CN: "),
        ("", ["tlh"], ": "),
        ("fr", ["zh-CN", "tlh"], "fr: "),
    ],
    ids=["any", "two", "one that is known", "none that is known", "told"],
)
def test_an_engine_is_told_among_which_languages_one_is_spoken(
    call, more_engines, two_utterances, language, languages, told
):
    async def work(stub):
        live = Config(sample_rate_hertz=RATE, language=language, languages=languages)
        heard = await recognise(stub, live, chunks(two_utterances[: 9 * 2 * RATE]))
        config = asr_pb2.TranscribeConfig(language=language, languages=languages)
        messages = [asr_pb2.TranscribeRequest(config=config), asr_pb2.TranscribeRequest(data=wav(two_utterances))]
        return heard, await stub.Transcribe(_stream(messages), timeout=300)

    heard, written = call(work, engine="telling", engine_folder=more_engines(telling=TELLING))
    assert heard[0].header.language == told.split(":")[0]
    finals = {response.final.text for response in heard if response.HasField("final")}
    assert [sorted(text.split()) for text in finals] == [sorted(told.split())]
    assert {tuple(sorted(one.text.split())) for one in written.utterances} == {tuple(sorted(told.split()))}


COUNTING = """
from services.asr.engine import AsrEngine, Hypothesis, Recognition
from services.common.engine import EngineInfo
from services.common.subtitles import Word


class Counted(Recognition):
    def feed(self, pcm):
        return "twenty three dollars"

    def finish(self):
        words = [Word(text, at, at + 0.5, 1.0) for at, text in enumerate(["twenty", "three", "dollars"])]
        return Hypothesis("twenty three dollars", tuple(words))


class Engine(AsrEngine):
    def load(self):
        pass

    def info(self):
        return EngineInfo("counting", "1", ("en",), self.able)

    able = frozenset()

    def open(self, language, hotwords=()):
        return Counted()
"""


@pytest.mark.parametrize(
    ("config", "settings", "told"),
    [
        ({}, {}, "$23."),
        ({"spoken_form": True}, {}, "twenty three dollars"),
        ({}, {"written_form": False}, "twenty three dollars"),
    ],
)
def test_numbers_are_written_as_people_do_unless_somebody_wants_them_as_they_were_said(
    call, more_engines, two_utterances, config, settings, told
):
    folder = more_engines(counting=COUNTING)

    async def work(stub):
        heard = await recognise(stub, Config(sample_rate_hertz=RATE, **config), chunks(two_utterances[: 9 * 2 * RATE]))
        asked = asr_pb2.TranscribeConfig(language="en-US", **config)
        messages = [asr_pb2.TranscribeRequest(config=asked), asr_pb2.TranscribeRequest(data=wav(two_utterances))]
        return heard, await stub.Transcribe(_stream(messages), timeout=300)

    heard, written = call(work, engine="counting", engine_folder=folder, **settings)
    assert [response.final.text for response in heard if response.HasField("final")] == [told]
    assert {utterance.text for utterance in written.utterances} == {told}
    assert set(written.spoken_text.split("\n")) == {"twenty three dollars"}
    assert told in written.webvtt


@pytest.mark.parametrize(("settings", "loaded"), [({}, 1), ({"written_form": False}, 0)])
def test_nobody_who_speaks_waits_for_the_grammar_of_numbers(call, more_engines, settings, loaded):
    numbers._normaliser.cache_clear()
    folder = more_engines(counting=COUNTING)
    call(lambda stub: stub.GetInfo(asr_pb2.GetInfoRequest()), engine="counting", engine_folder=folder, **settings)
    assert numbers._normaliser.cache_info().currsize == loaded


def test_an_engine_that_writes_numbers_itself_is_left_alone(call, more_engines, two_utterances):
    able = COUNTING.replace("able = frozenset()", 'able = frozenset({"written_form"})')
    config, sound = Config(sample_rate_hertz=RATE), chunks(two_utterances[: 9 * 2 * RATE])
    heard = call(
        lambda stub: recognise(stub, config, sound), engine="writing", engine_folder=more_engines(writing=able)
    )
    assert [response.final.text for response in heard if response.HasField("final")] == ["twenty three dollars"]


def test_a_model_for_sherpa_onnx_hears_live_and_in_a_recording_and_its_numbers_are_written(
    call, two_utterances, tmp_path
):
    """The true runtime with a tiny model, which spells bare words."""
    said = ["▁THEY", "▁PAID", "▁TWENTY", "▁THREE", "▁DO", "LLARS"]
    folder = tiny_sherpa.transducer(tmp_path / "tiny", said)
    sound = two_utterances[: 9 * 2 * RATE]

    async def work(stub):
        info = (await stub.GetInfo(asr_pb2.GetInfoRequest())).info
        heard = await recognise(stub, Config(sample_rate_hertz=RATE), chunks(sound))
        messages = [asr_pb2.TranscribeRequest(config={}), asr_pb2.TranscribeRequest(data=wav(sound))]
        return info, heard, await stub.Transcribe(_stream(messages), timeout=300)

    info, heard, written = call(work, engine="sherpa", engines={"sherpa": {"model": str(folder), "threads": 1}})
    assert info.engines[0].state == info_pb2.ENGINE_STATE_READY
    assert info_pb2.CAPABILITY_HOTWORDS in info.engines[0].capabilities
    assert "they paid twenty" in [response.interim.text for response in heard]
    (final,) = [response.final for response in heard if response.HasField("final")]
    assert (final.text, written.text) == ("They paid $23.", "They paid $23.")
    assert written.spoken_text == "they paid twenty three dollars"
    assert [word.text for word in final.words] == ["They", "paid", "$23."]
    assert (final.language, written.language) == ("en", "en")


@pytest.mark.parametrize(
    ("name", "reason"), [("tokens.txt", "MODEL_FILE_MISSING"), ("joiner.onnx", "MODEL_FILE_MISSING")]
)
def test_a_folder_that_is_not_whole_is_refused_and_ends_nothing(call, tmp_path, name, reason):
    folder = tiny_sherpa.transducer(tmp_path / "tiny", ["▁HELLO"])
    (folder / name).unlink()
    settings = {"engines": {"sherpa": {"model": str(folder)}}}

    async def work(stub):
        return await recognise(stub, Config(sample_rate_hertz=RATE, engine="sherpa"), [])

    status, found, message = refusal(lambda work: call(work, **settings), work)
    assert (status, found) == (grpc.StatusCode.UNAVAILABLE, reason)
    assert name.split(".")[0] in message and str(folder) not in message


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
                return speech.cancel()
        return False

    async def work(stub):
        for _ in range(3):
            assert await leave(stub), "it has ended by itself"
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
