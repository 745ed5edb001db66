"""pocket-tts itself speaks, with a tiny model in its true format."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.engine import Capability
from services.common.errors import InvalidInput, ServiceError, Unavailable, Unsupported
from services.tts.engine import Prosody, Speech
from services.tts.engines.pocket import Engine, Settings
from tests import tiny_pocket

RATE = 24_000
PERSON = (0.3 * np.sin(np.arange(4 * RATE) * 2 * np.pi * 150 / RATE)).astype(np.float32)
TEXT = "Hello there. Good morning!"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pocket.write(tmp_path_factory.mktemp("pocket") / "model")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Engine]]:
    """Loads a model; what was loaded is let go of at the end. Nothing may be downloaded."""

    def downloaded(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    for name in ("hf_hub_download", "requests.get"):
        monkeypatch.setattr(f"pocket_tts.utils.utils.{name}", downloaded)
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


def enrolled(engine: Engine, folder: Path, samples: np.ndarray = PERSON) -> Path:
    folder.mkdir(exist_ok=True)
    engine.enrol(samples, RATE, "", folder)
    return folder


def speech(engine: Engine, voice: Path | None, text: str = TEXT, language: str = "en") -> AsyncGenerator[Speech, None]:
    return engine.synthesize(text, language=language, voice=voice, prosody=Prosody())


def speak(engine: Engine, voice: Path | None, text: str = TEXT, language: str = "en") -> list[Speech]:
    async def collected() -> list[Speech]:
        return [piece async for piece in speech(engine, voice, text, language)]

    return asyncio.run(collected())


def test_it_speaks_in_a_voice_piece_by_piece(
    made: Callable[..., Engine], folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = made(folder)
    pieces = speak(engine, enrolled(engine, tmp_path / "voice"))
    assert [piece.sentence for piece in pieces if piece.is_first] == ["Hello there.", "Good morning!"]
    assert [piece.sentence_index for piece in pieces] == sorted(piece.sentence_index for piece in pieces)
    assert {piece.sample_rate for piece in pieces} == {RATE}
    for index in (0, 1):
        said = np.concatenate([piece.samples for piece in pieces if piece.sentence_index == index])
        assert said.dtype == np.float32
        assert 0.05 < np.abs(said).max() <= 1
        assert len(said) / RATE > 6 * tiny_pocket.FRAME_S
        assert not said[-int(0.25 * RATE) :].any(), "it ends with a pause"
        assert abs(said[0]) < 0.01
    assert "hello" not in caplog.text.lower()


def test_a_piece_is_given_before_the_sentence_is_drawn(
    made: Callable[..., Engine], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made(folder)
    voice, heard = enrolled(engine, tmp_path / "voice"), asyncio.Event()

    async def work() -> list[Speech]:
        loop, model = asyncio.get_running_loop(), engine._model._model
        whole = model.generate_audio_stream

        def slow(*arguments: Any, **options: Any) -> Iterator[Any]:
            first, *rest = whole(*arguments, **options)
            yield first
            asyncio.run_coroutine_threadsafe(heard.wait(), loop).result(60)
            yield from rest

        monkeypatch.setattr(model, "generate_audio_stream", slow)
        pieces = []
        async for piece in speech(engine, voice, "Hello there."):
            pieces.append(piece)
            heard.set()
        return pieces

    assert len(asyncio.run(work())) > 2


def test_callers_take_turns_and_one_who_leaves_holds_up_nobody(
    made: Callable[..., Engine], folder: Path, tmp_path: Path
) -> None:
    engine = made(folder)
    voice = enrolled(engine, tmp_path / "voice")

    async def leaves() -> None:
        async with aclosing(speech(engine, voice)) as pieces:
            await anext(pieces)

    async def stays() -> int:
        return sum([piece.is_first async for piece in speech(engine, voice)])

    async def work() -> list[int]:
        _, *counts = await asyncio.wait_for(asyncio.gather(leaves(), stays(), stays()), 60)
        return counts

    assert asyncio.run(work()) == [2, 2]


def test_without_a_voice_it_takes_one_of_the_models_own(
    made: Callable[..., Engine], folder: Path, tmp_path: Path
) -> None:
    engine = made(folder)
    with pytest.raises(InvalidInput) as caught:
        speak(engine, None)
    assert (caught.value.reason, caught.value.field) == ("VOICE_NEEDED", "config.voice")
    model = shutil.copytree(folder, tmp_path / "model")
    voice = enrolled(engine, tmp_path / "voice")
    (model / "embeddings").mkdir()
    shutil.copy(voice / "state.safetensors", model / "embeddings" / "ada.safetensors")
    for changes in ({}, {"speaker": "ada"}):
        assert len(speak(made(model, **changes), None)) > 2
    lack = Engine(Settings(model=str(model), speaker="bob")).lack()
    assert lack
    assert (lack.code, lack.values["file"]) == ("MODEL_FILE_MISSING", "embeddings/bob.safetensors")


def test_weights_that_hear_no_voice_do_not_pretend_to(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(tiny_pocket.write(tmp_path / "model", clones=False))
    assert Capability.CLONING not in engine.info().capabilities
    with pytest.raises(Unsupported) as caught:
        enrolled(engine, tmp_path / "voice")
    assert caught.value.reason == "NO_CLONING"


def test_a_voice_that_is_deleted_or_made_anew_is_noticed(
    made: Callable[..., Engine], folder: Path, tmp_path: Path
) -> None:
    engine = made(folder)
    voice = enrolled(engine, tmp_path / "voice")
    assert speak(engine, voice)
    shutil.rmtree(voice)
    with pytest.raises(FileNotFoundError):
        speak(engine, voice)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_is_missing_or_wrong_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    (model / file).write_bytes(b"no such thing")
    engine = Engine(Settings(model=str(model)))
    assert engine.lack() is None, "only names are read before"
    with pytest.raises(Unavailable) as caught:
        engine.load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"
    assert file in caught.value.message
    (model / file).unlink()
    lack = engine.lack()
    assert lack
    assert (lack.code, lack.values["file"]) == ("MODEL_FILE_MISSING", file)


def test_weights_of_another_configuration_are_told(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    (model / "config.yaml").unlink()
    with pytest.raises(Unavailable) as caught:
        Engine(Settings(model=str(model), config="english_2m_2026-10")).load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"


@pytest.mark.parametrize(
    ("config", "expected"), [("english", ("en",)), ("german_24l", ("de",)), ("english_2m_2026-10", ("en",)), ("x", ())]
)
def test_the_configuration_tells_the_language(tmp_path: Path, config: str, expected: tuple[str, ...]) -> None:
    engine = Engine(Settings(model=str(tmp_path), config=config))
    assert engine.info().languages == expected
    if expected:
        engine.check_language(f"{expected[0]}-XX")
        with pytest.raises(Unsupported) as caught:
            engine.check_language("zh")
        assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("samples", "reason"), [(np.zeros(9 * RATE, np.float32), "SILENT"), (PERSON[: 2 * RATE], "TOO_SHORT")]
)
def test_recordings_that_will_not_do(
    made: Callable[..., Engine], folder: Path, tmp_path: Path, samples: np.ndarray, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        enrolled(made(folder), tmp_path / "voice", samples)
    assert (caught.value.reason, caught.value.field) == (reason, "audio")


@pytest.mark.parametrize("text", ["", " \n", "?!"])
def test_nothing_to_say(made: Callable[..., Engine], folder: Path, tmp_path: Path, text: str) -> None:
    engine = made(folder)
    with pytest.raises(ServiceError) as caught:
        speak(engine, enrolled(engine, tmp_path / "voice"), text)
    assert caught.value.reason == "NOTHING_TO_SAY"


def test_no_folder_is_told_with_the_setting() -> None:
    lack = Engine(Settings()).lack()
    assert lack
    assert (lack.code, lack.values) == ("MODEL_FOLDER_UNNAMED", {"setting": "TTS_POCKET_MODEL"})
