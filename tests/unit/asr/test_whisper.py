"""Whisper: the true loading path with a model made here, and where it can be had the true model on real speech."""

from __future__ import annotations

import csv
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest

from client.talk.live import is_back_channel
from services.asr.engine import SAMPLE_RATE as RATE
from services.asr.engine import Expected, Hypothesis
from services.asr.engines.whisper import Engine, Settings
from services.asr.turns import Urgency
from services.asr.whisper.model import likeliest, once
from services.common.audio import Resampler, decode, to_pcm
from services.common.engine import Capability
from services.common.errors import Unsupported
from services.tts import espeak_ng
from tests.tiny_whisper import make

SENTENCE = [" Hello", ",", " dear", " world", "."]
PIECE = RATE // 10 * 2
WAIT_S = 60.0  # only ends what hangs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Says "Hello, dear world." to any speech."""
    folder = make(tmp_path_factory.mktemp("tiny"), SENTENCE)
    engine = Engine(Settings(model=str(folder), threads=1))
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def speech(demo_clip: Path) -> bytes:
    """Three seconds of a synthetic voice."""
    return to_pcm(decode(demo_clip, RATE)[RATE : 4 * RATE])


@pytest.fixture(scope="module")
def base(whisper_base: Path) -> Iterator[Engine]:
    engine = Engine(Settings(model=str(whisper_base)))
    engine.load()
    yield engine
    engine.close()


def after(recognition, text: str) -> str:
    """Feed silence until a text is there."""
    end = time.monotonic() + WAIT_S
    found = ""
    while not found and time.monotonic() < end:
        found = recognition.feed(b"")
        time.sleep(0.01)
    assert found == text
    return found


def first_encoding_held(engine: Engine, monkeypatch) -> tuple[threading.Event, threading.Event]:
    """The model waits in the first sound that it hears; an event that it does, and one that lets it go on."""
    begun, may_go_on, encode = threading.Event(), threading.Event(), engine._hearing.model._encode

    def slow(samples, silence_s):
        if not begun.is_set():
            begun.set()
            may_go_on.wait(WAIT_S)
        return encode(samples, silence_s)

    monkeypatch.setattr(engine._hearing.model, "_encode", slow)
    return begun, may_go_on


def test_an_utterance_is_guessed_at_while_it_lasts_and_told_with_times_at_its_end(tiny, speech):
    recognition = tiny.open("en")
    assert recognition.feed(speech[:PIECE]) == ""  # too short to say anything of
    recognition.feed(speech[PIECE:])
    after(recognition, "Hello, dear world.")
    final = recognition.finish()
    assert final.text == "Hello, dear world."
    assert final.language == "en"
    assert [word.text for word in final.words] == ["Hello,", "dear", "world."]
    assert all(0 <= word.start_s <= word.end_s <= 3.0 and 0.9 < word.confidence <= 1 for word in final.words)


def test_a_recording_is_heard_without_guesses(tiny, speech):
    assert tiny.recognise(speech, "en").text == "Hello, dear world."


def test_what_is_no_speech_says_nothing(tiny):
    """The model itself would say its sentence to anything."""
    for sound in noises(1.5):
        assert tiny.recognise(to_pcm(sound), "en") == Hypothesis("", (), "en")
        recognition = tiny.open("en")
        recognition.feed(to_pcm(sound))
        assert recognition.finish().text == ""


