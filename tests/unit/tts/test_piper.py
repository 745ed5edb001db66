"""Piper's voices: what of a sentence is said when, in which pieces, and what a folder must hold."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from scipy.signal import resample_poly

from services.common.engine import Capability
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.tts import cloning, phonemes, world
from services.tts.engine import Prosody, Speech
from services.tts.engines.piper import Engine, Settings
from services.tts.piper.files import find
from services.tts.piper.graph import chunks, part
from services.tts.piper.voice import Voice
from tests import tiny_vits
from tests.tiny_vits import EDGE_FRAMES, HOP, LETTER_FRAMES, PAD_FRAMES, TONES_HZ

RATE = Engine.sample_rate
FRAME_S = HOP / tiny_vits.RATE
TEXT = "The quick brown fox jumps over the lazy dog."
SHORT = "Bob maps it."
LONG = "Bob keeps a boat by the old harbour, and when the weather is fine, he takes his sister out upon the open sea."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice."""
    return tiny_vits.write(tmp_path_factory.mktemp("voice"))


def loaded(voice: Path, **settings: Any) -> Engine:
    engine = Engine(Settings(voice=str(voice), threads=1, **settings))
    assert engine.lack() is None
    engine.load()
    return engine


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    """The engine with that voice."""
    return loaded(folder)


def said(
    engine: Engine, text: str, language: str = "en", prosody: Prosody | None = None, voice: Path | None = None
) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language=language, voice=voice, prosody=prosody or Prosody())
        return [piece async for piece in speech]

    return asyncio.run(collected())


def begun_s(pieces: list[Speech]) -> list[float]:
    return [float(at) / RATE for at in np.cumsum([0] + [len(piece.samples) for piece in pieces])[:-1]]


def words(pieces: list[Speech]) -> list[tuple[str, float, float]]:
    return [
        (word.text, at + word.start_s, at + word.end_s)
        for piece, at in zip(pieces, begun_s(pieces), strict=True)
        for word in piece.words
    ]


def closures(pieces: list[Speech]) -> list[tuple[float, float]]:
    timed = zip(pieces, begun_s(pieces), strict=True)
    return [(at + span.start_s, at + span.end_s) for piece, at in timed for span in piece.closures]


def sound(pieces: list[Speech]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


def tone_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


def symbol_s(engine: Engine, text: str) -> dict[str, float]:
    """When each word begins, counted by hand from the lengths of the tiny voice's symbols, from the first letter on."""
    told, frames = {}, 0.0
    reading = phonemes.read(text, "gmw/en-US")
    starts, number = {}, 0
    for clause in reading.clauses:
        for group in clause.groups:
            frames += (LETTER_FRAMES + PAD_FRAMES) * bool(number)  # the space
            for phone in group:
                starts[number], number = frames * FRAME_S, number + 1
                frames += len(phone) * (LETTER_FRAMES + PAD_FRAMES)
        frames += (LETTER_FRAMES + PAD_FRAMES) * bool(clause.mark)
    for word, place in reading.words:
        told[word] = starts[place]
    return told


# When


def test_words_begin_where_the_network_says(engine: Engine) -> None:
    told, wanted = words(said(engine, SHORT)), symbol_s(engine, SHORT)
    assert [word for word, _, _ in told] == ["Bob", "maps", "it."]
    first = told[0][1]  # a little silence is left before it
    assert first < 0.1
    for word, start, _ in told:
        assert start - first == pytest.approx(wanted[word], abs=0.03), word
    assert all(end == pytest.approx(start) for (_, _, end), (_, start, _) in zip(told, told[1:], strict=False))


def test_lips_shut_before_b_m_and_p_open(engine: Engine) -> None:
    pieces = said(engine, SHORT)
    told = closures(pieces)
    assert len(told) == 3, "the b of the end and the m after it are one, as is said without opening between"
    assert all(0 < end - start < 0.4 for start, end in told)
    assert told == sorted(told)
    (_, first, _), *_ = words(pieces)
    assert told[0][1] == pytest.approx(first, abs=0.03)


def test_pieces_are_the_same_as_the_whole(folder: Path) -> None:
    """The vocoder draws piece by piece what it would have drawn at once; nothing is lost where pieces join."""
    voice = Voice(find(folder), threads=1)
    pieces = list(voice.speak(SHORT))
    assert len(pieces) > 2
    whole = voice.whole(SHORT)
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), whole.samples)
    parts = part(find(folder).network)
    assert (parts.latent, parts.mask, parts.frames, parts.durations) == ("latent", "mask", "z", "durations")
    latent = np.repeat(np.random.default_rng(1).random((1, 1, 30), np.float32), 8, axis=2)
    drawn = np.concatenate([sound for sound, _ in voice._drawn(latent, 24)])
    assert np.allclose(drawn, voice._draw(voice._flowed(latent, 0, latent.shape[2])), atol=1e-6)
    assert len(drawn) == latent.shape[2] * HOP


