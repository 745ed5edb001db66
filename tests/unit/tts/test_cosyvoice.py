"""CosyVoice's two wires, each against a local server that behaves as CosyVoice's own does."""

from __future__ import annotations

import asyncio
import gzip
import io
import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from pydantic import ValidationError

from services.common.engine import Capability
from services.common.errors import InvalidInput, ServiceError, Unsupported
from services.tts.cosyvoice.asked import Model
from services.tts.engine import Prosody, Speech
from services.tts.engines.cosyvoice import Engine, Settings
from tests.speakers import (
    LONGEST_S,
    Speaker,
    hertz,
    running_cosyvoice_grpc,
    running_cosyvoice_http,
    tone,
    wav,
)

RATE = 24_000
PERSON = np.frombuffer(tone(5, RATE), "<i2").astype(np.float32) / 2**15
WORDS = "Some call me nature."
WIRES: dict[str, Callable[[], AbstractContextManager[Speaker]]] = {
    "grpc": running_cosyvoice_grpc,
    "http": running_cosyvoice_http,
}


@pytest.fixture(params=WIRES)
def server(request: pytest.FixtureRequest) -> Iterator[Speaker]:
    with WIRES[request.param]() as server:
        yield server


@pytest.fixture
def over_grpc() -> Iterator[Speaker]:
    with running_cosyvoice_grpc() as server:
        yield server


@pytest.fixture
def over_http() -> Iterator[Speaker]:
    with running_cosyvoice_http() as server:
        yield server


def make_engine(server: Speaker, model: str = "iic/CosyVoice2-0.5B", **changes: Any) -> Engine:
    engine = Engine(Settings(url=server.url, model=model, **changes))
    assert engine.lack() is None
    engine.load()
    return engine


def enrolled(engine: Engine, folder: Path, transcript: str = WORDS, samples: np.ndarray = PERSON) -> Path:
    engine.enrol(samples, RATE, transcript, folder)
    return folder


def speak(engine: Engine, text: str, voice: Path | None = None, language: str = "") -> list[Speech]:
    async def collected() -> list[Speech]:
        return [one async for one in engine.synthesize(text, language=language, voice=voice, prosody=Prosody())]

    return asyncio.run(collected())


def sound(pieces: list[Speech]) -> np.ndarray:
    """What is heard of a sentence, without the pause after it."""
    *pieces, pause = pieces
    assert not pause.samples.any()
    assert len(pause.samples) > 0.1 * pause.sample_rate
    return np.concatenate([piece.samples for piece in pieces])