def test_a_pause_begins_the_end_which_further_speech_takes_back(tiny, speech, monkeypatch):
    heard: list[int] = []
    model = tiny._hearing.model
    recognise = model.recognise
    monkeypatch.setattr(
        model, "recognise", lambda samples, *rest: (heard.append(len(samples)), recognise(samples, *rest))[1]
    )
    recognition = tiny.open("en")
    recognition.feed(speech)
    for _ in range(3):
        recognition.pause(bytes(PIECE))
    assert recognition.finish().text == "Hello, dear world."
    assert heard == [len(speech) // 2 + PIECE // 2]  # once, when the pause began
    heard.clear()
    recognition = tiny.open("en")
    recognition.feed(speech[:-PIECE])
    recognition.pause(bytes(PIECE))
    recognition.feed(speech[-PIECE:])
    assert recognition.finish().text == "Hello, dear world."
    assert heard[-1] == (len(speech) + PIECE) // 2  # all of it


def test_what_was_begun_in_a_pause_that_was_none_is_a_guess(tiny, speech, monkeypatch):
    begun, may_go_on, recognise = threading.Event(), threading.Event(), tiny._hearing.model.recognise

    def slow(*args):
        begun.set()
        may_go_on.wait(WAIT_S)
        return recognise(*args)

    monkeypatch.setattr(tiny._hearing.model, "recognise", slow)
    recognition = tiny.open("en")
    recognition.pause(speech)
    assert begun.wait(WAIT_S)
    recognition.feed(speech[:PIECE])
    assert recognition._guess is None  # it is on its way already
    may_go_on.set()
    after(recognition, "Hello, dear world.")
    assert recognition._guess is None
    recognition.close()


def test_who_has_stopped_speaking_waits_for_nobody(tiny, speech):
    """Neither for a recording that is being worked at nor for a guess."""
    begun, may_go_on = threading.Event(), threading.Event()
    tiny._hearing.turns.submit(Urgency.BATCH, lambda: (begun.set(), may_go_on.wait(WAIT_S)))
    assert begun.wait(WAIT_S)
    live = tiny.open("en")
    live.feed(speech)
    live.pause(bytes(PIECE))
    assert live.finish().text == "Hello, dear world."
    assert not live._guess.future.done() or live._guess.future.cancelled()
    may_go_on.set()


def test_a_text_that_nobody_waits_for_gives_way(tiny, speech, monkeypatch):
    """Somebody went on after a pause while the text so far was being found; meanwhile somebody else stops speaking."""
    encoding, may_go_on = first_encoding_held(tiny, monkeypatch)
    model, decoded, decode = tiny._hearing.model, [], tiny._hearing.model._decode

    def counted(encoded, *rest, **more):
        decoded.append(encoded.shape[1])
        return decode(encoded, *rest, **more)

    monkeypatch.setattr(model, "_decode", counted)
    begun, recorded = threading.Event(), threading.Event()
    tiny._hearing.turns.submit(Urgency.BATCH, lambda: (begun.set(), recorded.wait(WAIT_S)))
    assert begun.wait(WAIT_S)
    first, second = tiny.open("en"), tiny.open("en")
    first.pause(speech)
    assert encoding.wait(WAIT_S)
    first.feed(bytes(PIECE))
    second.pause(speech[: len(speech) // 2])
    may_go_on.set()
    heard = second.finish().text
    recorded.set()
    assert heard == "Hello, dear world."
    assert len(set(decoded)) == 1  # of as long a sound as the second one is
    first.close()
    second.close()


@pytest.mark.parametrize("leave", ["goes on and pauses again", "goes away"])
def test_a_text_of_what_goes_on_is_not_found_twice(tiny, speech, monkeypatch, leave):
    encoding, may_go_on = first_encoding_held(tiny, monkeypatch)
    recognition = tiny.open("en")
    recognition.pause(speech)
    assert encoding.wait(WAIT_S)
    passed = recognition._final
    if leave == "goes away":
        recognition.close()
    else:
        recognition.feed(bytes(PIECE))
        recognition.pause(bytes(PIECE))
        assert recognition.finish().text == "Hello, dear world."
    may_go_on.set()
    assert passed.future.result(WAIT_S).text == ""


def test_who_speaks_comes_before_recordings(tiny, speech):
    """While a recording is worked at and another waits, somebody begins to speak."""
    begun, may_go_on, order = threading.Event(), threading.Event(), []
    tiny._hearing.turns.submit(Urgency.BATCH, lambda: (begun.set(), may_go_on.wait(WAIT_S)))
    assert begun.wait(WAIT_S)
    tiny._hearing.recognise(speech, Expected("en")).future.add_done_callback(lambda done: order.append("recording"))
    live = tiny.open("en")
    live.feed(speech)
    live._guess.future.add_done_callback(lambda done: order.append("live"))
    may_go_on.set()
    tiny.recognise(speech, "en")
    assert order == ["live", "recording"]


def test_several_texts_are_followed_only_where_the_model_is_not_sure(tiny, speech, monkeypatch):
    model, beams, told = tiny._hearing.model, [], []
    decode = model._decode

    def decoded(encoded, language, beam, *rest, **more):
        beams.append(beam)
        return replace(decode(encoded, language, beam, *rest, **more), sureness=told.pop())

    monkeypatch.setattr(model, "_decode", decoded)
    for told[:], wanted in (([-0.1], [1]), ([-0.1, -0.5], [1, 5])):
        beams.clear()
        assert tiny.recognise(speech, "en").text == "Hello, dear world."
        assert beams == wanted


def test_a_long_utterance_is_guessed_at_more_rarely(tiny, speech):
    recognition, guessed = tiny.open("en"), []
    for at in range(0, 3 * len(speech), PIECE):
        recognition.feed((speech * 3)[at : at + PIECE])
        if recognition._guess:
            recognition._guess.future.result(WAIT_S)
            guessed.append(recognition._seconds)
    recognition.close()
    gaps = np.diff(guessed)
    assert gaps[0] < 0.7 < 1.2 < gaps[-1]


def test_another_language_than_the_expected_must_be_far_more_probable():
    """What Whisper base makes of a second of a British voice, of a Russian accent, and of German."""
    tells_apart, expects = ("en", "zh", "ar", "ru", "de"), ("en", "zh")
    told = [
        ({"cy": 0.4, "ar": 0.36, "en": 0.2}, "en"),
        ({"ru": 0.24, "en": 0.11}, "en"),
        ({"ja": 0.4, "zh": 0.2, "en": 0.1}, "zh"),
        ({"de": 0.95, "en": 0.02}, "de"),
    ]
    for probable, language in told:
        assert likeliest(probable, tells_apart, expects) == language
    assert likeliest({"cy": 0.4, "en": 0.3}, (), ()) == "cy"


def test_a_language_is_found_out_among_those_that_are_expected(tiny, speech, monkeypatch):
    told = [[("<|de|>", 0.6), ("<|en|>", 0.3), ("<|fr|>", 0.05), ("<|zh|>", 0.04)]]
    whisper = tiny._hearing.model._whisper
    monkeypatch.setattr(type(whisper.model), "is_multilingual", True)
    monkeypatch.setattr(type(whisper.model), "detect_language", lambda *_: told)
    detected = tiny._hearing.model._detected
    assert [detected(None, among) for among in ((), ("fr-CA", "zh-TW"), ("de", "fr"))] == ["en", "zh", "de"]


def test_the_language_is_told_once_by_a_guess_at_enough_of_it(tiny, speech, monkeypatch):
    asked = []
    monkeypatch.setattr(tiny._hearing.model, "_detected", lambda encoded, among: asked.append(1) or "en")
    recognition = tiny.open("")
    recognition.feed(speech)
    after(recognition, "Hello, dear world.")
    assert recognition.finish().language == "en"
    assert len(asked) == 1


def test_who_goes_away_leaves_nothing_to_do(tiny, speech):
    begun, may_go_on = threading.Event(), threading.Event()
    tiny._hearing.turns.submit(Urgency.PARTIAL, lambda: (begun.set(), may_go_on.wait(WAIT_S)))
    assert begun.wait(WAIT_S)
    recognition = tiny.open("en")
    recognition.feed(speech)
    recognition.close()
    assert recognition._guess.future.cancelled()
    may_go_on.set()


@pytest.mark.parametrize("language", ["zh-CN", "de", "xx"])
def test_a_model_of_english_refuses_others_and_says_what_to_set(tiny, language):
    with pytest.raises(Unsupported, match="knows en.*ASR_WHISPER_MODEL") as caught:
        tiny.open(language)
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"
    assert tiny.info().languages == ("en",)
    assert Capability.LANGUAGE_DETECTION not in tiny.info().capabilities


def test_it_says_what_it_lacks(tmp_path):
    assert Engine(Settings(model=str(tmp_path))).lack().code == "MODEL_FOLDER_WRONG"
    assert Engine(Settings()).models() == ("whisper-base",)
    assert "zh" in Engine(Settings()).info().languages


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["飞", "的", "飞", "的"], 2),
        ([" I", " see", " I", " see."], 2),
        ([" Ha", "-ha!", " Ha", "-ha!"], 2),
        ([" Mamicham", " Mamicham"], 1),
        (["谢", "谢"], 2),  # said twice because it is one word
        ([" bye", " bye"], 2),
        ([" Okay", ",", " sure"], 3),
        ([], 0),
    ],
)
def test_what_a_short_utterance_says_again_is_left_out(words, count):
    assert once(words) == count


