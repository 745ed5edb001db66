"""Whisper by its true loading path, with a model made here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.asr.engine import SAMPLE_RATE as RATE
from services.asr.engine import Expected, Hypothesis
from services.asr.engines.whisper import Engine, Settings
from services.asr.turns import Urgency
from services.asr.whisper.model import likeliest, once
from services.common.audio import decode, to_pcm
from services.common.engine import Capability
from services.common.errors import Unsupported
from tests.noises import noises
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
