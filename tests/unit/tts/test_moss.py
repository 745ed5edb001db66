"""MOSS-TTS-Nano speaks, with tiny networks in its true format."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import InvalidInput, ServiceError, Unavailable, Unsupported
from services.tts.engine import Prosody, Speech
from services.tts.engines.moss import Engine, Settings
from tests import tiny_moss
from tests.tiny_moss import CODEC, RATE, SPEAKING

PERSON = (0.3 * np.sin(np.arange(4 * RATE) * 2 * np.pi * 150 / RATE)).astype(np.float32)
TEXT = "Hello there. Good morning!"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_moss.write(tmp_path_factory.mktemp("moss") / "model")


def made(folder: Path, **changes: Any) -> Engine:
    engine = Engine(Settings(model=str(folder), threads=1, **changes))
    assert engine.lack() is None
    engine.load()
    return engine


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


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sentence by the same chances."""
    make = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda *_: make(7))


@pytest.mark.usefixtures("alike")
@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [(TEXT, "en", ["Hello there.", "Good morning!"]), ("你好。早上好。", "", ["你好。", "早上好。"])],
)
def test_it_speaks_in_a_voice_piece_by_piece(
    folder: Path, tmp_path: Path, text: str, language: str, expected: list[str]
) -> None:
    engine = made(folder)
    pieces = speak(engine, enrolled(engine, tmp_path / "voice"), text, language)
    assert [piece.sentence for piece in pieces if piece.is_first] == expected
    assert {piece.sample_rate for piece in pieces} == {RATE}
    for index in (0, 1):
        said = [piece.samples for piece in pieces if piece.sentence_index == index]
        assert len(said) > 3, "it comes in pieces"
        whole = np.concatenate(said)
        assert whole.dtype == np.float32
        assert 0.05 < np.abs(whole).max() <= 1
        assert not whole[-int(0.25 * RATE) :].any(), "it ends with a pause"
        assert abs(whole[0]) < 0.01


@pytest.mark.usefixtures("alike")
def test_what_is_said_depends_on_the_voice_and_the_words(folder: Path, tmp_path: Path) -> None:
    engine = made(folder)
    voices = [enrolled(engine, tmp_path / str(loud), PERSON * loud) for loud in (1, 3)]
    said = [speak(engine, voice, text) for voice in (*voices, None) for text in ("Hello.", "Good morning.")]
    wholes = [np.concatenate([piece.samples for piece in pieces]).tobytes() for pieces in said]
    assert len(set(wholes)) == len(wholes)


def test_hanging_up_ends_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = made(folder)
    assert engine._model
    frame, drawn, closed = engine._model._frame, [], threading.Event()
    frames = engine._model._frames

    def counted(*arguments: Any) -> Any:
        drawn.append(1)
        return frame(*arguments)

    def watched(*arguments: Any) -> Any:
        try:
            yield from frames(*arguments)
        finally:
            closed.set()

    monkeypatch.setattr(engine._model, "_frame", counted)
    monkeypatch.setattr(engine._model, "_frames", watched)

    async def leaves() -> None:
        async with aclosing(speech(engine, None)) as pieces:
            await anext(pieces)

    asyncio.run(leaves())
    assert closed.wait(60)
    assert len(drawn) <= 3, "no frame more than was waited for"


def test_callers_do_not_disturb_each_other(folder: Path) -> None:
    engine = made(folder)

    async def work() -> list[int]:
        async def one() -> int:
            return sum([piece.is_first async for piece in speech(engine, None)])

        return await asyncio.wait_for(asyncio.gather(one(), one(), one()), 60)

    assert asyncio.run(work()) == [2, 2, 2]


def test_a_sentence_without_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        speak(made(tiny_moss.write(tmp_path / "model", distinct=99)), None)
    assert caught.value.reason == "SPEAKING_FAILED"


