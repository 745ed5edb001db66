"""A person's voice in its language and espeak-ng's in others, as one engine, in the same registered voices."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import InvalidInput, Unsupported
from services.tts import cloning, world
from services.tts.engine import Speech
from services.tts.engines import espeak
from services.tts.engines.natural import Engine, Settings
from services.tts.own_voice import AS_IT_IS, Shape
from tests import tiny_vits

RATE = Engine.sample_rate
ENGLISH, GERMAN, CHINESE = "Bob maps it.", "Guten Tag, wie geht es dir?", "今天天气很好。"
AS_RECORDED, AS_A_WOMAN = Settings(semitones=0, resonances=1), Settings(semitones=12, resonances=1.16)

Speak = Callable[..., list[Speech]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice of Piper's; it hums its tone, whatever it says."""
    return tiny_vits.write(tmp_path_factory.mktemp("piper"))


def loaded(folder: Path, settings: Settings = AS_RECORDED) -> Engine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTS_PIPER_VOICE", str(folder))
        patch.setenv("TTS_PIPER_THREADS", "1")
        engine = Engine(settings)
    assert engine.lack() is None
    engine.load()
    return engine


@pytest.fixture(scope="module")
def natural(folder: Path) -> Engine:
    """The engine, its voice as it is."""
    return loaded(folder)


@pytest.fixture(scope="module")
def person(natural: Engine, reference: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody, learnt."""
    voice = tmp_path_factory.mktemp("person")
    natural.enrol(reference, RATE, "", voice)
    return voice


def sound(pieces: list[Speech]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


def hums(samples: np.ndarray) -> bool:
    """Whether Piper's tiny voice says it: one tone with its overtones."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(power[np.abs(hertz - tiny_vits.TONES_HZ[0]) < 8].sum() / power.sum()) > 0.3


def brightness_hz(samples: np.ndarray) -> float:
    """Where the middle of its power lies."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / RATE)).sum() / power.sum())


@pytest.mark.parametrize(("voice", "language", "is_its_own"), [("cmn", "zh-HK", False), ("cmn", "zh-TW", True)])
def test_cantonese_is_not_read_by_who_speaks_mandarin(
    speak: Speak, tmp_path: Path, voice: str, language: str, is_its_own: bool
) -> None:
    chinese = loaded(tiny_vits.write(tmp_path, espeak={"voice": voice}))
    assert hums(sound(speak(chinese, CHINESE, None, language))) is is_its_own


@pytest.mark.parametrize(
    ("text", "language", "is_its_own"),
    [
        (ENGLISH, "en-US", True),
        (ENGLISH, "en-GB", True),
        (ENGLISH, "", True),
        (GERMAN, "de", False),
        (CHINESE, "zh", False),
        (CHINESE, "", False),
        ("Bob says 你好 to all of us.", "en", False),
        (ENGLISH, "de", False),
    ],
)
def test_each_language_is_spoken_by_the_voice_that_knows_it(
    natural: Engine, speak: Speak, text: str, language: str, is_its_own: bool
) -> None:
    assert hums(sound(speak(natural, text, None, language))) is is_its_own


def test_languages_change_from_sentence_to_sentence(natural: Engine, speak: Speak) -> None:
    pieces = speak(natural, f"{ENGLISH} {CHINESE}{ENGLISH}", None, "")
    sentences = [list(group) for _, group in groupby(pieces, lambda piece: piece.sentence_index)]
    assert [hums(sound(sentence)) for sentence in sentences] == [True, False, True]
    assert [[piece.is_first for piece in sentence].index(True) for sentence in sentences] == [0, 0, 0]
    assert ["".join(word.text for piece in sentence for word in piece.words) for sentence in sentences] == [
        "Bobmapsit.", "今天天气很好", "Bobmapsit.",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (GERMAN, "de")])
def test_a_registered_voice_is_heard_in_every_language(
    natural: Engine, speak: Speak, person: Path, reference: np.ndarray, text: str, language: str
) -> None:
    wanted = np.exp(cloning.describe(world.analyse(reference)).pitch_mean)
    f0 = world.pitch(sound(speak(natural, text, person, language)))
    assert np.median(f0[f0 > 0]) == pytest.approx(wanted, rel=0.15)


def test_a_registered_voice_is_the_same_however_the_own_one_sounds(
    natural: Engine, folder: Path, speak: Speak, person: Path
) -> None:
    shaped = loaded(folder, AS_A_WOMAN)
    assert shaped.enrolment == natural.enrolment
    assert np.array_equal(sound(speak(shaped, ENGLISH, person)), sound(speak(natural, ENGLISH, person)))


def test_its_own_voice_is_a_womans_unless_it_is_told_otherwise(folder: Path, natural: Engine, speak: Speak) -> None:
    shaped = loaded(folder, AS_A_WOMAN)
    told, as_recorded = (speak(one, ENGLISH, None) for one in (shaped, natural))
    assert hums(sound(as_recorded))
    assert not hums(sound(told))
    higher = speak(loaded(folder, Settings(semitones=0)), ENGLISH, None)
    assert hums(sound(speak(loaded(folder, Settings()), ENGLISH, None))), "this one is nobody's whom it would make one"
    assert hums(sound(higher))
    assert brightness_hz(sound(higher)) > 1.05 * brightness_hz(sound(as_recorded)), "its resonances, not its pitch"
    assert len(sound(told)) == pytest.approx(len(sound(as_recorded)), rel=0.02)


def test_it_learns_anew_for_another_voice(
    natural: Engine, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = loaded(tiny_vits.write(tmp_path, speakers=2))
    assert other.enrolment != natural.enrolment
    monkeypatch.setattr(espeak.Engine, "enrolment", "another")
    assert loaded(folder).enrolment != natural.enrolment


def test_it_speaks_all_that_espeak_does_and_no_more(natural: Engine, speak: Speak) -> None:
    assert natural.info().languages == espeak.Engine(espeak.Settings()).info().languages
    natural.check_language("en-GB")
    for ask in (lambda: natural.check_language("tlh"), lambda: speak(natural, ENGLISH, None, "tlh")):
        with pytest.raises(Unsupported) as caught:
            ask()
        assert (caught.value.reason, caught.value.field) == ("LANGUAGE_NOT_SUPPORTED", "language")


def test_nothing_to_say(natural: Engine, speak: Speak) -> None:
    with pytest.raises(InvalidInput) as caught:
        speak(natural, "... ?!", None)
    assert caught.value.reason == "NOTHING_TO_SAY"


def test_joe_is_made_a_woman(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert Engine(Settings())._person._shape == Shape(12, 1.16)
    assert Engine(AS_RECORDED)._person._shape == AS_IT_IS
    monkeypatch.setenv("TTS_PIPER_VOICE", str(folder))
    assert Engine(Settings())._person._shape == AS_IT_IS


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Engine(Settings()).models() == ("piper-en-us-joe",)
    monkeypatch.setenv("TTS_PIPER_VOICE", str(tmp_path))
    lack = Engine(Settings()).lack()
    assert lack and lack.code == "VOICE_MODEL_INCOMPLETE"
    assert "TTS_PIPER_VOICE" in lack.remedy