@pytest.mark.parametrize("count", [0, 1, 24, 48, 49, 200, 5000])
def test_chunks_cover_all_frames_and_grow(count: int) -> None:
    pieces = chunks(count, 24)
    assert [frame for start, end in pieces for frame in range(start, end)] == list(range(count))
    sizes = [end - start for start, end in pieces]
    assert all(after <= 2.1 * before for before, after in zip(sizes[:-1], sizes[1:-1], strict=False))


def test_a_long_sentence_is_encoded_in_parts_and_goes_on_evenly(engine: Engine) -> None:
    pieces = said(engine, LONG)
    assert {piece.sentence_index for piece in pieces} == {0}
    assert [piece.is_first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    told = words(pieces)
    assert [word for word, _, _ in told] == LONG.split()
    starts = [start for _, start, _ in told]
    assert starts == sorted(starts)
    assert all(start <= end for start, end in closures(pieces))
    parts = list(phonemes.parts(phonemes.read(LONG, "gmw/en-US").clauses, 24, 60))
    assert [len(clauses) for clauses in parts] == [2, 1]


def test_the_first_piece_is_given_before_the_rest_is_drawn(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    original = Voice._draw

    def noted(self: Voice, frames: np.ndarray) -> np.ndarray:
        drawn.append(frames.shape[2])
        return original(self, frames)

    monkeypatch.setattr(Voice, "_draw", noted)

    async def first() -> Speech:
        speech = engine.synthesize(LONG, language="en", voice=None, prosody=Prosody())
        piece = await anext(speech)
        await speech.aclose()
        return piece

    piece = asyncio.run(first())
    assert piece.is_first
    assert len(drawn) == 1
    assert drawn[0] < 50


@pytest.mark.parametrize("wanted_s", [0.3, 0.65])
def test_the_first_piece_is_as_long_as_is_wanted(folder: Path, wanted_s: float) -> None:
    voice = Voice(find(folder), threads=1)
    pieces = list(voice.speak(SHORT, first_s=wanted_s))
    hummed_s = EDGE_FRAMES * FRAME_S  # before it begins, which is cut
    assert wanted_s - hummed_s < len(pieces[0].samples) / RATE <= wanted_s + FRAME_S
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), voice.whole(SHORT).samples)


# How


def test_the_sound_is_trimmed_levelled_and_paused(engine: Engine) -> None:
    samples = sound(said(engine, SHORT))
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    assert loud[0] / RATE < 0.05, "what the network hums before it begins is cut"
    assert (len(samples) - loud[-1]) / RATE == pytest.approx(0.32, abs=0.05)
    speech = samples[loud[0] : loud[-1]]
    assert np.sqrt(np.mean(speech**2)) == pytest.approx(10 ** (-23 / 20), rel=0.3)
    assert EDGE_FRAMES * FRAME_S > 0.1, "or there is nothing to cut"