def fail(engine: Engine, text: str = "Good morning.", **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        speak(engine, text, **options)
    assert "secret" not in caught.value.message
    return caught.value


def as_pcm(prompt: bytes) -> bytes:
    """The samples of a recording as either wire carries it, which must be at 16 kHz."""
    if not prompt.startswith(b"RIFF"):
        return prompt
    with wave.open(io.BytesIO(prompt)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return file.readframes(file.getnframes())


def prompt_of(asked: dict[str, Any]) -> bytes:
    return as_pcm(asked.pop("prompt_audio" if "prompt_audio" in asked else "prompt_wav"))


@pytest.mark.parametrize(
    ("name", "rate", "clones"),
    [
        ("iic/CosyVoice-300M", 22_050, True),
        ("CosyVoice-300M-SFT", 22_050, False),
        ("/models/CosyVoice-300M-Instruct", 22_050, False),
        ("iic/CosyVoice2-0.5B", 24_000, True),
        ("FunAudioLLM/Fun-CosyVoice3-0.5B-2512", 24_000, True),
    ],
)
def test_the_model_s_name_tells_its_rate_and_what_it_can(name: str, rate: int, clones: bool) -> None:
    engine = Engine(Settings(url="http://127.0.0.1:9", model=name))
    assert engine.sample_rate == rate
    assert (Capability.CLONING in engine.info().capabilities) is clones


def test_a_name_that_is_no_model_of_cosyvoice_s_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(url="http://127.0.0.1:9", model="whisper")
    with pytest.raises(ValueError, match="CosyVoice2"):
        Model.named("whisper")


def test_the_recording_and_its_words_are_sent_where_the_language_is_theirs(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server)
    voice = enrolled(engine, tmp_path)
    pieces = speak(engine, "Good morning.", voice, "en-GB")
    asked = server.asked[0]
    pcm = np.frombuffer(prompt_of(asked), "<i2")
    assert len(pcm) == pytest.approx(5 * 16_000, abs=160)
    assert hertz(pcm, 16_000) == pytest.approx(440, rel=0.02)
    assert asked == {"way": "zero_shot", "tts_text": "Good morning.", "prompt_text": WORDS}
    assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    heard = sound(pieces)
    assert (len(heard), pieces[0].sample_rate) == (RATE, RATE)
    assert hertz(heard, RATE) == pytest.approx(440, rel=0.02)


@pytest.mark.parametrize(("words", "language"), [("", "en"), (WORDS, "zh"), ("自然", "en"), (WORDS, "ja")])
def test_a_voice_without_words_or_in_another_language_is_cross_lingual(
    server: Speaker, tmp_path: Path, words: str, language: str
) -> None:
    engine = make_engine(server)
    speak(engine, "Good morning.", enrolled(engine, tmp_path, words), language)
    asked = server.asked[0]
    assert prompt_of(asked)
    assert asked == {"way": "cross_lingual", "tts_text": "Good morning."}


def test_the_first_generation_is_told_the_language_and_the_third_what_it_is(server: Speaker, tmp_path: Path) -> None:
    said = {}
    for name in ("CosyVoice-300M", "Fun-CosyVoice3-0.5B-2512"):
        engine = make_engine(server, name)
        (tmp_path / name).mkdir()
        voice = enrolled(engine, tmp_path / name)
        for language, text in (("zh", "早上好。"), ("en", "Good morning.")):
            speak(engine, text, voice, language)
            said[name, language] = {key: value for key, value in server.asked[-1].items() if key.endswith("text")}
    before = "You are a helpful assistant.<|endofprompt|>"
    assert said == {
        ("CosyVoice-300M", "zh"): {"tts_text": "<|zh|>早上好。"},
        ("CosyVoice-300M", "en"): {"tts_text": "Good morning.", "prompt_text": WORDS},
        ("Fun-CosyVoice3-0.5B-2512", "zh"): {"tts_text": f"{before}早上好。"},
        ("Fun-CosyVoice3-0.5B-2512", "en"): {"tts_text": "Good morning.", "prompt_text": before + WORDS},
    }


def test_marks_of_the_model_in_a_text_are_not_sent(server: Speaker) -> None:
    speak(make_engine(server, speaker="ada"), "One<|endofprompt|>two.")
    assert "<|" not in server.asked[0]["tts_text"]


@pytest.mark.parametrize(("language", "speaker"), [("en", "英文女"), ("zh-CN", "中文女"), ("zh-HK", "粤语女")])
def test_a_voice_that_is_built_in_follows_the_language(server: Speaker, language: str, speaker: str) -> None:
    speak(make_engine(server, "iic/CosyVoice-300M-SFT"), "Good morning.", language=language)
    assert server.asked == [{"way": "sft", "tts_text": "Good morning.", "spk_id": speaker}]


def test_the_first_generation_is_instructed_in_a_voice_that_is_built_in(server: Speaker) -> None:
    engine = make_engine(server, "iic/CosyVoice-300M-Instruct", instruct="Be merry.", speaker="ada")
    speak(engine, "Good morning.")
    expected = {"way": "instruct", "tts_text": "Good morning.", "spk_id": "ada"}
    assert server.asked == [{**expected, "instruct_text": "Be merry.<|endofprompt|>"}]


@pytest.mark.parametrize(
    ("model", "before"), [("CosyVoice2-0.5B", ""), ("CosyVoice3", "You are a helpful assistant. ")]
)
def test_later_ones_are_instructed_with_a_recording_over_http(
    over_http: Speaker, tmp_path: Path, model: str, before: str
) -> None:
    engine = make_engine(over_http, model, instruct="Be merry.")
    speak(engine, "Good morning.", enrolled(engine, tmp_path))
    asked = over_http.asked[0]
    assert prompt_of(asked)
    told = f"{before}Be merry.<|endofprompt|>"
    assert asked == {"way": "instruct2", "tts_text": "Good morning.", "instruct_text": told}


def test_over_grpc_that_is_told_beforehand() -> None:
    lack = Engine(Settings(url="grpc://127.0.0.1:9", model="CosyVoice2", instruct="Be merry.")).lack()
    assert lack
    assert (lack.code, "http://" in lack.remedy) == ("INSTRUCT_NEEDS_HTTP", True)


def test_without_a_voice_one_is_asked_for(server: Speaker) -> None:
    error = fail(make_engine(server))
    assert (error.reason, error.field) == ("VOICE_NEEDED", "config.voice")
    assert isinstance(error, InvalidInput)
    assert not server.asked


def test_a_language_that_the_model_does_not_speak_is_refused_at_once(server: Speaker) -> None:
    with pytest.raises(Unsupported, match="zh, en, ja"):
        make_engine(server).check_language("de")
    make_engine(server, "CosyVoice3").check_language("de-AT")


def test_so_is_one_that_only_the_text_tells(server: Speaker) -> None:
    assert fail(make_engine(server, speaker="ada"), "Доброе утро.").reason == "LANGUAGE_NOT_SUPPORTED"
    assert not server.asked


def test_a_long_recording_is_cut_at_a_pause_and_loses_its_words(server: Speaker, tmp_path: Path) -> None:
    long = np.tile(PERSON, 8)
    long[22 * RATE : 23 * RATE] = 0
    engine = make_engine(server)
    speak(engine, "Good morning.", enrolled(engine, tmp_path, samples=long), "en")
    asked = server.asked[0]
    assert 22 < len(prompt_of(asked)) / 2 / 16_000 < 23
    assert asked["way"] == "cross_lingual"


@pytest.mark.parametrize(("samples", "reason"), [(PERSON[: 2 * RATE], "TOO_SHORT"), (0 * PERSON, "SILENT")])
def test_a_recording_that_will_not_do_is_refused(
    server: Speaker, tmp_path: Path, samples: np.ndarray, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        enrolled(make_engine(server), tmp_path, samples=samples)
    assert caught.value.reason == reason


def test_a_server_that_takes_a_recording_for_a_file_is_named_with_its_commits(
    over_grpc: Speaker, tmp_path: Path
) -> None:
    over_grpc.details = "Invalid file: tensor([[0.0, 0.0]])"
    engine = make_engine(over_grpc)
    error = fail(engine, voice=enrolled(engine, tmp_path))
    assert error.reason == "SERVER_KNOWN_BROKEN"
    assert "622a3a1" in error.message
    assert "d985106" in error.message


def test_so_is_one_that_breaks_off_at_once(over_http: Speaker, tmp_path: Path) -> None:
    over_http.break_after = 0
    engine = make_engine(over_http)
    assert fail(engine, voice=enrolled(engine, tmp_path)).reason == "SERVER_KNOWN_BROKEN"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "KEY_REFUSED"), (404, "MODEL_NOT_FOUND"), (422, "SPEAKING_NOT_TAKEN"), (429, "PROVIDER_LIMIT"),
        (500, "PROVIDER_FAILING"), (503, "PROVIDER_LIMIT"),
    ],
)  # fmt: skip
def test_a_refusal_over_http_is_told_in_our_words(over_http: Speaker, status: int, reason: str) -> None:
    over_http.status, over_http.details = status, "secret" * 20_000
    assert fail(make_engine(over_http, speaker="ada")).reason == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "KEY_REFUSED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_LIMIT"),
        (grpc.StatusCode.UNIMPLEMENTED, "PROVIDER_GARBLED"),
        (grpc.StatusCode.UNKNOWN, "SPEAKER_UNKNOWN"),
        (grpc.StatusCode.DATA_LOSS, "PROVIDER_FAILING"),
    ],
)
def test_a_refusal_over_grpc_is_told_in_our_words(over_grpc: Speaker, status: grpc.StatusCode, reason: str) -> None:
    over_grpc.status, over_grpc.details = status, "secret"
    assert fail(make_engine(over_grpc, speaker="ada")).reason == reason


