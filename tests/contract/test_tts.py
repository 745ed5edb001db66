"""The speech service, called as its callers call it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from scipy.signal import lfilter
from visavis.common.v1 import info_pb2, media_pb2
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from services.common.audio import from_pcm, to_pcm
from services.common.engine import Capability
from services.common.errors import InvalidInput
from services.common.jobs import process
from services.common.recordings import Recordings
from services.common.storage import Storage
from services.tts import engines, espeak_ng
from services.tts.engines import espeak
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from services.tts.voices import Voices

Stub = tts_pb2_grpc.TtsServiceStub
Say, Config = tts_pb2.StreamingSynthesizeRequest, tts_pb2.SynthesisConfig
Register, Judge = tts_pb2.CreateVoiceRequest, tts_pb2.JudgeRecordingRequest
Import = tts_pb2.ImportVoiceRequest
Call = Callable[..., Any]
NAME = "Ada 测试"
SESSION = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
TEXT = "Some call me nature, others call me mother nature. I have been here for over four and a half billion years."


@pytest.fixture
def settings(tmp_path: Path) -> TtsSettings:
    return TtsSettings(port=0, storage_url=(tmp_path / "storage").as_uri(), work_folder=tmp_path / "work")


@pytest.fixture
def call(serving: Any, settings: TtsSettings) -> Call:
    """Run one coroutine function with a stub of a fresh service."""

    def run(work: Callable[[Stub], Awaitable[Any]], **changes: Any) -> Any:
        chosen = settings.model_copy(update=changes)

        async def serve() -> Any:
            async with serving(TtsServicer(chosen), chosen) as channel:
                return await work(Stub(channel))

        return asyncio.run(serve())

    return run


def wav(samples: np.ndarray, rate: int) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(to_pcm(samples))
    return target.getvalue()


def recording(variant: str) -> bytes:
    """Some seconds of a made-up person, as a WAV file."""
    spoken = espeak_ng.speak(TEXT, f"gmw/en+{variant}", 160).samples
    return wav(lfilter([1, -0.4], [1], spoken).astype(np.float32) * 0.5, espeak_ng.SAMPLE_RATE)


@pytest.fixture(scope="module")
def person() -> bytes:
    return recording("f3")


def say(*texts: str, **config: Any) -> list[Say]:
    return [Say(config=Config(**config)), *(Say(text=text) for text in texts)]


def register(
    data: bytes, *, name: str = NAME, given_by: str = "Ada L.", transcript: str = TEXT, size: int = 0
) -> list[Register]:
    consent = media_pb2.Consent(given_by=given_by)
    config = tts_pb2.VoiceConfig(name=name, transcript=transcript, consent=consent, size_bytes=size)
    pieces = [data[at : at + 200_000] for at in range(0, len(data), 200_000)]
    return [Register(config=config), *(Register(data=piece) for piece in pieces)]


async def refused(awaited: Any) -> tuple[grpc.StatusCode, str, str]:
    """The status, reason and field of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        if hasattr(awaited, "__aiter__"):
            async for _ in awaited:
                pass
        else:
            await awaited
    status = rpc_status.from_call(failure.value)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    return failure.value.code(), info.reason, field


async def spoken(stub: Stub, messages: list[Say]) -> list[tts_pb2.StreamingSynthesizeResponse]:
    return [reply async for reply in stub.StreamingSynthesize(messages, timeout=60)]


# Speaking


