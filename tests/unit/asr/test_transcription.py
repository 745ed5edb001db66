"""Utterances in time, with an engine whose answers are known."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from services.asr.endpointing import Endpointer, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine, Expected, Hypothesis, Recognition
from services.asr.transcription import Interim, LiveTranscription, RecordedTranscription, Utterance
from services.common.engine import EngineInfo
from services.common.subtitles import Word

LONGEST_S = 30  # only ends what would hang


class Counting(Recognition):
    """Hears one word per second of audio."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.samples, self.open = engine, 0, True
        engine.running.append(self)

    def feed(self, pcm: bytes) -> str:
        assert self.open
        self.samples += len(pcm) // 2
        return " ".join(["word"] * (self.samples // SAMPLE_RATE))

    def finish(self) -> Hypothesis:
        assert self.open
        return Hypothesis(self.feed(b""), (Word("word", 0.0, self.samples / SAMPLE_RATE, 1.0),))

    def close(self) -> None:
        self.open = False


class Engine(AsrEngine):
    """A scripted engine."""

    def __init__(self) -> None:
        self.running: list[Counting] = []

    def load(self) -> None: ...

    def info(self) -> EngineInfo:
        return EngineInfo("counting", "1")

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        return Counting(self)

    def close(self) -> None: ...


def buzz(seconds: float, rate: int = SAMPLE_RATE) -> bytes:
    """A voice-like pulse train."""
    t = np.arange(int(seconds * rate)) / rate
    voice = sum(
        np.sin(2 * np.pi * 120 * k * t) / (1 + abs(k * 120 - f) / 80) for k in range(1, 28) for f in (600, 1500)
    )
    return (3000 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).clip(-32768, 32767).astype(np.int16).tobytes()


def quiet(seconds: float, rate: int = SAMPLE_RATE) -> bytes:
    return bytes(2 * int(seconds * rate))


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_live_times_count_from_the_beginning_at_any_rate(rate):
    audio = quiet(2, rate) + buzz(2.2, rate) + quiet(1, rate)
    live = LiveTranscription(Engine(), Expected("en"), rate, Endpointer())
    events = [event for at in range(0, len(audio), 2000) for event in live.push(audio[at : at + 2000])]
    events += list(live.finish())
    kinds = [type(event) for event in events]
    assert [kind for kind in kinds if kind not in (Interim, SpeechGoesOn)] == [SpeechStarted, Utterance, SpeechEnded]
    assert [event.text for event in events if isinstance(event, Interim)][:2] == ["word", "word word"]
    (utterance,) = (event for event in events if isinstance(event, Utterance))
    assert (utterance.start_s, utterance.end_s) == pytest.approx((2.0, 4.2), abs=0.15)
    assert utterance.endpoint_s - utterance.end_s == pytest.approx(0.6), "the hangover"
    assert utterance.words[0].start_s == pytest.approx(1.75, abs=0.15)


def test_files_are_recognised_utterance_by_utterance():
    engine = Engine()
    blocks = [quiet(1), buzz(1.5), quiet(1), buzz(2.5), quiet(1)]
    first, second = RecordedTranscription(engine, Expected("en"), Endpointer()).utterances(blocks)
    assert (first.start_s, first.end_s) == pytest.approx((1.0, 2.5), abs=0.15)
    assert (second.start_s, second.end_s) == pytest.approx((3.5, 6.0), abs=0.15)
    assert second.words[0].start_s == pytest.approx(3.25, abs=0.15)
    assert [one.samples / SAMPLE_RATE < 4 for one in engine.running] == [True, True]
    assert not any(one.open for one in engine.running)


def test_leaving_in_mid_sentence_closes_the_utterance():
    engine = Engine()
    live = LiveTranscription(engine, Expected("en"), SAMPLE_RATE, Endpointer())
    list(live.push(quiet(0.5) + buzz(1.0)))
    assert [one.open for one in engine.running] == [True]
    live.close()
    live.close()
    assert [one.open for one in engine.running] == [False]


class Waiting(Counting):
    """Waits at the end for somebody else, until that is given up, and tells the text in pieces before."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.waits, self.gone = threading.Event(), threading.Event()

    def finishing(self) -> Iterator[str]:
        yield from ("some", "some text")

    def finish(self) -> Hypothesis:
        self.waits.set()
        assert self.gone.wait(LONGEST_S)
        return Hypothesis("")

    def interrupt(self) -> None:
        self.gone.set()


class Remote(Engine):
    """An engine that waits."""

    def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
        return Waiting(self)


def test_the_text_that_becomes_known_at_the_end_is_shown():
    live = LiveTranscription(Remote(), Expected("en"), SAMPLE_RATE, Endpointer())
    live.interrupt()
    events = list(live.push(quiet(0.5) + buzz(1.0) + quiet(1)))
    assert [event.text for event in events if isinstance(event, Interim)] == ["word", "some", "some text"]


@pytest.mark.parametrize("kind", [LiveTranscription, RecordedTranscription])
def test_who_leaves_ends_what_the_engine_waits_for(kind):
    engine, sound = Remote(), quiet(0.5) + buzz(1.0) + quiet(1)
    if kind is LiveTranscription:
        work = LiveTranscription(engine, Expected("en"), SAMPLE_RATE, Endpointer())
        steps = work.push(sound)
    else:
        work = RecordedTranscription(engine, Expected("en"), Endpointer())
        steps = work.utterances([sound])
    thread = threading.Thread(target=lambda: list(steps))
    thread.start()
    while not engine.running and thread.is_alive():
        thread.join(0.01)
    assert engine.running[0].waits.wait(LONGEST_S)
    work.interrupt()
    thread.join(LONGEST_S)
    assert not thread.is_alive()
    work.interrupt()  # of one that has ended: nothing
    assert len(engine.running) == 1


def test_an_utterance_opened_after_nobody_waits_any_more_is_told_so():
    engine = Remote()
    work = RecordedTranscription(engine, Expected("en"), Endpointer())
    work.interrupt()
    assert [one.text for one in work.utterances([quiet(0.5) + buzz(1.0) + quiet(1)])] == [""]


class Astray(Counting):
    """Tells times that cannot be."""

    def finish(self) -> Hypothesis:
        nan, inf = float("nan"), float("inf")
        times = [(-5.0, 0.1), (nan, 0.2), (0.3, nan), (0.4, inf), (1e300, 2.0), (0.5, 0.4)]
        return Hypothesis("a b c d e f", tuple(Word(text, *time) for text, time in zip("abcdef", times, strict=True)))


def test_words_lie_in_their_utterance_whatever_an_engine_tells():
    class Lost(Engine):
        def open(self, language: str, hotwords: Sequence[str] = ()) -> Recognition:
            return Astray(self)

    endpointer = Endpointer(hangover_ms=600, min_speech_ms=80, max_speech_ms=20_000)
    work = RecordedTranscription(Lost(), Expected("en"), endpointer)
    (heard,) = work.utterances([quiet(1.0), buzz(2.0), quiet(1.5)])
    assert [word.text for word in heard.words] == list("abcdef")
    assert all(0.3 < word.start_s <= word.end_s <= heard.endpoint_s for word in heard.words)
