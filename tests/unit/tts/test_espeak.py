"""The embedded voice: what it says, in whose voice, how fast and how high."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import InvalidInput, Unsupported
from services.tts import cloning, espeak_ng, world
from services.tts.engine import Prosody
from services.tts.engines.espeak import Engine
from services.tts.loudness import TARGET_RMS, levelled

RATE = world.SAMPLE_RATE
TEXT = "We will meet again on Thursday afternoon to talk about the new plan for the school."


def said(engine: Engine, speak, text: str, voice: Path | None, **options: object) -> np.ndarray:
    return np.concatenate([piece.samples for piece in speak(engine, text, voice, **options)])


def pitch_hz(samples: np.ndarray) -> float:
    return float(np.exp(cloning.describe(world.analyse(samples)).pitch_mean))


def speech_db(samples: np.ndarray) -> float:
    """The level of what is said, pauses left out. Over windows: a single plosive may stand 22 dB above it."""
    power = (samples[: len(samples) // 480 * 480].reshape(-1, 480) ** 2).mean(1)
    return float(10 * np.log10(power[power > power.max() / 1000].mean()))


def sound_s(samples: np.ndarray) -> float:
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    return (loud[-1] - loud[0]) / RATE


def test_pitch_is_the_persons(engine: Engine, speak, voice: Path, reference: np.ndarray) -> None:
    assert pitch_hz(said(engine, speak, TEXT, voice)) == pytest.approx(pitch_hz(reference), rel=0.05)


def test_spectrum_is_nearer_to_the_person(engine: Engine, speak, voice: Path, reference: np.ndarray) -> None:
    def spectrum(samples: np.ndarray) -> np.ndarray:
        frames = world.analyse(samples)
        return frames.cepstra[frames.active, 1:].mean(0)

    wanted = spectrum(reference)
    far = np.linalg.norm(spectrum(said(engine, speak, TEXT, None)) - wanted)
    assert np.linalg.norm(spectrum(said(engine, speak, TEXT, voice)) - wanted) < 0.5 * far


@pytest.mark.parametrize("cloned", [True, False])
def test_four_semitones_up(engine: Engine, speak, voice: Path, cloned: bool) -> None:
    who = voice if cloned else None
    low = pitch_hz(said(engine, speak, TEXT, who))
    high = pitch_hz(said(engine, speak, TEXT, who, prosody=Prosody(pitch_semitones=4)))
    assert 12 * np.log2(high / low) == pytest.approx(4, abs=0.8)


@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_rate_changes_the_length_and_not_the_pitch(engine: Engine, speak, voice: Path, rate: float) -> None:
    normal = said(engine, speak, TEXT, voice)
    changed = said(engine, speak, TEXT, voice, prosody=Prosody(rate=rate))
    assert sound_s(normal) / sound_s(changed) == pytest.approx(rate, rel=0.03)
    assert pitch_hz(changed) == pytest.approx(pitch_hz(normal), rel=0.04)


def test_mandarin_with_latin_words_and_digits(engine: Engine, speak, voice: Path) -> None:
    words = {
        text: said(engine, speak, text, voice, language="zh") for text in ("你好。", "你好 Visavis。", "你好2024。")
    }
    lengths = [sound_s(samples) for samples in words.values()]
    assert lengths[0] > 0.3
    assert lengths[1] > lengths[0] + 0.3
    assert lengths[2] > lengths[0] + 0.6


def test_languages_differ(engine: Engine, speak) -> None:
    lengths = {language: len(said(engine, speak, "2024", None, language=language)) for language in ("en", "zh", "de")}
    assert len(set(lengths.values())) == 3


def test_chinese_in_an_english_voice_is_read_and_not_spelled(engine: Engine, speak) -> None:
    assert sound_s(said(engine, speak, "你好", None, language="en-US")) < 1.2


def test_knows_its_languages(engine: Engine) -> None:
    assert {"en-US", "zh", "de", "fr", "ja", "pt-BR", "fa-Latn"} <= set(engine.info().languages)
    for language in (*engine.info().languages, "zh-Hant-TW", "fr-CA", ""):
        engine.check_language(language)


def test_every_listed_language_has_a_voice_that_espeak_can_load() -> None:
    for voice in set(espeak_ng.voices().values()):
        espeak_ng.speak("a", voice)


def test_unknown_language(engine: Engine, speak) -> None:
    with pytest.raises(Unsupported) as caught:
        speak(engine, "Hello", None, "tlh")
    assert (caught.value.reason, caught.value.field) == ("LANGUAGE_NOT_SUPPORTED", "language")


@pytest.mark.parametrize("text", ["", " \n ", "... ?!", "😀"])
def test_nothing_to_say(engine: Engine, speak, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        speak(engine, text, None)
    assert (caught.value.reason, caught.value.field) == ("NOTHING_TO_SAY", "text")


def test_first_sentence_comes_before_the_second_is_spoken(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = []
    original = espeak_ng.speak

    def noted(text: str, *options: object) -> espeak_ng.Utterance:
        spoken.append(text)
        return original(text, *options)

    monkeypatch.setattr(espeak_ng, "speak", noted)

    async def first() -> str:
        speech = engine.synthesize("One. Two. Three.", language="en", voice=None, prosody=Prosody())
        piece = await anext(speech)
        await speech.aclose()
        return piece.sentence

    assert asyncio.run(first()) == "One."
    assert spoken == ["One."]


def test_many_callers_at_once_hear_what_one_hears(engine: Engine, speak, voice: Path) -> None:
    calls = [("Good morning to you.", "en"), ("早上好，很高兴认识你。", "zh"), ("Guten Morgen zusammen.", "de")] * 3
    alone = [said(engine, speak, text, voice, language=language) for text, language in calls[:3]]
    with ThreadPoolExecutor(9) as pool:
        together = list(pool.map(lambda call: said(engine, speak, call[0], voice, language=call[1]), calls))
    for index, samples in enumerate(together):
        expected = alone[index % 3]
        assert len(samples) == pytest.approx(len(expected), rel=0.03)
        size = min(len(samples), len(expected)) // 240 * 240
        levels = [np.abs(each[:size]).reshape(-1, 240).mean(1) for each in (samples, expected)]
        assert np.corrcoef(*levels)[0, 1] > 0.75  # espeak never says a sentence twice alike: 0.87 to 0.98


def test_level_edges_and_pauses(engine: Engine, speak, whole, voice: Path) -> None:
    pieces = speak(engine, "Short one. This is a rather longer sentence, isn't it? Yes, it is!", voice)
    assert len(whole(pieces)) == 3
    for piece in whole(pieces):
        assert piece.samples.dtype == np.float32
        assert np.abs(piece.samples).max() < 1
        assert speech_db(piece.samples) == pytest.approx(20 * np.log10(TARGET_RMS), abs=5)
        assert piece.samples[0] == 0
        assert not piece.samples[-int(0.25 * RATE) :].any()


def test_words_follow_the_voice(engine: Engine, speak, whole, voice: Path) -> None:
    for rate in (1.0, 2.0):
        (piece,) = whole(speak(engine, "Hello there, I’m “fine”, naïve café!", voice, prosody=Prosody(rate=rate)))
        assert [word.text for word in piece.words] == ["Hello", "there,", "I’m", "“fine”,", "naïve", "café!"]
        starts = [word.start_s for word in piece.words]
        assert starts == sorted(starts)
        assert all(word.end_s > word.start_s for word in piece.words)
        assert piece.words[-1].end_s == pytest.approx(sound_s(piece.samples), abs=0.12)


@pytest.mark.parametrize(
    ("text", "voice", "count"),
    [
        ("Bob kept a map.", "gmw/en-US", 5),
        ("朋友爸爸怕妈妈。", "sit/cmn", 6),  # two of them aspirated
        ("Apfel, haben, Lippen.", "gmw/de", 3),
        ("See the sky, hear the wind.", "gmw/en-US", 0),
    ],
)
def test_lips_are_shut_on_b_m_and_p_of_any_language(text: str, voice: str, count: int) -> None:
    spoken = espeak_ng.speak(text, voice)
    assert len(spoken.closures) == count
    edges = [edge for span in spoken.closures for edge in span]
    assert edges == sorted(edges)
    assert all(0.02 < end - start < 0.25 for start, end in spoken.closures)


def test_lips_stay_shut_from_one_closure_to_the_next_and_before_a_burst() -> None:
    phones = [("ˈa", 0.1), ("m", 0.3), ("pʰ", 0.4), ("ə", 0.45), ("m̩", 0.6), ("s", 0.7), ("p", 0.9), ("", 1.0)]
    assert espeak_ng.lip_closures(phones, 1.2) == (
        (pytest.approx(0.3), pytest.approx(0.41)),
        (pytest.approx(0.6), pytest.approx(0.7)),
        (pytest.approx(0.865), pytest.approx(0.91)),
    )


def quiet_at(samples: np.ndarray, second: float) -> bool:
    """Whether the level has a hollow there: the loudest 60 ms beside it are more than four times as loud."""
    levels = np.abs(samples[: len(samples) // 240 * 240]).reshape(-1, 240).mean(1)
    at = int(second * 100)
    return levels[at] * 4 < levels[max(at - 8, 0) : at + 9].max()


@pytest.mark.parametrize("rate", [0.7, 1.0, 1.8])
@pytest.mark.parametrize("cloned", [True, False])
def test_closures_follow_the_voice(engine: Engine, speak, whole, voice: Path, rate: float, cloned: bool) -> None:
    text = "Happy puppets keep a purple copper cup apart."
    (piece,) = whole(speak(engine, text, voice if cloned else None, prosody=Prosody(rate=rate)))
    hollows = [quiet_at(piece.samples, (each.start_s + each.end_s) / 2) for each in piece.closures]
    assert len(hollows) == 9
    assert np.mean(hollows) >= 0.8
    assert all(0 <= each.start_s < each.end_s <= len(piece.samples) / RATE for each in piece.closures)


def test_voice_on_disk_is_small_and_without_pickles(voice: Path) -> None:
    assert {path.name for path in voice.iterdir()} == {"voice.safetensors", "voice.json"}
    assert sum(path.stat().st_size for path in voice.iterdir()) < 5e6


@pytest.mark.parametrize(
    "samples,reason",
    [
        (np.zeros(10 * RATE, np.float32), "SILENT"),
        (np.zeros(0, np.float32), "SILENT"),
        (0.1 * np.random.default_rng(0).standard_normal(6 * RATE).astype(np.float32), "TOO_SHORT"),
    ],
    ids=["silence", "empty", "noise"],
)
def test_recordings_that_will_not_do(engine: Engine, tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        engine.enrol(samples, RATE, "", tmp_path)
    assert (caught.value.reason, caught.value.field) == (reason, "audio")
    assert not list(tmp_path.iterdir())


def test_two_seconds_are_too_short(engine: Engine, reference: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        engine.enrol(reference[: 2 * RATE], RATE, "", tmp_path)
    assert caught.value.reason == "TOO_SHORT"


@pytest.mark.parametrize("text", ["a", "\0abc\7d", "<b>bold</b> [[h@loU]]", "ཀ", "\ud800 hi"])
def test_strange_text_does_no_harm(engine: Engine, speak, whole, text: str) -> None:
    (piece,) = whole(speak(engine, text, None, prosody=Prosody(rate=2, pitch_semitones=12)))
    assert np.abs(piece.samples).max() > 0.05


def test_a_voice_registered_anew_is_read_anew(engine: Engine, speak, voice: Path, tmp_path: Path) -> None:
    shutil.copytree(voice, tmp_path, dirs_exist_ok=True)
    first = pitch_hz(said(engine, speak, TEXT, tmp_path))
    numbers = json.loads((tmp_path / "voice.json").read_text())
    numbers["speaker"]["pitch_mean"] -= np.log(2)
    (tmp_path / "voice.json").write_text(json.dumps(numbers))
    assert pitch_hz(said(engine, speak, TEXT, tmp_path)) < 0.7 * first


def test_levelled_never_clips() -> None:
    click = np.zeros(RATE, np.float32)
    click[::2400] = 1
    assert np.abs(levelled(click, RATE)).max() <= 0.95


def test_world_needs_no_pkg_resources() -> None:
    program = "import services.tts.world as w, numpy, sys; w.analyse(numpy.zeros(24000)); "
    program += "assert 'pkg_resources' not in sys.modules"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, env=environment)