def test_sentences_come_in_order_on_one_clock(call: Call) -> None:
    text = "Good morning. How are you today? " + "It is a long story, " * 15
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    header, *replies = call(lambda stub: spoken(stub, say(*pieces)))
    assert header.header.sample_rate_hertz > 0
    assert json.loads(header.header.mark.aigc)["Label"] == "1"
    assert "synthetic" in header.header.mark.statement.lower()
    sentences = [reply.sentence for reply in replies if reply.HasField("sentence")]
    assert [sentence.sentence_index for sentence in sentences] == list(range(len(sentences)))
    assert [sentence.text for sentence in sentences[:2]] == ["Good morning.", "How are you today?"]
    audio = [reply.audio for reply in replies if reply.HasField("audio")]
    assert all(len(piece.pcm) <= 32 * 1024 for piece in audio)
    assert audio[0].sample_index == 0
    assert all(b.sample_index == a.sample_index + len(a.pcm) // 2 for a, b in pairwise(audio))
    assert {sentence.sample_index for sentence in sentences} <= {piece.sample_index for piece in audio}
    assert np.abs(from_pcm(b"".join(piece.pcm for piece in audio))).max() > 0.1
    times = [word.start_offset.ToMilliseconds() for piece in audio for word in piece.words]
    assert times == sorted(times)
    assert len(times) > 10


def test_captions_keep_what_is_written_without_marks_and_follow_what_is_said(call: Call) -> None:
    text = "# Prices\n\nIt costs **$12.50**, see [here](https://a.com).\n\n```\nx = 1\n```\n\n今天-5℃，有13800元。"
    _, *replies = call(lambda stub: spoken(stub, say(*text)))
    sentences = [reply.sentence for reply in replies if reply.HasField("sentence")]
    assert [sentence.text for sentence in sentences] == [
        "Prices", "It costs $12.50, see here.", "Code.", "今天-5℃，有13800元。",
    ]  # fmt: skip
    heard = [text[: sentence.text_end] for sentence in sentences]
    assert [heard[0][-6:], heard[1][-16:], heard[3]] == ["Prices", "(https://a.com).", text]
    words = [word for reply in replies for word in reply.audio.words]
    assert [word.text for word in words] == [
        "Prices", "It", "costs", "$12.50,", "see", "here.", "Code.",
        "今", "天", "-5℃，", "有", "13800", "元",
    ]  # fmt: skip
    lasts = {
        word.text: (word.end_offset.ToTimedelta() - word.start_offset.ToTimedelta()).total_seconds() for word in words
    }
    assert lasts["$12.50,"] > 3 * lasts["see"], "twelve dollars and fifty cents"
    assert lasts["13800"] > 3 * lasts["有"], "一万三千八百"


def test_an_engine_that_reads_by_itself_gets_what_is_written(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    given, info, synthesize = [], espeak.Engine.info, espeak.Engine.synthesize

    def reading(self: espeak.Engine) -> Any:
        told = info(self)
        return replace(told, capabilities=told.capabilities | {Capability.READING})

    def noted(self: espeak.Engine, text: str, **how: Any) -> Any:
        given.append(text)
        return synthesize(self, text, **how)

    monkeypatch.setattr(espeak.Engine, "synthesize", noted)
    call(lambda stub: spoken(stub, say("It is **$5**.")))
    monkeypatch.setattr(espeak.Engine, "info", reading)
    call(lambda stub: spoken(stub, say("It is **$5**.")))
    assert given == ["It is five dollars.", "It is $5."]


def test_a_sentence_is_spoken_before_the_text_goes_on(call: Call) -> None:
    """A model writes on while the first sentence sounds; marks in it hold it back no longer than they last."""

    async def work(stub: Stub) -> list[str]:
        heard = asyncio.Event()

        async def deltas() -> AsyncIterator[Say]:
            for message in say("It is ", "**ve", "ry** ", "cold: -", "5", "°C. ", "An"):
                yield message
            await asyncio.wait_for(heard.wait(), 60)
            yield Say(text="d more.")

        texts = []
        async for reply in stub.StreamingSynthesize(deltas(), timeout=60):
            if reply.HasField("sentence"):
                texts.append(reply.sentence.text)
                heard.set()
        return texts

    assert call(work) == ["It is very cold: -5°C.", "And more."]


def test_closures_are_told_with_the_audio_they_begin_in(call: Call) -> None:
    text = "Bob maps the river. " + "A tall ship passes by the empty harbour, " * 5
    audio = [reply.audio for reply in call(lambda stub: spoken(stub, say(text))) if reply.HasField("audio")]
    assert sum(len(piece.closures) > 0 for piece in audio) > 2
    for piece in audio:
        end = piece.sample_index + len(piece.pcm) // 2
        assert all(piece.sample_index <= each.sample_index < end for each in piece.closures)
    edges = [
        edge for piece in audio for c in piece.closures for edge in (c.sample_index, c.sample_index + c.sample_count)
    ]
    assert edges == sorted(edges)
    assert min(c.sample_count for piece in audio for c in piece.closures) > 0


def test_rate_is_honoured(call: Call) -> None:
    async def work(stub: Stub) -> list[int]:
        both = [await spoken(stub, say("One, two, three, four, five.", rate=rate)) for rate in (1.0, 2.0)]
        return [sum(len(reply.audio.pcm) for reply in replies) for replies in both]

    slow, fast = call(work)
    assert fast / slow == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], (INVALID, "CONFIG_FIRST", "config")),
        ([Say(text="Hello.")], (INVALID, "CONFIG_FIRST", "config")),
        (say() + say(), (INVALID, "CONFIG_ONCE", "config")),
        ([*say("Hello."), Say()], (INVALID, "EMPTY_MESSAGE", "")),
        (say(), (INVALID, "NOTHING_TO_SAY", "text")),
        (say(" \n"), (INVALID, "NOTHING_TO_SAY", "text")),
        (say("word " * 30), (INVALID, "TEXT_TOO_LONG", "text")),
        (say(rate=3.0), (INVALID, "RATE_OUT_OF_RANGE", "rate")),
        (say(pitch_semitones=13), (INVALID, "PITCH_OUT_OF_RANGE", "pitch")),
        (say(volume_db=13), (INVALID, "VOLUME_OUT_OF_RANGE", "volume")),
        (say(voice="nobody"), (MISSING, "VOICE_NOT_FOUND", "voice")),
        (say(voice="../up"), (INVALID, "NAME_FORBIDDEN", "voice")),
        (say(language="tlh"), (grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", "language")),
    ],
)
def test_what_cannot_be_said_is_refused(call: Call, messages: list[Say], expected: tuple[Any, ...]) -> None:
    work = call(lambda stub: refused(stub.StreamingSynthesize(messages, timeout=60)), max_text_characters=100)
    assert work == expected