def test_rate_is_honoured_exactly(engine: Engine) -> None:
    slow, fast = (said(engine, SHORT, prosody=Prosody(rate=rate)) for rate in (1.0, 2.0))
    assert len(sound(fast)) / len(sound(slow)) == pytest.approx(0.5, abs=0.05)
    assert words(fast)[-1][1] / words(slow)[-1][1] == pytest.approx(0.5, abs=0.1)


def test_pitch_is_shifted_and_times_stay(engine: Engine) -> None:
    low, high = (said(engine, "Aha, aha, aha.", prosody=Prosody(pitch_semitones=by)) for by in (0.0, 7.0))
    assert [word for word, _, _ in words(high)] == [word for word, _, _ in words(low)]
    assert words(high)[-1][1] == pytest.approx(words(low)[-1][1], abs=0.01)


def test_each_speaker_has_its_own_voice(tmp_path: Path) -> None:
    voice = tiny_vits.write(tmp_path, speakers=2)
    for speaker, wanted in (("", 0), ("hum1", 1), ("1", 1)):
        assert tone_hz(sound(said(loaded(voice, speaker=speaker), SHORT))) == pytest.approx(TONES_HZ[wanted], rel=0.03)


def test_a_registered_voice_is_spoken_in_at_its_pitch(
    engine: Engine, whole, reference: np.ndarray, tmp_path: Path
) -> None:
    engine.enrol(reference, RATE, "", tmp_path)
    (piece,) = whole(said(engine, SHORT, voice=tmp_path))
    assert [word.text for word in piece.words] == ["Bob", "maps", "it."]
    assert len(piece.closures) == 3
    wanted = np.exp(cloning.describe(world.analyse(reference)).pitch_mean)
    f0 = world.pitch(piece.samples)
    assert np.median(f0[f0 > 0]) == pytest.approx(wanted, rel=0.1)
    assert abs(wanted / TONES_HZ[0] - 1) > 0.15, "or the voice's own pitch would do"


def test_a_voice_is_learnt_anew_for_another_base(tmp_path: Path) -> None:
    one, other = (tiny_vits.write(tmp_path / name, speakers=count) for name, count in (("one", 1), ("other", 2)))
    known = [loaded(one), loaded(other), loaded(other, speaker="1")]
    assert len({engine.enrolment for engine in known}) == len(known)
    assert loaded(one).enrolment == known[0].enrolment


def test_it_tells_what_its_voice_speaks(engine: Engine, tmp_path: Path) -> None:
    assert engine.info().languages == ("en-US",)
    assert Capability.CLONING in engine.info().capabilities
    chinese = Engine(Settings(voice=str(tiny_vits.write(tmp_path, espeak={"voice": "cmn"}))))
    assert chinese.info().languages == ("zh",)
    chinese.check_language("zh-CN")
    for language in ("zh", "de"):
        with pytest.raises(Unsupported) as caught:
            said(engine, "Hello.", language)
        assert (caught.value.reason, caught.value.field) == ("LANGUAGE_NOT_SUPPORTED", "language")


