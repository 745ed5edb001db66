"""sherpa-onnx itself speaks, in a process of its own, with tiny models in the true formats."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.engine import Capability
from services.common.errors import InvalidInput, ServiceError, Unavailable, Unsupported
from services.tts.engine import Prosody, Speech
from services.tts.engines.sherpa import Engine, Settings
from services.tts.sherpa import process
from services.tts.sherpa.files import Kind, WrongModel, find
from tests import tiny_voices
from tests.speakers import hertz, sounding, tone

RATE = 24_000
PERSON = np.frombuffer(tone(4, RATE), "<i2").astype(np.float32) / 2**15
MAKERS: dict[Kind, tuple[Callable[[Path], Path], int]] = {
    Kind.VITS: (tiny_voices.vits, 16_000),
    Kind.MATCHA: (tiny_voices.matcha, 22_050),
    Kind.KOKORO: (tiny_voices.kokoro, 24_000),
    Kind.ZIPVOICE: (tiny_voices.zipvoice, 24_000),
}


@pytest.fixture
def made() -> Iterator[Callable[..., Engine]]:
    """Loads a model; what was loaded is let go of at the end."""
    engines: list[Engine] = []

    def make(folder: Path, **changes: Any) -> Engine:
        engine = Engine(Settings(model=str(folder), **changes))
        assert engine.lack() is None
        engine.load()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def enrolled(engine: Engine, folder: Path, words: str = "hello there", samples: np.ndarray = PERSON) -> Path:
    folder.mkdir()
    engine.enrol(samples, RATE, words, folder)
    return folder


def speak(engine: Engine, text: str, voice: Path | None = None, rate: float = 1.0) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language="en", voice=voice, prosody=Prosody(rate=rate))
        return [piece async for piece in speech]

    return asyncio.run(collected())


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_is_known_by_its_files_and_speaks(made: Callable[..., Engine], tmp_path: Path, kind: Kind) -> None:
    make, rate = MAKERS[kind]
    (tmp_path / "model").mkdir()
    engine = made(make(tmp_path / "model"))
    clones = kind is Kind.ZIPVOICE
    assert (Capability.CLONING in engine.info().capabilities) is clones
    voice = enrolled(engine, tmp_path / "voice") if clones else None
    pieces = speak(engine, "Good morning. How are you?", voice)
    assert [piece.sentence for piece in pieces] == ["Good morning.", "How are you?"]
    assert {piece.sample_rate for piece in pieces} == {rate} == {engine.sample_rate}
    expected = tiny_voices.HERTZ * (rate / 24_000 if kind is Kind.MATCHA else 1)  # its vocoder knows no rate
    heard = sounding(pieces[0].samples)
    assert len(pieces[0].samples) > len(heard) + 0.25 * rate, "it pauses after a sentence"
    assert hertz(heard, rate) == pytest.approx(expected, rel=0.03)
    faster = speak(engine, "Good morning.", voice, rate=2.0)
    assert len(sounding(faster[0].samples)) == pytest.approx(len(heard) / 2, rel=0.1)


def test_a_voice_is_chosen_by_its_number(made: Callable[..., Engine], tmp_path: Path) -> None:
    folder = tiny_voices.vits(tmp_path, speakers=2)
    loudest = [np.abs(speak(made(folder, speaker=number), "hello.")[0].samples).max() for number in (0, 1)]
    assert loudest == pytest.approx([0.5, 0.25], rel=0.01)


def test_a_clone_needs_a_voice_and_its_words(made: Callable[..., Engine], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    engine = made(tiny_voices.zipvoice(tmp_path / "model"))
    for voice, reason in ((None, "VOICE_NEEDED"), (enrolled(engine, tmp_path / "voice", ""), "WORDS_NEEDED")):
        with pytest.raises(InvalidInput) as caught:
            speak(engine, "Good morning.", voice)
        assert (caught.value.reason, caught.value.field) == (reason, "config.voice")


def test_a_long_recording_is_cut_and_so_loses_its_words(made: Callable[..., Engine], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    engine = made(tiny_voices.zipvoice(tmp_path / "model"))
    voice = enrolled(engine, tmp_path / "voice", samples=np.tile(PERSON, 4))
    with pytest.raises(InvalidInput, match="at most ten seconds"):
        speak(engine, "Good morning.", voice)


def test_words_that_the_model_does_not_know_are_no_silence(
    made: Callable[..., Engine], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unsupported) as caught:
        speak(made(tiny_voices.vits(tmp_path)), "秘密。")
    assert caught.value.reason == "WORDS_UNKNOWN"
    told = "".join(capfd.readouterr())
    assert "秘密" not in told + caught.value.message


def test_nothing_to_say_is_said(made: Callable[..., Engine], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        speak(made(tiny_voices.vits(tmp_path)), "…")
    assert caught.value.reason == "NOTHING_TO_SAY"


def test_languages_are_those_of_the_kind_or_of_the_settings(tmp_path: Path) -> None:
    folder = tiny_voices.kokoro(tmp_path)
    known = [Engine(Settings(model=str(folder), languages=told)).info().languages for told in ((), ("fr",))]
    assert known == [("en", "zh"), ("fr",)]
    with pytest.raises(Unsupported, match="en, zh"):
        Engine(Settings(model=str(folder))).check_language("de")
    Engine(Settings(model=str(folder))).check_language("en-GB")


@pytest.mark.parametrize(
    ("kind", "file", "code"),
    [
        (Kind.ZIPVOICE, "encoder.int8.onnx", "MODEL_FILE_MISSING"),
        (Kind.ZIPVOICE, "vocos_24khz.onnx", "MODEL_FILE_MISSING"),
        (Kind.KOKORO, "lexicon.txt", "MODEL_FILE_MISSING"),
        (Kind.MATCHA, "tokens.txt", "MODEL_FILE_MISSING"),
        (Kind.VITS, "model.onnx", "MODEL_KIND_UNKNOWN"),
    ],
)
def test_what_is_missing_in_a_folder_is_named(tmp_path: Path, kind: Kind, file: str, code: str) -> None:
    folder = MAKERS[kind][0](tmp_path)
    assert find(folder).kind is kind
    (folder / file).unlink()
    with pytest.raises(WrongModel) as caught:
        find(folder)
    assert caught.value.lack.code == code
    assert "TTS_SHERPA_MODEL" in caught.value.lack.remedy
    assert Engine(Settings(model=str(folder))).lack() == caught.value.lack


def test_no_folder_is_told_too(tmp_path: Path) -> None:
    lacks = [Engine(Settings(model=model)).lack() for model in ("", str(tmp_path / "gone"))]
    assert [lack and lack.code for lack in lacks] == ["MODEL_FOLDER_UNNAMED", "MODEL_KIND_UNKNOWN"]


@pytest.mark.parametrize("damage", ["no model", "no metadata"])
def test_a_model_over_which_the_library_ends_its_process_is_named(tmp_path: Path, damage: str) -> None:
    folder = tiny_voices.vits(tmp_path)
    if damage == "no model":
        (folder / "model.onnx").write_bytes(b"nothing")
    else:
        model = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(model.replace(b"sample_rate", b"sample_late"))
    engine = Engine(Settings(model=str(folder)))
    with pytest.raises(Unavailable) as caught:
        engine.load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"
    assert str(tmp_path) not in caught.value.message


def test_a_process_that_dies_is_started_anew(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(tiny_voices.vits(tmp_path))
    child = engine._process._process  # type: ignore[union-attr]
    assert child
    child.kill()
    child.wait()
    with pytest.raises(ServiceError) as caught:
        speak(engine, "hello.")
    assert caught.value.reason == "PART_CRASHED"
    assert speak(engine, "hello.")


def test_one_that_hangs_is_ended(made: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = made(tiny_voices.vits(tmp_path))
    child = engine._process._process  # type: ignore[union-attr]
    assert child
    child.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(process, "LONGEST_S", 0.2)
    with pytest.raises(ServiceError) as caught:
        speak(engine, "hello.")
    assert caught.value.reason == "PART_CRASHED"
    assert child.returncode == -signal.SIGKILL


def test_who_leaves_before_the_turn_takes_none(
    made: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made(tiny_voices.vits(tmp_path))
    speaking = engine._process
    assert speaking
    speak_, waiting, told, left = speaking.speak, threading.Event(), [], []

    def waits(gone: threading.Event, **asked: Any) -> np.ndarray:
        left.append(gone)
        waiting.set()
        return speak_(gone, **asked)

    monkeypatch.setattr(speaking, "speak", waits)
    monkeypatch.setattr(speaking, "_told", lambda *asked: told.append(asked))

    async def work() -> None:
        async def listen() -> None:
            async for _ in engine.synthesize("hello.", language="en", voice=None, prosody=Prosody()):
                pass

        with speaking._turns:  # somebody else's
            listener = asyncio.create_task(listen())
            assert await asyncio.to_thread(waiting.wait, 60)
            listener.cancel()
            assert await asyncio.to_thread(left[0].wait, 60)
        with pytest.raises(asyncio.CancelledError):
            await listener

    asyncio.run(work())
    assert told == []


def test_its_process_ends_with_it(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(tiny_voices.vits(tmp_path))
    child = engine._process._process  # type: ignore[union-attr]
    assert child
    assert child.stdin
    child.stdin.close()  # as when this process is gone
    assert child.wait(60) == 0