def test_silence_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        speak(made(tiny_moss.write(tmp_path / "model", level=0)), None)
    assert caught.value.reason == "SPEAKING_FAILED"


def test_voices_of_the_model(folder: Path) -> None:
    assert speak(made(folder, speaker="Bob"), None)
    with pytest.raises(InvalidInput) as caught:
        speak(made(folder, speaker="Eve"), None)
    assert (caught.value.reason, caught.value.field) == ("VOICE_NEEDED", "config.voice")


def test_a_voice_that_is_deleted_is_noticed(folder: Path, tmp_path: Path) -> None:
    engine = made(folder)
    voice = enrolled(engine, tmp_path / "voice")
    shutil.rmtree(voice)
    with pytest.raises(FileNotFoundError):
        speak(engine, voice)


@pytest.mark.parametrize(
    "file",
    [
        f"{SPEAKING}/browser_poc_manifest.json", f"{SPEAKING}/tts_browser_onnx_meta.json", f"{SPEAKING}/prefill.onnx",
        f"{SPEAKING}/step.onnx", f"{SPEAKING}/frame.onnx", f"{SPEAKING}/tokenizer.model",
        f"{CODEC}/codec_browser_onnx_meta.json", f"{CODEC}/encode.onnx", f"{CODEC}/decode.onnx",
    ],
)  # fmt: skip
def test_a_file_that_is_missing_or_wrong_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    name = Path(file).name
    (model / file).write_bytes(b"no such thing")
    engine = Engine(Settings(model=str(model)))
    with pytest.raises(Unavailable) as caught:
        engine.load()
    assert (caught.value.reason, caught.value.values["file"]) == ("MODEL_FILE_UNREADABLE", name)
    (model / file).unlink()
    lack = engine.lack()
    assert lack
    assert (lack.code, lack.values["file"]) == ("MODEL_FILE_MISSING", name)


def test_a_description_of_something_else_is_told(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    (model / SPEAKING / "browser_poc_manifest.json").write_text(json.dumps({"model_files": []}))
    lack = Engine(Settings(model=str(model))).lack()
    assert lack
    assert lack.code == "MODEL_FILE_UNREADABLE"


@pytest.mark.parametrize("part", ["tts_config", "generation_defaults", "prompt_templates"])
def test_a_description_that_lacks_a_part_is_told(folder: Path, tmp_path: Path, part: str) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    path = model / SPEAKING / "browser_poc_manifest.json"
    path.write_text(json.dumps({name: each for name, each in json.loads(path.read_text()).items() if name != part}))
    with pytest.raises(Unavailable) as caught:
        Engine(Settings(model=str(model))).load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"


def test_networks_that_do_not_belong_together_are_told(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    shutil.copy(model / SPEAKING / "prefill.onnx", model / SPEAKING / "frame.onnx")
    with pytest.raises(Unavailable) as caught:
        Engine(Settings(model=str(model))).load()
    assert caught.value.reason == "MODEL_FILE_UNREADABLE"


@pytest.mark.parametrize(
    ("samples", "reason"), [(np.zeros(9 * RATE, np.float32), "SILENT"), (PERSON[: 2 * RATE], "TOO_SHORT")]
)
def test_recordings_that_will_not_do(folder: Path, tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        enrolled(made(folder), tmp_path / "voice", samples)
    assert (caught.value.reason, caught.value.field) == (reason, "audio")


@pytest.mark.parametrize("text", ["", " \n", "?!"])
def test_nothing_to_say(folder: Path, text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        speak(made(folder), None, text)
    assert caught.value.reason == "NOTHING_TO_SAY"


def test_a_language_that_it_does_not_speak(folder: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        speech(made(folder), None, language="hi")
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"


def test_no_folder_is_told_with_the_setting() -> None:
    lack = Engine(Settings()).lack()
    assert lack
    assert (lack.code, lack.values) == ("MODEL_FOLDER_UNNAMED", {"setting": "TTS_MOSS_MODEL"})