@pytest.mark.parametrize("text", ["", " \n ", "... ?!"])
def test_nothing_to_say(engine: Engine, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        said(engine, text)
    assert caught.value.reason == "NOTHING_TO_SAY"


# What a folder must hold


def lack_of(voice: Path, **settings: Any) -> tuple[str, str]:
    lack = Engine(Settings(voice=str(voice), **settings)).lack()
    assert lack
    assert "TTS_PIPER_VOICE" in lack.remedy
    return lack.code, lack.reason


def test_what_is_missing_is_told_by_name(tmp_path: Path) -> None:
    assert lack_of(tmp_path) == ("VOICE_MODEL_INCOMPLETE", "*.onnx of its voice is missing.")
    assert lack_of(tmp_path / "nobody.onnx")[1] == "nobody.onnx of its voice is missing."
    tiny_vits.write(tmp_path)
    (tmp_path / "tiny.onnx.json").unlink()
    assert lack_of(tmp_path) == ("VOICE_MODEL_INCOMPLETE", "tiny.onnx.json of its voice is missing.")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"audio": {}}, "audio.sample_rate"),
        ({"phoneme_type": "pinyin"}, "pinyin"),
        ({"espeak": {"voice": "tlh"}}, "tlh"),
        ({"phoneme_id_map": {}}, "phoneme_id_map"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    code, reason = lack_of(tiny_vits.write(tmp_path, **changes))
    assert code == "VOICE_MODEL_WRONG"
    assert told in reason


def test_a_speaker_that_is_none_is_told(tmp_path: Path, folder: Path) -> None:
    assert "hum0, hum1" in lack_of(tiny_vits.write(tmp_path, speakers=2), speaker="hum2")[1]
    assert "speaker" in lack_of(folder, speaker="1")[1]


@pytest.mark.parametrize(("made", "kind"), [("durations", "Floor"), ("noise", "Identity"), ("z", "Add")])
def test_another_network_is_refused_when_it_loads(tmp_path: Path, made: str, kind: str) -> None:
    voice = tiny_vits.write(tmp_path)
    network = onnx.load(voice / "tiny.onnx")
    (node,) = (node for node in network.graph.node if made in node.output)
    node.op_type = kind
    onnx.save(network, voice / "tiny.onnx")
    for damage in (b"", b"no network"):
        with pytest.raises(Unavailable) as caught:
            Engine(Settings(voice=str(voice))).load()
        assert caught.value.reason == "VOICE_MODEL_WRONG"
        (voice / "tiny.onnx").write_bytes(damage)


# Phonemes


def test_words_that_are_said_as_one_begin_apart() -> None:
    reading = phonemes.read("Most of the people stay, I'd say.", "gmw/en-US")
    phones = [phone for clause in reading.clauses for group in clause.groups for phone in group]
    told = {word: phones[place] for word, place in reading.words}
    assert told == {
        "Most": "m", "of": "ə", "the": "ð", "people": "p", "stay,": "s", "I'd": "aɪ", "say.": "s",
    }  # fmt: skip
    assert [clause.mark for clause in reading.clauses] == [",", "."]


def test_chinese_is_followed_character_by_character() -> None:
    reading = phonemes.read("今天天气很好，我们去。", "sit/cmn")
    assert [word for word, _ in reading.words] == list("今天天气很好我们去")
    places = [place for _, place in reading.words]
    assert places == sorted(set(places))
    assert [clause.mark for clause in reading.clauses] == [",", "."]


# The voice itself


def calm(voice: Path, to: Path) -> Path:
    """The same voice without the noise that makes it say nothing twice alike, so that it is understood every time."""
    shutil.copytree(voice, to)
    (described,) = to.glob("*.onnx.json")
    config = json.loads(described.read_text(encoding="utf-8"))
    config["inference"] |= {"noise_scale": 0.0, "noise_w": 0.0}
    described.write_text(json.dumps(config), encoding="utf-8")
    return to


def test_joe_says_what_is_written(real_model: Callable[[str], Path], whisper_base: Path, tmp_path: Path) -> None:
    from faster_whisper import WhisperModel

    spoken = said(loaded(calm(real_model("piper-en-us-joe"), tmp_path / "joe")), TEXT)
    model = WhisperModel(str(whisper_base), cpu_threads=1, compute_type="int8")
    heard, _ = model.transcribe(
        resample_poly(sound(spoken), 2, 3).astype(np.float32), language="en", word_timestamps=True
    )
    told = [word for segment in heard for word in segment.words or []]
    assert [word.word.strip(" .,").lower() for word in told] == TEXT.lower().strip(".").split()
    for (_, start, _), word in zip(words(spoken), told, strict=True):
        assert start == pytest.approx(word.start, abs=0.4)  # Whisper begins words early