def test_a_page_is_no_speech(over_http: Speaker) -> None:
    over_http.kind, over_http.pieces = "text/html; charset=utf-8", [b"<html>secret</html>"]
    assert fail(make_engine(over_http, speaker="ada")).reason == "PROVIDER_GARBLED"


def test_an_answer_that_is_packed_is_not_unpacked(over_http: Speaker) -> None:
    """A small one may become any large one."""
    over_http.encoding, over_http.pieces = "gzip", [gzip.compress(bytes(2**20))]
    assert fail(make_engine(over_http, speaker="ada")).reason == "ANSWER_TOO_LARGE"


def test_sound_that_is_cut_in_the_middle_of_samples_is_whole(server: Speaker) -> None:
    pcm = tone(1, RATE)
    server.pieces = [pcm[at : at + 1_001] for at in range(0, len(pcm), 1_001)]
    heard = sound(speak(make_engine(server, speaker="ada"), "Good morning."))
    assert np.array_equal((heard * 2**15).astype("<i2"), np.frombuffer(pcm, "<i2"))


@pytest.mark.parametrize("size", [None, 0, 0xFFFF_FFFF])
def test_a_wav_file_tells_its_rate(server: Speaker, size: int | None) -> None:
    file = wav(tone(1, 16_000), 16_000, size=size)
    server.pieces = [file[:3], file[3:30], file[30:]]
    heard = sound(speak(make_engine(server, speaker="ada"), "Good morning."))
    assert len(heard) == pytest.approx(RATE, abs=50)
    assert hertz(heard, RATE) == pytest.approx(440, rel=0.02)