# Voices


def test_a_voice_is_registered_once_spoken_in_read_and_forgotten(call: Call, person: bytes) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        made = (await stub.CreateVoice(register(person))).voice
        again = (await stub.CreateVoice(register(person))).voice
        taken = await refused(stub.CreateVoice(register(recording("m3"))))
        own = await spoken(stub, say("Hello there."))
        in_voice = await spoken(stub, say("Hello there.", voice=NAME))
        noted = tts_pb2.SetVoiceTranscriptRequest(name=NAME, transcript="Something else.")
        await stub.SetVoiceTranscript(noted)
        listed = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        header, *data = [reply async for reply in stub.ReadVoice(tts_pb2.ReadVoiceRequest(name=NAME))]
        await stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=NAME))
        gone = [
            await refused(stub.StreamingSynthesize(say(voice=NAME))),
            await refused(stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=NAME))),
            await refused(stub.ReadVoice(tts_pb2.ReadVoiceRequest(name=NAME))),
            await refused(stub.SetVoiceTranscript(noted)),
        ]
        return made, again, taken, (own, in_voice), listed, (header.header, data), gone

    made, again, taken, (own, in_voice), listed, (header, data), gone = call(work)
    assert made == again
    assert (made.name, made.engine, made.transcript, made.consent.given_by) == (NAME, "espeak", TEXT, "Ada L.")
    assert 4 < made.duration.ToTimedelta().total_seconds() < 15
    assert taken == (grpc.StatusCode.ALREADY_EXISTS, "VOICE_EXISTS", "name")
    assert [voice.transcript for voice in listed] == ["Something else."]
    assert [reply.audio.pcm for reply in own] != [reply.audio.pcm for reply in in_voice]
    assert header.content_type in ("audio/wav", "audio/x-wav")
    assert b"".join(reply.data for reply in data)[:4] == b"RIFF"
    assert gone == [(MISSING, "VOICE_NOT_FOUND", "voice")] * 4


def test_the_same_recording_told_of_again_has_the_later_consent_and_transcript(call: Call, person: bytes) -> None:
    async def work(stub: Stub) -> list[tts_pb2.Voice]:
        told = ({}, {"transcript": "", "given_by": "Bob"}, {"transcript": "New."})
        made = [(await stub.CreateVoice(register(person, **changes))).voice for changes in told]
        return [*made, *(await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices]

    first, second, third, listed = call(work)
    assert (second.transcript, second.consent.given_by) == (TEXT, "Bob")
    assert second.consent.time.ToNanoseconds() > first.consent.time.ToNanoseconds()
    assert (third.transcript, third.consent.given_by) == ("New.", "Ada L.")
    assert listed == third
    assert first.create_time == listed.create_time


def test_a_voice_that_is_forgotten_in_mid_speech_is_told_to_be_gone(call: Call, person: bytes) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        await stub.CreateVoice(register(person))
        forgotten = asyncio.Event()

        async def text() -> AsyncIterator[Say]:
            for message in say("Hello there. Good morning to", voice=NAME):
                yield message
            await forgotten.wait()
            yield Say(text=" you. And good night.")

        speech = stub.StreamingSynthesize(text(), timeout=60)
        async for reply in speech:
            if reply.HasField("audio"):
                break
        await stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=NAME))
        forgotten.set()
        return await refused(speech)

    assert call(work) == (MISSING, "VOICE_NOT_FOUND", "voice")


