"""Kokoro's voices: how phones are spelled for them, what of a sentence is said when, and what a folder must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import Unavailable
from services.tts.engine import Prosody, Speech
from services.tts.engines.kokoro import Engine, Settings
from services.tts.kokoro.files import find
from services.tts.kokoro.symbols import NUMBERS, spelled
from services.tts.kokoro.voice import Voice
from tests import tiny_vits

TEXT = "Bob maps it, and then he goes."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with two voices."""
    return tiny_vits.write_kokoro(tmp_path_factory.mktemp("kokoro"))


def loaded(folder: Path, voice: str = "af_heart") -> Engine:
    engine = Engine(Settings(model=str(folder), voice=voice, threads=1))
    assert engine.lack() is None
    engine.load()
    return engine


def said(engine: Engine, text: str, rate: float = 1.0) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language="en", voice=None, prosody=Prosody(rate))
        return [piece async for piece in speech]

    return asyncio.run(collected())


@pytest.mark.parametrize(
    ("phone", "american", "british"),
    [
        ("ˈoʊ", "ˈO", "ˈɔʊ"),
        ("ˈəʊ", "ˈəʊ", "ˈQ"),
        ("aɪ", "I", "I"),
        ("ˌtʃ", "ˌʧ", "ˌʧ"),
        ("ˈɜː", "ˈɜɹ", "ˈɜː"),
        ("ɚ", "əɹ", "əɹ"),
        ("uː", "u", "uː"),
        ("eə", "eə", "ɛː"),
        ("b", "b", "b"),
    ],
)
def test_phones_are_spelled_as_its_makers_do(phone: str, american: str, british: str) -> None:
    assert (spelled(phone, is_british=False), spelled(phone, is_british=True)) == (american, british)
    assert set(american + british) <= NUMBERS.keys()


def test_the_alphabet_is_the_models() -> None:
    """Some of its `config.json`."""
    known = {
        ";": 1,
        "?": 6,
        " ": 16,
        "A": 24,
        "O": 31,
        "Q": 33,
        "a": 43,
        "z": 68,
        "ɹ": 123,
        "ʧ": 133,
        "ˈ": 156,
        "ᵻ": 177,
    }
    assert {letter: NUMBERS[letter] for letter in known} == known
    assert len(NUMBERS) == 114


def test_words_and_lips_are_told_and_rate_is_honoured(folder: Path) -> None:
    engine = loaded(folder)
    (slow,), (fast,) = said(engine, TEXT), said(engine, TEXT, 2.0)
    assert [word.text for word in slow.words] == TEXT.split()
    starts = [word.start_s for word in slow.words]
    assert starts == sorted(starts)
    assert len(slow.closures) == 3, "b; b and m, between which they stay shut; p"
    assert len(fast.samples) / len(slow.samples) == pytest.approx(0.5, abs=0.05)


def test_it_tells_what_its_voice_speaks(folder: Path) -> None:
    assert loaded(folder).info().languages == ("en-US",)
    assert loaded(folder, "bf_emma").info().languages == ("en-GB",)


@pytest.mark.parametrize(
    ("voice", "told"),
    [("zf_xiaobei", "only English"), ("af_nobody", "voices/af_nobody.bin"), ("a/../af_heart", "is missing")],
)
def test_a_voice_that_cannot_be_had_is_told(folder: Path, voice: str, told: str) -> None:
    lack = Engine(Settings(model=str(folder), voice=voice)).lack()
    assert lack
    assert told in lack.reason
    assert "TTS_KOKORO_MODEL" in lack.remedy


def test_what_is_missing_or_cut_off_is_told(tmp_path: Path) -> None:
    lack = Engine(Settings(model=str(tmp_path))).lack()
    assert lack
    assert (lack.code, lack.values["file"]) == ("VOICE_MODEL_INCOMPLETE", "kokoro*.onnx")
    tiny_vits.write_kokoro(tmp_path)
    (tmp_path / "voices" / "af_heart.bin").write_bytes(b"12")
    lack = Engine(Settings(model=str(tmp_path))).lack()
    assert lack
    assert lack.code == "VOICE_MODEL_WRONG"


def test_another_network_is_refused_when_it_loads(folder: Path, tmp_path: Path) -> None:
    tiny_vits.write_kokoro(tmp_path)
    tiny_vits.write(tmp_path / "other")
    (tmp_path / "other" / "tiny.onnx").replace(tmp_path / "kokoro-tiny.onnx")
    with pytest.raises(Unavailable) as caught:
        Engine(Settings(model=str(tmp_path))).load()
    assert caught.value.reason == "VOICE_MODEL_WRONG"


def test_more_letters_than_the_network_takes_are_drawn_one_after_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Abbreviations are long when they are said; it takes 512 symbols, edges included."""
    voice, asked, run = Voice(find(folder, "af_heart"), threads=1), [], Voice._run

    def noted(self: Voice, numbers: Sequence[int], rate: float) -> Any:
        asked.append(len(numbers))
        return run(self, numbers, rate)

    monkeypatch.setattr(Voice, "_run", noted)
    text = " ".join(["WWW"] * 59)
    spoken = voice.whole(text)
    assert len(asked) > 2
    assert max(asked) == 510
    assert [word.text for word in spoken.words] == text.split()
    starts = [word.start_s for word in spoken.words]
    assert starts == sorted(set(starts))
    assert starts[-1] < len(spoken.samples) / Engine.sample_rate
