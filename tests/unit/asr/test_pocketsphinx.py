"""The embedded recogniser on real speech."""

from __future__ import annotations

import threading
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.asr.engines.pocketsphinx import Engine, Settings
from services.common.errors import Busy, Unsupported


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine(Settings(decoders=2, decoder_wait_seconds=0.2))
    engine.load()
    return engine


@pytest.fixture(scope="module")
def reading(shared_data) -> bytes:
    with wave.open(str(shared_data / "speech" / "en_librivox_0920.wav")) as file:
        return file.readframes(file.getnframes())


def recognise(engine: Engine, pcm: bytes, piece: int = 3200):
    recognition = engine.open("en")
    partials = [recognition.feed(pcm[at : at + piece]) for at in range(0, len(pcm), piece)]
    return partials, recognition.finish()


def test_hears_most_words_in_pieces(engine, reading):
    partials, final = recognise(engine, reading)
    assert "had he married a more amiable" in final.text
    assert "might have been made still more" in final.text
    assert partials[8] == ""
    assert partials[30].startswith("had he married")


def test_a_long_piece_is_heard_to_its_end(engine, shared_data):
    """PocketSphinx drops the end of long buffers when they come in one call."""
    with wave.open(str(shared_data / "speech" / "en_librispeech_1995-1837-0001.wav")) as file:
        _, final = recognise(engine, file.readframes(file.getnframes()), piece=10**9)
    assert "dreams built around it" in final.text
    assert final.words[-1].end_s > 7


def test_words_are_clean_ordered_and_sure(engine, reading):
    _, final = recognise(engine, reading)
    assert final.text == " ".join(word.text for word in final.words)
    assert not set("<>[]()+") & set(final.text)
    assert all(a.end_s <= b.start_s + 1e-6 for a, b in zip(final.words, final.words[1:], strict=False))
    assert final.words[0].start_s < 0.5
    assert final.words[-1].end_s <= len(reading) / 32_000
    confidences = [word.confidence for word in final.words]
    assert 0 <= min(confidences) < max(confidences) <= 1


def test_an_utterance_does_not_change_the_next(engine, reading):
    """The cepstral mean of a loud caller must not leak into another's utterance."""
    half = reading[: len(reading) // 2]
    _, before = recognise(engine, half)
    for _ in range(2):
        recognise(engine, (np.random.default_rng(0).standard_normal(10_000) * 9000).astype(np.int16).tobytes())
    _, after = recognise(engine, half)
    assert before == after


def test_two_speak_at_once(engine, reading):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda pcm: recognise(engine, pcm)[1].text, [reading, reading[: len(reading) // 3]])
    assert "might have been made still more" in first
    assert "had he married" in second
    assert "made" not in second


def test_a_third_waits_and_is_told(engine, reading):
    held = [engine.open("en"), engine.open("en")]
    for recognition in held:
        recognition.feed(reading[:3200])
    third = engine.open("")
    with pytest.raises(Busy, match="ASR_POCKETSPHINX_DECODERS"):
        third.feed(reading[:3200])
    third.close()
    threading.Timer(0.05, held[0].close).start()
    fourth = engine.open("")
    assert fourth.feed(reading[:3200]) == ""
    fourth.close()
    held[1].close()


@pytest.mark.parametrize("language", ["zh", "zh-CN", "yue", "de", "english?", "enm"])
def test_other_languages_are_refused_with_the_remedy(engine, language):
    with pytest.raises(Unsupported, match="knows English.*ASR_ENGINE.*adding-an-engine") as caught:
        engine.open(language)
    assert caught.value.reason == "LANGUAGE_NOT_SUPPORTED"


@pytest.mark.parametrize("language", ["", "en", "en-US", "EN_gb"])
def test_english_has_many_names(engine, language):
    assert engine.open(language).finish().text == ""


def test_closing_twice_gives_back_one_decoder(engine, reading):
    recognition = engine.open("en")
    recognition.feed(reading[:40_000])
    recognition.finish()
    recognition.close()
    recognition.close()
    test_a_third_waits_and_is_told(engine, reading)