def judgement(data: bytes, size: int = 0) -> list[Judge]:
    config = tts_pb2.JudgeRecordingConfig(size_bytes=size)
    return [Judge(config=config), *(Judge(data=data[at : at + 200_000]) for at in range(0, len(data), 200_000))]


def test_a_recording_is_judged_before_anything_is_kept_and_with_the_voice(call: Call, person: bytes) -> None:
    """A warning refuses nothing; what is useless is refused."""

    async def work(stub: Stub) -> tuple[Any, ...]:
        clean = (await stub.JudgeRecording(judgement(person))).report
        bad = (await stub.JudgeRecording(judgement(overdriven(person)))).report
        kept = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        made = (await stub.CreateVoice(register(overdriven(person)))).voice
        listed = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        useless = [
            await refused(stub.JudgeRecording(judgement(data, size)))
            for data, size in ((wav(np.zeros(48_000, np.float32), 48_000), 0), (b"no sound", 0), (person, 7), (b"", 0))
        ]
        return clean, bad, kept, made, listed, useless

    clean, bad, kept, made, listed, useless = call(work)
    assert not clean.warnings
    assert clean.duration.ToTimedelta().total_seconds() > clean.speech.ToTimedelta().total_seconds() > 4
    assert [(warning.reason, warning.field) for warning in bad.warnings] == [("CLIPPING", "audio")]
    assert not kept
    assert made.report == bad
    assert [voice.report for voice in listed] == [bad]
    reasons = [reason for _, reason, _ in useless]
    assert reasons == ["SILENT", "UNREADABLE_MEDIA", "FILE_INCOMPLETE", "FILE_EMPTY"]


def overdriven(data: bytes) -> bytes:
    """The same recording, four times as loud as fits."""
    with wave.open(io.BytesIO(data)) as file:
        samples, rate = from_pcm(file.readframes(file.getnframes())), file.getframerate()
    return wav(samples / np.abs(samples).max() * 4, rate)


def test_the_volume_is_what_is_asked_for(call: Call) -> None:
    async def work(stub: Stub) -> list[float]:
        levels = []
        for volume_db in (0, -12):
            replies = await spoken(stub, say("Hello there.", volume_db=volume_db))
            samples = np.concatenate([from_pcm(reply.audio.pcm) for reply in replies])
            levels.append(10 * np.log10(np.mean(samples**2)))
        return levels

    normal, quieter = call(work)
    assert quieter == pytest.approx(normal - 12, abs=1)


def imported(data: bytes, **config: Any) -> list[Import]:
    pieces = [data[at : at + 200_000] for at in range(0, len(data), 200_000)]
    return [Import(config=tts_pb2.ImportVoiceConfig(**config)), *(Import(data=piece) for piece in pieces)]


