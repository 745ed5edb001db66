"""GPT-SoVITS' `api_v2`, spoken to a local server that behaves as it does."""

from __future__ import annotations

import asyncio
import os
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import InvalidInput, ServiceError, Unsupported
from services.tts.engine import Prosody, Speech
from services.tts.engines.gptsovits import Engine, Settings
from tests.speakers import LONGEST_S, Speaker, hertz, running_gptsovits, tone, wav

RATE = 24_000
PERSON = np.frombuffer(tone(5, RATE), "<i2").astype(np.float32) / 2**15
WORDS = "Some call me nature."


@pytest.fixture
def server() -> Iterator[Speaker]:
    with running_gptsovits() as server:
        yield server


def make_engine(server: Speaker, **changes: Any) -> Engine:
    engine = Engine(Settings(url=server.url, **changes))
    assert engine.lack() is None
    engine.load()
    return engine


def enrolled(engine: Engine, folder: Path, transcript: str = WORDS, samples: np.ndarray = PERSON) -> Path:
    folder.mkdir()
    engine.enrol(samples, RATE, transcript, folder)
    return folder


def speak(
    engine: Engine, text: str, voice: Path | None, language: str = "", prosody: Prosody | None = None
) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language=language, voice=voice, prosody=prosody or Prosody())
        return [one async for one in speech]

    return asyncio.run(collected())


def sound(pieces: list[Speech]) -> np.ndarray:
    """What is heard of a sentence, without the pause after it."""
    *pieces, pause = pieces
    assert not pause.samples.any()
    assert len(pause.samples) > 0.1 * pause.sample_rate
    return np.concatenate([piece.samples for piece in pieces])


def fail(engine: Engine, voice: Path | None, text: str = "Good morning.") -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        speak(engine, text, voice)
    return caught.value


def test_the_recording_is_read_by_the_server_and_its_words_are_told(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server)
    pieces = speak(engine, "早上好。", enrolled(engine, tmp_path / "voice"), prosody=Prosody(rate=1.5))
    asked = server.asked[0]
    with wave.open(asked.pop("ref_audio_path")) as file:
        assert (file.getframerate(), file.getnframes() / RATE) == (RATE, pytest.approx(5, abs=0.01))
    assert asked == {
        "way": "tts", "text": "早上好。", "text_lang": "zh", "prompt_text": WORDS, "prompt_lang": "en",
        "speed_factor": 1.5, "media_type": "wav", "streaming_mode": 1, "text_split_method": "cut5", "temperature": 1.0,
        "seed": -1,
    }  # fmt: skip
    heard = sound(pieces)
    assert (len(heard), pieces[0].sample_rate) == (32_000, 32_000)
    assert hertz(heard, 32_000) == pytest.approx(440, rel=0.02)


@pytest.mark.parametrize(("version", "rate"), [("v2", 32_000), ("v3", 24_000), ("v4", 48_000)])
def test_a_rate_that_the_server_tells_is_brought_to_that_of_the_version(
    server: Speaker, tmp_path: Path, version: str, rate: int
) -> None:
    server.pieces = [wav(tone(1, 16_000), 16_000)]
    engine = make_engine(server, model=version)
    pieces = speak(engine, "Good morning.", enrolled(engine, tmp_path / "voice"))
    heard = sound(pieces)
    assert engine.sample_rate == pieces[0].sample_rate == rate
    assert len(heard) == pytest.approx(rate, rel=0.01)
    assert hertz(heard, rate) == pytest.approx(440, rel=0.02)


