"""The models that tell where an utterance ends: the true ones, on synthetic voices and real recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.settings import ModelSettings
from services.asr.detectors import SILERO, SMART_TURN, Detectors, Silero, SmartTurn
from services.asr.endpointing import SpeechEnded
from services.asr.engine import SAMPLE_RATE as RATE
from services.common.audio import Resampler, decode, to_pcm
from services.tts import espeak_ng


@pytest.fixture(scope="module")
def silero(real_model: Callable[[str], Path]) -> Silero:
    return Silero(real_model(SILERO))


@pytest.fixture(scope="module")
def smart_turn(real_model: Callable[[str], Path]) -> SmartTurn:
    return SmartTurn(real_model(SMART_TURN))


def voice(text: str) -> np.ndarray:
    """A synthetic voice at 16 kHz."""
    resampler = Resampler(espeak_ng.SAMPLE_RATE, RATE)
    return np.concatenate([resampler.push(espeak_ng.speak(text, "en-us").samples), resampler.flush()])


def test_silero_tells_a_voice_from_silence_noise_and_a_tune(silero):
    t = np.arange(RATE) / RATE
    tune = sum(np.sin(2 * np.pi * 220 * k * t) for k in (1, 1.26, 1.5)) / 10
    noise = 0.05 * np.random.default_rng(1).standard_normal(RATE)
    for sound, heard in ((voice("one two three four"), True), (np.zeros(RATE), False), (noise, False), (tune, False)):
        stream = silero.listen()
        pieces = to_pcm(sound.astype(np.float32))[: RATE * 2]
        told = [stream.voice_probability(pieces[at : at + 640]) > 0.5 for at in range(0, len(pieces), 640)]
        assert (np.mean(told) > 0.5) is np.bool_(heard)


def test_streams_do_not_disturb_each_other_and_pieces_may_have_any_length(silero):
    sound = to_pcm(np.concatenate([np.zeros(RATE // 2, np.float32), voice("hello, how are you?")]))

    def told(piece: int) -> list[float]:
        stream, other = silero.listen(), silero.listen()
        answers = []
        for at in range(0, len(sound) - len(sound) % 1024, piece):
            answers.append(stream.voice_probability(sound[at : at + piece]))
            other.voice_probability(bytes(piece))
        return answers

    assert told(1024) == told(512)[1::2]


def test_smart_turn_tells_who_has_finished_from_who_is_in_the_middle(smart_turn, shared_data):
    pause = np.zeros(RATE // 5, np.float32)
    whole = decode(shared_data / "speech" / "en_librivox_0870.wav", RATE)
    broken_off = decode(shared_data / "speech" / "en_jfk_11s.flac", RATE)[: int(4.25 * RATE)]  # "… ask not what"
    assert smart_turn(to_pcm(np.concatenate([whole, pause]))) > 0.9
    assert smart_turn(to_pcm(np.concatenate([broken_off, pause]))) < 0.1


def test_what_is_not_here_is_told_and_used_once_it_is(real_model, monkeypatch, tmp_path):
    folder = real_model(SILERO).parent
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path))
    assert ModelSettings().folder == tmp_path
    detectors = Detectors(turn=False)
    assert {name: lack.remedy for name, lack in detectors.lacks().items()} == {SILERO: "visavis models pull silero-vad"}
    assert detectors.endpointer()._voice is None
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(folder))
    assert detectors.lacks() == {SILERO: None}
    assert detectors.endpointer()._voice is not None


def test_what_cannot_be_loaded_is_done_without(monkeypatch, caplog):
    monkeypatch.setattr("services.asr.detectors.find", lambda name: Path("/nowhere"))
    detectors = Detectors()
    sound = to_pcm(np.concatenate([np.zeros(RATE), voice("hello there"), np.zeros(RATE)]).astype(np.float32))
    assert any(isinstance(event, SpeechEnded) for event in detectors.endpointer().push(sound))
    assert detectors.lacks() == {}
    assert "a detector cannot be loaded" in caplog.text


def test_what_the_settings_forbid_is_not_used():
    assert Detectors(voice=False, turn=False).lacks() == {}