def test_a_voice_is_exported_and_imported_as_it_was(call: Call, person: bytes) -> None:
    """Elsewhere under its own name, here under another; a second time it is the voice that exists."""

    async def read(replies: Any) -> tuple[media_pb2.FileHeader, bytes]:
        header, *data = [reply async for reply in replies]
        return header.header, b"".join(reply.data for reply in data)

    async def work(stub: Stub) -> tuple[Any, ...]:
        made = (await stub.CreateVoice(register(person))).voice
        _, sound = await read(stub.ReadVoice(tts_pb2.ReadVoiceRequest(name=NAME)))
        header, data = await read(stub.ExportVoice(tts_pb2.ExportVoiceRequest(name=NAME)))
        taken = await refused(stub.ImportVoice(imported(data)))
        other = (await stub.ImportVoice(imported(data, name="Other"))).voice
        await stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=NAME))
        back = (await stub.ImportVoice(imported(data, size_bytes=len(data)))).voice
        again = (await stub.ImportVoice(imported(data))).voice
        _, sound_again = await read(stub.ReadVoice(tts_pb2.ReadVoiceRequest(name=NAME)))
        replies = await spoken(stub, say("Hello there.", voice="Other"))
        wrong = [
            await refused(stub.ImportVoice(messages))
            for messages in (imported(b"PK nothing"), imported(data, size_bytes=7), imported(data, name="a/b"))
        ]
        wrong.append(await refused(stub.ExportVoice(tts_pb2.ExportVoiceRequest(name="Nobody"))))
        return made, header, len(data), taken, other, back, again, (sound, sound_again), replies, wrong

    made, header, size, taken, other, back, again, sounds, replies, wrong = call(work)
    assert (header.content_type, header.size_bytes, header.file_name) == ("application/zip", size, f"{NAME}.voice.zip")
    assert taken[1] == "VOICE_EXISTS"
    for voice, name in ((other, "Other"), (back, NAME)):
        assert (voice.name, voice.transcript, voice.consent) == (name, made.transcript, made.consent)
        assert voice.report == made.report
    assert again == back
    assert sounds[0] == sounds[1]
    assert any(reply.audio.pcm for reply in replies)
    reasons = [reason for _, reason, _ in wrong]
    assert reasons == ["ARCHIVE_WRONG", "FILE_INCOMPLETE", "NAME_FORBIDDEN", "VOICE_NOT_FOUND"]