# With the true model


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


def noises(seconds: float) -> Iterator[np.ndarray]:
    """Silence, white and pink noise, hum, clicks and a tune, each at several levels."""
    random, count = np.random.default_rng(5), int(seconds * RATE)
    t = np.arange(count) / RATE
    yield np.zeros(count, np.float32)
    white = random.standard_normal(count)
    spectrum = np.fft.rfft(white)
    clicks = np.zeros(count)
    for at in random.integers(0, count - 400, int(4 * seconds)):
        clicks[at : at + 200] += random.standard_normal(200) * np.exp(-np.arange(200) / 40)
    notes = 220 * 2 ** (random.integers(0, 12, int(seconds / 0.3) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(notes[(t / 0.3).astype(int)]) / RATE
    tune = sum(np.sin(k * ratio * phase) / k for k in range(1, 6) for ratio in (1, 1.26, 1.5)) * np.exp(-4 * (t % 0.3))
    for sound in (
        white,
        np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), count),
        sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 10)),
        clicks,
        tune,
    ):
        for level in (0.003, 0.05, 0.25):
            yield np.clip(level * sound / np.sqrt(np.mean(sound**2)), -1, 1).astype(np.float32)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower().replace("mister", "mr")))


def _han(text: str) -> str:
    return "".join(re.findall(r"[\u3400-\u9fff]", text))