@pytest.mark.parametrize(
    "file", [wav(tone(1, RATE), RATE, channels=2), b"RIFF1234AVI LIST", b"RIFF\x00\x00\x00\x00WAVE" + bytes(9000)]
)
def test_another_kind_of_file_is_no_speech(server: Speaker, file: bytes) -> None:
    server.pieces = [file]
    assert fail(make_engine(server, speaker="ada")).reason == "PROVIDER_GARBLED"


def test_a_file_that_ends_before_it_says_broke_off(server: Speaker) -> None:
    server.pieces = [wav(tone(1, RATE), RATE, size=3 * RATE)]
    assert fail(make_engine(server, speaker="ada")).reason == "REPLY_BROKEN_OFF"


def test_silence_at_the_ends_is_replaced_by_a_pause_of_ours(server: Speaker) -> None:
    quiet = bytes(2 * RATE)
    server.pieces = [quiet, quiet + tone(0.5, RATE) + quiet, quiet + tone(0.5, RATE) + quiet, quiet]
    pieces = speak(make_engine(server, speaker="ada"), "Good morning.")
    heard = sound(pieces)
    assert len(heard) / RATE == pytest.approx(0.02 + 0.5 + 2 + 0.5 + 0.02, abs=0.01)  # and none in its middle
    assert len(pieces[-1].samples) / RATE == pytest.approx(0.3, abs=0.01)
    assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)


def test_a_key_is_sent_and_not_told(server: Speaker) -> None:
    engine = make_engine(server, speaker="ada", api_key="secret")
    speak(engine, "Good morning.")
    assert server.keys == ["Bearer secret"]
    server.break_after = 0
    fail(engine)


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server: Speaker) -> None:
    server.pieces, server.stall_after = [tone(0.1, RATE)] * 3, 2
    assert fail(make_engine(server, speaker="ada", read_seconds=0.5)).reason == "PROVIDER_TIMEOUT"
    assert server.gone.wait(LONGEST_S)


def test_a_server_that_trickles_is_not_waited_for_for_ever(server: Speaker) -> None:
    """A little arrives in time, ever again, so that only all of it together takes too long."""
    server.pieces, server.trickles = [tone(0.001, RATE)], True
    assert fail(make_engine(server, speaker="ada", read_seconds=0.5)).reason == "PROVIDER_TIMEOUT"
    assert server.gone.wait(LONGEST_S)


def test_nothing_to_say_is_said(server: Speaker) -> None:
    with pytest.raises(InvalidInput) as caught:
        speak(make_engine(server), "…")
    assert caught.value.reason == "NOTHING_TO_SAY"
