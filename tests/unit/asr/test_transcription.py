"""Utterances in time, with an engine whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from services.asr.endpointing import Endpointer, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE, Hypothesis, Recognition, Word
from services.asr.transcription import Interim, LiveTranscription, Utterance, transcribe
from services.common.engine import EngineInfo


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


class Engine:
    """A scripted engine."""

    def __init__(self) -> None:
        self.running: list[Counting] = []

    def load(self) -> None: ...

    def info(self) -> EngineInfo:
        return EngineInfo("counting", "1")

    def open(self, language: str) -> Recognition:
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
    live = LiveTranscription(Engine(), "en", rate, Endpointer())
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
    first, second = transcribe(engine, "en", blocks, Endpointer())
    assert (first.start_s, first.end_s) == pytest.approx((1.0, 2.5), abs=0.15)
    assert (second.start_s, second.end_s) == pytest.approx((3.5, 6.0), abs=0.15)
    assert second.words[0].start_s == pytest.approx(3.25, abs=0.15)
    assert [one.samples / SAMPLE_RATE < 4 for one in engine.running] == [True, True]
    assert not any(one.open for one in engine.running)


def test_leaving_in_mid_sentence_closes_the_utterance():
    engine = Engine()
    live = LiveTranscription(engine, "en", SAMPLE_RATE, Endpointer())
    list(live.push(quiet(0.5) + buzz(1.0)))
    assert [one.open for one in engine.running] == [True]
    live.close()
    live.close()
    assert [one.open for one in engine.running] == [False]