@pytest.mark.parametrize("there", ["", "/data/voices", "D:\\voices"])
def test_a_recording_lies_in_the_shared_folder_as_long_as_it_is_needed(
    server: Speaker, tmp_path: Path, there: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    server.stall_after = 2
    engine = make_engine(server, references=shared, server_references=there, streaming_mode=0)
    voice = enrolled(engine, tmp_path / "voice")
    seen: list[list[Path]] = []

    async def left() -> None:
        made = engine.synthesize("Good morning.", language="", voice=voice, prosody=Prosody())
        await anext(made)
        seen.append(list(shared.iterdir()))
        await made.aclose()

    if there:
        assert fail(engine, voice).reason == "REFERENCE_NOT_SEEN"  # for it is another machine's path
        expected = {"/data/voices": "/data/voices/visavis-", "D:\\voices": "D:\\voices\\visavis-"}[there]
        assert server.asked[0]["ref_audio_path"].startswith(expected)
    else:
        asyncio.run(left())
        assert [str(path) for path in seen[0]] == [server.asked[0]["ref_audio_path"]]
    assert not list(shared.iterdir())


def test_two_calls_share_a_recording_and_the_last_takes_it_away(server: Speaker, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    engine = make_engine(server, references=shared)
    voice = enrolled(engine, tmp_path / "voice")

    async def work() -> list[int]:
        first, second = (
            engine.synthesize("Good morning.", language="", voice=voice, prosody=Prosody()) for _ in range(2)
        )
        counts = []
        for made in (first, second):
            await anext(made)
            counts.append(len(list(shared.iterdir())))
        for made in (first, second):
            await made.aclose()
            counts.append(len(list(shared.iterdir())))
        return counts

    assert asyncio.run(work()) == [1, 1, 1, 0]


def test_another_replica_takes_away_what_is_its_own(server: Speaker, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    engines = [make_engine(server, references=shared) for _ in range(2)]
    voice = enrolled(engines[0], tmp_path / "voice")
    server.waits_after = 2

    async def work() -> list[bool]:
        first, second = (
            engine.synthesize("Good morning.", language="", voice=voice, prosody=Prosody()) for engine in engines
        )
        for made in (first, second):
            await anext(made)
        await first.aclose()
        left = [str(path) for path in shared.iterdir()]
        await second.aclose()
        return [asked["ref_audio_path"] in left for asked in server.asked]

    assert asyncio.run(work()) == [False, True]
    assert not list(shared.iterdir())


def test_what_a_killed_process_left_in_it_is_forgotten(server: Speaker, tmp_path: Path) -> None:
    for name, age_s in (("visavis-recording-a.wav", 7200), ("visavis-recording-b.wav", 0), ("other.wav", 7200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    make_engine(server, references=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.wav", "visavis-recording-b.wav"]


def test_a_server_elsewhere_needs_a_folder_that_both_see(tmp_path: Path) -> None:
    lacks = [
        Engine(Settings(url="http://tts.example.org", references=folder)).lack()
        for folder in (None, tmp_path / "gone", tmp_path)
    ]
    assert [lack and lack.code for lack in lacks] == ["REFERENCES_UNSHARED", "REFERENCES_MISSING", None]
    assert all("TTS_GPTSOVITS_REFERENCES" in lack.remedy for lack in lacks if lack)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_a_recording_that_the_server_does_not_find_is_told_in_every_mode(
    server: Speaker, tmp_path: Path, mode: int
) -> None:
    engine = make_engine(server, streaming_mode=mode)
    voice = enrolled(engine, tmp_path / "voice")
    shared = make_engine(server, streaming_mode=mode, references=tmp_path, server_references="/elsewhere")
    assert speak(engine, "Good morning.", voice)
    error = fail(shared, voice)
    assert error.reason == "REFERENCE_NOT_SEEN"
    assert "TTS_GPTSOVITS_SERVER_REFERENCES" in error.message
    assert str(tmp_path) not in error.message


@pytest.mark.parametrize("mode", [0, 1])
def test_so_is_one_that_it_finds_too_short(server: Speaker, tmp_path: Path, mode: int) -> None:
    short = tmp_path / "short.wav"
    short.write_bytes(wav(tone(1, 16_000), 16_000))
    assert fail(make_engine(server, speaker=str(short), streaming_mode=mode), None).reason == "REFERENCE_NOT_TAKEN"


@pytest.mark.parametrize(("seconds", "reason"), [(2, "TOO_SHORT"), (0, "SILENT")])
def test_a_recording_that_will_not_do_is_refused_when_the_voice_is_made(
    server: Speaker, tmp_path: Path, seconds: int, reason: str
) -> None:
    samples = PERSON[: seconds * RATE] if seconds else 0 * PERSON
    with pytest.raises(InvalidInput) as caught:
        enrolled(make_engine(server), tmp_path / "voice", samples=samples)
    assert caught.value.reason == reason


def test_a_long_recording_is_cut_to_what_the_server_takes(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server)
    speak(engine, "Good morning.", enrolled(engine, tmp_path / "voice", samples=np.tile(PERSON, 20)))
    with wave.open(server.asked[0]["ref_audio_path"]) as file:
        assert 3 < file.getnframes() / file.getframerate() < 10
    assert server.asked[0]["prompt_text"] == ""
    assert server.asked[0]["prompt_lang"] == "en"


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_later_versions_need_the_words(server: Speaker, tmp_path: Path, version: str) -> None:
    engine = make_engine(server, model=version)
    assert fail(engine, enrolled(engine, tmp_path / "voice", "")).reason == "WORDS_NEEDED"
    assert not server.asked


@pytest.mark.parametrize(
    ("language", "code"), [("zh-CN", "zh"), ("zh-HK", "yue"), ("en-GB", "en"), ("ja", "ja"), ("ko", "ko")]
)
def test_languages_are_called_as_the_server_calls_them(
    server: Speaker, tmp_path: Path, language: str, code: str
) -> None:
    engine = make_engine(server)
    speak(engine, "One.", enrolled(engine, tmp_path / "voice"), language)
    assert server.asked[0]["text_lang"] == code


@pytest.mark.parametrize(("version", "language"), [("v2", "de"), ("v1", "ko")])
def test_a_language_that_the_version_does_not_speak_is_refused(server: Speaker, version: str, language: str) -> None:
    with pytest.raises(Unsupported, match="zh, en, ja"):
        make_engine(server, model=version).check_language(language)


def test_so_is_one_that_only_the_text_tells(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server)
    assert fail(engine, enrolled(engine, tmp_path / "voice"), "Доброе утро.").reason == "LANGUAGE_NOT_SUPPORTED"


def test_weights_are_set_once_before_the_first_sentence(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server, gpt_weights="a.ckpt", sovits_weights="b.pth")
    speak(engine, "Good morning. How are you?", enrolled(engine, tmp_path / "voice"))
    asked = [(one["way"], one.get("weights_path", "")) for one in server.asked]
    assert asked == [("set_gpt_weights", "a.ckpt"), ("set_sovits_weights", "b.pth"), ("tts", ""), ("tts", "")]


def test_and_again_to_a_server_that_may_have_been_started_anew(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server, gpt_weights="a.ckpt")
    voice = enrolled(engine, tmp_path / "voice")
    server.break_after = 2
    assert fail(engine, voice).reason == "REPLY_BROKEN_OFF"
    server.break_after = None
    speak(engine, "Good morning.", voice)
    assert [one["way"] for one in server.asked] == ["set_gpt_weights", "tts"] * 2


def test_weights_that_it_cannot_load_are_named(server: Speaker, tmp_path: Path) -> None:
    server.details = "No such file or directory: 'a.ckpt'"
    engine = make_engine(server, gpt_weights="a.ckpt")
    error = fail(engine, enrolled(engine, tmp_path / "voice"))
    assert error.reason == "WEIGHTS_NOT_TAKEN"
    assert "TTS_GPTSOVITS_GPT_WEIGHTS" in error.message


def test_a_second_of_silence_is_how_it_tells_a_failure(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server, streaming_mode=0)
    voice = enrolled(engine, tmp_path / "voice")
    server.pieces = [wav(bytes(2 * 16_000), 16_000)]
    assert fail(engine, voice).reason == "NOTHING_SPOKEN"


def test_a_file_that_is_cut_short_broke_off(server: Speaker, tmp_path: Path) -> None:
    engine = make_engine(server, streaming_mode=0)
    server.pieces = [wav(tone(1, 32_000), 32_000)[:-2000]]
    assert fail(engine, enrolled(engine, tmp_path / "voice")).reason == "REPLY_BROKEN_OFF"


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        (400, '{"message": "text_lang: zh is not supported in version v1"}', "SPEAKING_NOT_TAKEN"),
        (400, '["secret"]', "SPEAKING_NOT_TAKEN"),
        (422, "secret", "SPEAKING_NOT_TAKEN"),
        (401, "", "KEY_REFUSED"),
        (500, "Internal Server Error", "PROVIDER_FAILING"),
    ],
)
def test_a_refusal_is_told_in_our_words(
    server: Speaker, tmp_path: Path, status: int, details: str, reason: str
) -> None:
    server.status, server.details = status, details
    engine = make_engine(server)
    error = fail(engine, enrolled(engine, tmp_path / "voice"))
    assert (error.reason, "secret" in error.message) == (reason, False)


def test_without_a_voice_one_is_asked_for(server: Speaker) -> None:
    error = fail(make_engine(server), None)
    assert (error.reason, error.field) == ("VOICE_NEEDED", "config.voice")


def test_a_folder_that_cannot_be_written_is_named(server: Speaker, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    engine = make_engine(server, references=shared)
    voice = enrolled(engine, tmp_path / "voice")
    shared.rmdir()
    error = fail(engine, voice)
    assert error.reason == "REFERENCE_NOT_SHARED"
    assert str(tmp_path) not in error.message


def test_who_leaves_hangs_up(server: Speaker, tmp_path: Path) -> None:
    server.stall_after = 2
    engine = make_engine(server)
    voice = enrolled(engine, tmp_path / "voice")

    async def work() -> None:
        async def listen() -> None:
            async for _ in engine.synthesize("Good morning.", language="", voice=voice, prosody=Prosody()):
                pass

        made = asyncio.create_task(listen())
        assert await asyncio.to_thread(server.stalled.wait, LONGEST_S)
        made.cancel()
        assert await asyncio.to_thread(server.gone.wait, LONGEST_S)

    asyncio.run(work())
