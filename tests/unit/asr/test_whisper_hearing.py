"""What Whisper makes of real speech and of noise, where its true model can be had."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np
import pytest

from client.talk.live import is_back_channel
from services.asr.engine import SAMPLE_RATE as RATE
from services.asr.engine import Expected
from services.asr.engines.whisper import Engine, Settings
from services.common.audio import Resampler, decode, to_pcm
from services.tts import espeak_ng
from tests.noises import noises


@pytest.fixture(scope="module")
def base(whisper_base: Path) -> Iterator[Engine]:
    engine = Engine(Settings(model=str(whisper_base)))
    engine.load()
    yield engine
    engine.close()


def recordings(shared_data: Path, language: str) -> list[tuple[np.ndarray, str]]:
    with (shared_data / "speech" / "transcripts.tsv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["text"] and row["lang"] == language]
    return [(decode(shared_data / "speech" / row["file"], RATE), row["text"]) for row in rows]


def test_english_is_heard_nearly_without_a_fault(base, shared_data):
    said, heard = [], []
    for sound, text in recordings(shared_data, "en"):
        said.append(_words(text))
        heard.append(_words(base.recognise(to_pcm(sound), "en").text))
    assert jiwer.wer(said, heard) <= 0.02


def test_chinese_is_heard_and_written_in_the_characters_asked_for(base, shared_data):
    samples = recordings(shared_data, "zh")
    simplified = [base.recognise(to_pcm(sound), "zh-CN").text for sound, _ in samples]
    assert jiwer.cer([_han(text) for _, text in samples], [_han(text) for text in simplified]) <= 0.2
    assert "现在这个部门还在研究月球探测器" in "".join(simplified)
    assert "現在這個部門還在研究月球探測器" in base.recognise(to_pcm(samples[4][0]), "zh-TW").text


def test_the_language_is_found_out(base, shared_data):
    for language in ("en", "zh"):
        for sound, _ in recordings(shared_data, language):
            assert base.recognise(to_pcm(sound), "").language == language
    sound = decode(shared_data / "speech" / "en_theresa_may_14s.wav", RATE)
    assert base.recognise(to_pcm(sound), "").language == "en"  # of all languages it would be Welsh
    assert base.recognise(to_pcm(sound[:RATE]), "").language == "en"  # Arabic, were none expected
    german = decode(shared_data / "videos" / "mimictalk_german_20s.mp4", RATE)[: 4 * RATE]
    assert base.recognise(to_pcm(german), "").language == "de"


def test_a_name_is_heard_right_that_it_is_told_to_expect(base, shared_data):
    spoken = espeak_ng.speak("Good morning, Mister Vandermolen. How are you today?", "en-us")
    resampler = Resampler(espeak_ng.SAMPLE_RATE, RATE)
    said = np.concatenate([resampler.push(spoken.samples), resampler.flush()])
    for language, name, sound in (
        ("en", "Vandermolen", said),
        ("zh-CN", "繁昌县", decode(shared_data / "speech" / "zh_aishell3_SSB02880065.wav", RATE)),
        ("zh-CN", "太乙真人", decode(shared_data / "speech" / "zh_f5_taiyi.wav", RATE)),
    ):
        assert name not in base.recognise(to_pcm(sound), language).text
        assert name in base.recognise(to_pcm(sound), language, ["Vera", "Visavis", name]).text


def test_hot_words_spoil_nothing(base, shared_data):
    """The names of a chat, none of which is said, and special tokens, which would confuse the model if it saw them."""
    names = ["Vera", "Visavis", "<|endoftext|>", "<|translate|>"]
    for sound, text in recordings(shared_data, "en"):
        assert _words(base.recognise(to_pcm(sound), "en", names).text) == _words(text)
    samples = recordings(shared_data, "zh")
    heard = [base.recognise(to_pcm(sound), "zh-CN", names).text for sound, _ in samples]
    assert jiwer.cer([_han(text) for _, text in samples], [_han(text) for text in heard]) <= 0.2


def test_as_many_hot_words_are_told_as_there_is_room_for(base, shared_data):
    sound = to_pcm(recordings(shared_data, "en")[1][0])
    assert "Mother Nature" in base.recognise(sound, "en", ["Mother Nature", *map(str, range(1000, 1099))]).text


def test_words_have_their_times(base, shared_data):
    sound, _ = recordings(shared_data, "en")[3]
    heard = base.recognise(to_pcm(np.concatenate([np.zeros(RATE, np.float32), sound])), "en")
    assert heard.text == " ".join(word.text for word in heard.words)
    assert all(a.end_s <= b.start_s + 0.02 for a, b in zip(heard.words, heard.words[1:], strict=False))
    assert 0.8 < heard.words[0].start_s < 1.3
    assert heard.words[-1].end_s < len(sound) / RATE + 1


def test_what_is_longer_than_a_window_is_heard_whole(base, shared_data):
    sounds = [sound for sound, _ in recordings(shared_data, "en")]
    heard = base.recognise(to_pcm(np.concatenate(sounds)), "en")
    assert "my fellow Americans" in heard.text
    assert "still more respectable" in heard.text
    assert heard.words[-1].end_s == pytest.approx(sum(map(len, sounds)) / RATE, abs=1.0)


def test_silence_noise_and_music_say_nothing(base):
    for sound in noises(3.0):
        for language in ("en", "zh", ""):
            assert base.recognise(to_pcm(sound), language).text == ""
            assert base._hearing.model.guess(sound, Expected(language), ()).text == ""
        assert base.recognise(to_pcm(sound), "en", ["Vera", "Visavis"]).text == ""


def test_noise_after_speech_adds_no_words(base, shared_data):
    sound, text = recordings(shared_data, "en")[1]
    for noise in noises(3.0):
        quiet = noise * min(1.0, 0.02 / max(1e-9, float(np.sqrt(np.mean(noise**2)))))
        heard = base.recognise(to_pcm(np.concatenate([sound, quiet.astype(np.float32)])), "en").text
        assert _words(heard) == _words(text)


@pytest.mark.parametrize(
    ("said", "voice", "language"),
    [
        *((said, "en-us", "en") for said in ("okay, sure", "uh-huh", "yeah")),
        *((said, "cmn", "zh") for said in ("嗯", "对", "好的", "嗯，好的")),
    ],
)
def test_back_channels_of_synthetic_voices_are_heard_as_such_or_as_nothing(base, said, voice, language):
    """While they last and at their end: what is guessed at too early decides nothing, see `client/talk/live.py`."""
    resampler = Resampler(espeak_ng.SAMPLE_RATE, RATE)
    spoken = np.concatenate([resampler.push(espeak_ng.speak(said, voice).samples), resampler.flush()])
    sound = np.concatenate([np.zeros(RATE // 4), spoken[: np.flatnonzero(np.abs(spoken) > 0.01)[-1]]]).astype(
        np.float32
    )
    model = base._hearing.model
    guesses = [
        model.guess(sound[: round(s * RATE)], Expected(language), ()).text for s in (0.85, 1.2) if s * RATE < len(sound)
    ]
    for text in (model.recognise(sound, Expected(language), 5).text, *guesses):
        assert not text or is_back_channel(text)


def test_short_interruptions_are_understood(base):
    resampler = Resampler(espeak_ng.SAMPLE_RATE, RATE)
    spoken = np.concatenate([resampler.push(espeak_ng.speak("stop it", "en-us").samples), resampler.flush()])
    assert "stop it" in base.recognise(to_pcm(spoken.astype(np.float32)), "en").text.lower()


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower().replace("mister", "mr")))


def _han(text: str) -> str:
    return "".join(re.findall(r"[\u3400-\u9fff]", text))