def test_archives_are_unpacked_one_at_a_time(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacking: list[bool] = []
    at_once: list[int] = []

    async def work(stub: Stub) -> list[str]:
        go_on = asyncio.Event()

        async def unpack(*_: Any) -> Any:
            unpacking.append(True)
            at_once.append(len(unpacking))
            await go_on.wait()
            unpacking.pop()
            raise InvalidInput("No.", reason="ARCHIVE_WRONG", field="archive")

        monkeypatch.setattr(process, "call", unpack)
        imports = [asyncio.ensure_future(refused(stub.ImportVoice(imported(b"PK")))) for _ in range(3)]
        while not at_once:
            await stub.ListVoices(tts_pb2.ListVoicesRequest())
        go_on.set()
        return [reason for _, reason, _ in await asyncio.gather(*imports)]

    assert call(work) == ["ARCHIVE_WRONG"] * 3
    assert at_once == [1, 1, 1]


def stored(settings: TtsSettings, data: bytes) -> str:
    """A recording that `train` has taken; its id."""
    path = settings.work_folder / "brought.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    facts = {"duration_s": 8.0, "width": 256, "height": 256}
    return Recordings(Storage(settings.storage_url, settings.work_folder / "cache")).add(path, facts)


def by_id(recording_id: str, **config: Any) -> list[Register]:
    consent = media_pb2.Consent(given_by="Ada L.")
    return [Register(config=tts_pb2.VoiceConfig(name=NAME, consent=consent, recording_id=recording_id, **config))]


def test_a_voice_is_made_of_a_recording_that_is_stored(call: Call, settings: TtsSettings, person: bytes) -> None:
    recording_id = stored(settings, person)

    async def work(stub: Stub) -> tuple[Any, ...]:
        made = (await stub.CreateVoice(by_id(recording_id, training_id="training-1"))).voice
        again = (await stub.CreateVoice(by_id(recording_id, training_id="training-1"))).voice
        brought = (await stub.CreateVoice(register(person))).voice
        (listed,) = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        return made, again, brought, listed

    made, again, brought, listed = call(work)
    assert made == again
    assert brought == listed
    assert (made.transcript, brought.transcript) == ("", TEXT)
    assert (made.name, made.training_id) == (NAME, "training-1")
    kept = Storage(settings.storage_url, settings.work_folder).local_file(f"recordings/{recording_id}/recording")
    assert kept.read_bytes() == person, "the recording is only read"


@pytest.mark.parametrize("recording_id", ["recording-" + "0" * 32, "../recordings", "recording-" + "0" * 31 + "/", "x"])
def test_a_recording_that_is_not_there_becomes_no_voice(call: Call, settings: TtsSettings, recording_id: str) -> None:
    expected = (MISSING, "RECORDING_NOT_FOUND", "recording_id")
    assert call(lambda stub: refused(stub.CreateVoice(by_id(recording_id)))) == expected


def test_a_recording_is_named_or_brought_and_never_too_large(call: Call, settings: TtsSettings, person: bytes) -> None:
    messages = by_id(stored(settings, person))
    both = call(lambda stub: refused(stub.CreateVoice([*messages, Register(data=b"12")])))
    assert both == (INVALID, "RECORDING_OR_DATA", "recording_id")
    large = call(lambda stub: refused(stub.CreateVoice(messages)), max_reference_bytes=1000)
    assert large == (INVALID, "FILE_TOO_LARGE", "audio")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], (INVALID, "CONFIG_FIRST", "config")),
        ([Register(data=b"12")], (INVALID, "CONFIG_FIRST", "config")),
        (register(b"") + register(b""), (INVALID, "CONFIG_ONCE", "config")),
        (register(b""), (INVALID, "FILE_EMPTY", "audio")),
        (register(b"no sound at all" * 99), (INVALID, "UNREADABLE_MEDIA", "audio")),
        (register(SESSION), (INVALID, "UNREADABLE_MEDIA", "audio")),
        (register(wav(np.zeros(96_000, np.float32), 24_000)), (INVALID, "SILENT", "audio")),
        (register(recording("f3")[:-9], size=len(recording("f3"))), (INVALID, "FILE_INCOMPLETE", "audio")),
        (register(bytes(1_600_000)), (INVALID, "FILE_TOO_LARGE", "audio")),
        (register(b"12", name=""), (INVALID, "NAME_EMPTY", "name")),
        (register(b"12", name="../up"), (INVALID, "NAME_FORBIDDEN", "name")),
        (register(b"12", given_by=" "), (INVALID, "CONSENT_MISSING", "consent")),
        (register(b"12", given_by="true"), (INVALID, "CONSENT_UNCLEAR", "consent")),
        (register(b"12", given_by="A" * 201), (INVALID, "TEXT_TOO_LONG", "consent.given_by")),
        (register(b"12", transcript="word " * 12_001), (INVALID, "TEXT_TOO_LONG", "transcript")),
    ],
)
def test_voices_that_cannot_be_made_are_refused_and_not_kept(
    call: Call, messages: list[Register], expected: tuple[Any, ...]
) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        answer = await refused(stub.CreateVoice(messages, timeout=60))
        return answer, len((await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices)

    assert call(work, max_reference_bytes=1_500_000) == (expected, 0)


_MUTE = """
from services.common.engine import EngineInfo, EngineSettings
from services.tts.engine import TtsEngine

class Engine(TtsEngine):
    settings_type = EngineSettings
    sample_rate = 24_000
    def __init__(self, settings): pass
    def load(self): pass
    def info(self): return EngineInfo("mute", "1", ("en-US",), frozenset(), "MIT")
    def check_language(self, language): pass
    def synthesize(self, text, **how): raise AssertionError("nothing is said")
    def close(self): pass
"""


def test_an_engine_without_cloning_refuses_registered_voices(
    call: Call, person: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "__path__", list(engines.__path__))  # nobody finds it after this test

    async def work(stub: Stub) -> Any:
        await stub.CreateVoice(register(person), timeout=60)
        spoken_in = await refused(stub.StreamingSynthesize(say("Hello.", voice=NAME, engine="mute"), timeout=60))
        message, *rest = register(person, name="Another")
        message.config.engine = "mute"
        return spoken_in, await refused(stub.CreateVoice([message, *rest], timeout=60))

    (tmp_path / "engines" / "tts").mkdir(parents=True)
    (tmp_path / "engines" / "tts" / "mute.py").write_text(_MUTE)
    told = call(work, engine_folder=tmp_path / "engines")
    unable = grpc.StatusCode.UNIMPLEMENTED
    assert told == ((unable, "NO_CLONING", "config.voice"), (unable, "NO_CLONING", "config.engine"))


def test_voices_being_learnt_hold_nobody_else_up(call: Call, person: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than a server has threads."""
    learning, go_on = threading.Event(), threading.Event()

    def enrol(*_: Any) -> None:
        learning.set()
        go_on.wait(120)

    monkeypatch.setattr(espeak.Engine, "enrol", enrol)

    async def work(stub: Stub) -> tuple[Any, ...]:
        uploads = [asyncio.ensure_future(stub.CreateVoice(register(person, name=f"Voice {n}"))) for n in range(40)]
        try:
            assert await asyncio.to_thread(learning.wait, 120)
            listed = await stub.ListVoices(tts_pb2.ListVoicesRequest(), timeout=30)
            said = [reply async for reply in stub.StreamingSynthesize(say("Hello."), timeout=30)]
        finally:
            go_on.set()
            for upload in uploads:
                upload.cancel()
        return len(listed.voices), said[-1].HasField("audio")

    assert call(work) == (0, True)


def test_a_voice_that_is_forgotten_does_not_come_back_with_new_words(
    call: Call, person: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on, order = threading.Event(), threading.Event(), []
    write, delete = Storage.write, Voices.delete

    def late(storage: Storage, key: str, data: bytes) -> None:
        writing.set()
        go_on.wait(120)
        order.append("written")
        write(storage, key, data)

    def noted(voices: Voices, *arguments: str) -> None:
        order.append("forgotten")
        delete(voices, *arguments)

    monkeypatch.setattr(Voices, "delete", noted)
    monkeypatch.setattr(espeak.Engine, "enrol", lambda *_: None)

    async def work(stub: Stub) -> list[tts_pb2.Voice]:
        await stub.CreateVoice(register(person))
        monkeypatch.setattr(Storage, "write", late)
        words = tts_pb2.SetVoiceTranscriptRequest(name=NAME, transcript="Hello.")
        changing = asyncio.ensure_future(stub.SetVoiceTranscript(words))
        assert await asyncio.to_thread(writing.wait, 120)
        forgetting = asyncio.ensure_future(stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=NAME)))
        try:
            await stub.ListVoices(tts_pb2.ListVoicesRequest())
        finally:
            go_on.set()
        await asyncio.gather(changing, forgetting)
        return list((await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices)

    assert call(work) == []
    assert order == ["written", "forgotten"]


def test_a_voice_whose_caller_goes_while_it_is_learnt_is_learnt_to_its_end_and_not_kept(
    call: Call, person: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def enrol(_engine: Any, _reference: Any, _rate: int, _transcript: str, folder: Path) -> None:
        learning.set()
        go_on.wait(120)
        (folder / "learnt").touch()
        ended.set()

    monkeypatch.setattr(espeak.Engine, "enrol", enrol)

    async def work(stub: Stub) -> tuple[Any, ...]:
        upload = asyncio.ensure_future(stub.CreateVoice(register(person)))
        assert await asyncio.to_thread(learning.wait, 120)
        upload.cancel()
        await stub.ListVoices(tts_pb2.ListVoicesRequest())  # the service has heard of it by then
        go_on.set()
        has_ended = await asyncio.to_thread(ended.wait, 10)  # not where its folder was taken away meanwhile
        again = (await stub.CreateVoice(register(person, name="Bob"))).voice  # its turn comes behind
        return (
            has_ended,
            again.name,
            [voice.name for voice in (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices],
        )

    assert call(work) == (True, "Bob", ["Bob"])


WHOLE = {
    "name": "of another folder", "engine": "espeak", "duration_s": 5.0, "transcript": "", "consent_by": "Ada L.",
    "consent_at": 1.8e9, "created_at": 1.8e9, "recording_sha256": "0" * 64,
}  # fmt: skip


def put_voice(
    settings: TtsSettings, name: str, manifest: str | None, *, age_s: float = 0, has_sound: bool = True
) -> None:
    """A voice's folder as some earlier day left it."""
    folder = Path(settings.storage_url.removeprefix("file://")) / "voices" / name
    folder.mkdir(parents=True)
    (folder / "espeak").mkdir()
    (folder / "espeak" / "model.json").write_text("{}")
    if has_sound:
        (folder / "reference.wav").write_bytes(wav(np.zeros(2400, np.float32), 24_000))
    if manifest is not None:
        (folder / "voice.json").write_text(manifest)
    for file in folder.rglob("*.*"):
        os.utime(file, (time.time() - age_s,) * 2)


async def all_pages(stub: Stub, size: int) -> list[list[tts_pb2.Voice]]:
    pages, token = [], ""
    while not pages or token:
        reply = await stub.ListVoices(tts_pb2.ListVoicesRequest(page_size=size, page_token=token))
        pages.append(list(reply.voices))
        token = reply.next_page_token
    return pages


def test_voices_are_listed_though_their_texts_were_stored_without_bound(call: Call, settings: TtsSettings) -> None:
    stored = WHOLE | {"consent_by": "Ada L. " * 57_000, "transcript": "字" * 400_000}
    for number in range(11):
        put_voice(settings, f"voice {number:02}", json.dumps(stored))
    pages = call(lambda stub: all_pages(stub, 0))
    voices = [voice for page in pages for voice in page]
    assert [voice.name for voice in voices] == [f"voice {number:02}" for number in range(11)]
    assert all(len(voice.consent.given_by) == 200 and voice.consent.given_by[-1] == "…" for voice in voices)
    assert all(sum(voice.ByteSize() for voice in page) < 2 * 2**20 for page in pages)


def test_voices_come_in_pages(call: Call, settings: TtsSettings) -> None:
    for number in range(5):
        put_voice(settings, f"voice {number}", json.dumps(WHOLE))

    async def work(stub: Stub) -> tuple[Any, ...]:
        wrong = tts_pb2.ListVoicesRequest(page_token="nothing")
        return await all_pages(stub, 2), await refused(stub.ListVoices(wrong))

    pages, wrong = call(work)
    assert [[voice.name[-1] for voice in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]
    assert wrong == (INVALID, "PAGE_TOKEN_WRONG", "page_token")


DAMAGES = {
    "truncated": json.dumps(WHOLE)[:60],
    "empty": "",
    "list": "[]",
    "incomplete": '{"name": "incomplete"}',
    "wrong type": json.dumps(WHOLE | {"duration_s": "long"}),
    "negative": json.dumps(WHOLE | {"duration_s": -1}),
    "no number": json.dumps(WHOLE | {"created_at": float("nan")}),
    "no moment": json.dumps(WHOLE | {"created_at": 1e300}),
    "nested": json.dumps(WHOLE | {"more": None}).replace("null", "[" * 50_000 + "]" * 50_000),
    "no manifest": None,
}


@pytest.mark.parametrize("damage", [*DAMAGES, "no sound"])
def test_a_damaged_voice_is_listed_refused_and_can_be_deleted(call: Call, settings: TtsSettings, damage: str) -> None:
    manifest = DAMAGES.get(damage, json.dumps(WHOLE))
    put_voice(settings, NAME, json.dumps(WHOLE))
    put_voice(settings, "damaged", manifest, age_s=3600, has_sound=damage != "no sound")

    async def work(stub: Stub) -> tuple[Any, ...]:
        before = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        refusals = [
            await refused(stub.StreamingSynthesize(say("Hello.", voice="damaged"))),
            await refused(stub.ReadVoice(tts_pb2.ReadVoiceRequest(name="damaged"))),
            await refused(stub.SetVoiceTranscript(tts_pb2.SetVoiceTranscriptRequest(name="damaged"))),
            await refused(stub.CreateVoice(register(b"12", name="damaged"))),
        ]
        await stub.DeleteVoice(tts_pb2.DeleteVoiceRequest(name="damaged"))
        after = (await stub.ListVoices(tts_pb2.ListVoicesRequest())).voices
        return before, refusals, after

    before, refusals, after = call(work)
    assert {voice.name: voice.error.reason for voice in before} == {NAME: "", "damaged": "VOICE_DAMAGED"}
    assert refusals == [(grpc.StatusCode.FAILED_PRECONDITION, "VOICE_DAMAGED", "voice")] * 4
    assert [voice.name for voice in after] == [NAME]


def test_a_voice_whose_recording_cannot_be_read_is_damaged(call: Call, settings: TtsSettings) -> None:
    put_voice(settings, "damaged", json.dumps(WHOLE))
    sound = Path(settings.storage_url.removeprefix("file://")) / "voices/damaged/reference.wav"
    sound.write_bytes(b"no sound at all")
    answer = call(lambda stub: refused(stub.StreamingSynthesize(say("Hello.", voice="damaged"))))
    assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "VOICE_DAMAGED", "voice")


def test_a_voice_that_is_being_made_is_not_listed_yet(call: Call, settings: TtsSettings) -> None:
    put_voice(settings, "half", None)
    put_voice(settings, ".hidden", "{}")
    assert call(lambda stub: all_pages(stub, 0)) == [[]]


def test_describes_itself(call: Call) -> None:
    info = call(lambda stub: stub.GetInfo(tts_pb2.GetInfoRequest())).info
    assert info.default_engine == "espeak"
    engine = next(engine for engine in info.engines if engine.name == "espeak")
    assert info_pb2.CAPABILITY_CLONING in engine.capabilities
    assert engine.state == info_pb2.ENGINE_STATE_READY
