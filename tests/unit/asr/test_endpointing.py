"""Endpoints on sounds whose times are known."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from services.asr.endpointing import Endpointer, Event, Speech, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE as RATE


def vowel(seconds: float, seed: int = 0) -> np.ndarray:
    """Something that WebRTC's detector takes for speech: a gliding pulse train through two formants, with syllables."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * t + seed)) / RATE
    voice = sum(np.sin(k * phase) / (1 + abs(k * 120 - f) / 80) for k in range(1, 28) for f in (600, 1500))
    return 0.12 * voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t + seed))


def silence(seconds: float) -> np.ndarray:
    return 0.0005 * np.random.default_rng(1).standard_normal(int(seconds * RATE))


def pcm(*sounds: np.ndarray) -> bytes:
    return (np.clip(np.concatenate(sounds), -1, 1) * 32767).astype(np.int16).tobytes()


def run(audio: bytes, piece: int = 640, **options: object) -> list[Event]:
    endpointer = Endpointer(**options)
    events = [event for at in range(0, len(audio), piece) for event in endpointer.push(audio[at : at + piece])]
    return events + endpointer.flush()


def spans(events: list[Event]) -> list[tuple[float, float]]:
    starts = [event.sample_index / RATE for event in events if isinstance(event, SpeechStarted)]
    ends = [event.sample_index / RATE for event in events if isinstance(event, SpeechEnded)]
    return list(zip(starts, ends, strict=True))


def test_finds_two_utterances():
    audio = pcm(silence(1), vowel(1.5), silence(1.2), vowel(1.0, 1), silence(1))
    first, second = spans(run(audio))
    assert first == pytest.approx((1.0, 2.5), abs=0.15)
    assert second == pytest.approx((3.7, 4.7), abs=0.15)


@pytest.mark.parametrize("piece", [2, 333, 640, 10_000, 10**9])
def test_the_size_of_pieces_does_not_matter(piece):
    audio = pcm(silence(0.5), vowel(1.0), silence(0.8), vowel(0.6), silence(0.3))
    merged = [event for event in run(audio, piece) if not isinstance(event, Speech)]
    assert merged == [event for event in run(audio) if not isinstance(event, Speech)]


def test_audio_is_contiguous_and_begins_before_the_onset():
    audio = pcm(silence(1), vowel(1.5), silence(1.2))
    events = run(audio, pre_roll_ms=200)
    speech = [event for event in events if isinstance(event, Speech)]
    started = next(event for event in events if isinstance(event, SpeechStarted))
    assert 0.15 * RATE <= started.sample_index - speech[0].sample_index <= 0.35 * RATE
    whole = b"".join(event.pcm for event in speech)
    begin = 2 * speech[0].sample_index
    assert whole == audio[begin : begin + len(whole)]
    position = speech[0].sample_index
    for event in speech:
        assert event.sample_index == position
        position += len(event.pcm) // 2


def test_clicks_are_no_speech():
    click = np.zeros(RATE // 2)
    click[:80] = 0.9 * np.random.default_rng(2).uniform(-1, 1, 80)
    assert run(pcm(silence(0.5), *[click] * 8, silence(1))) == []


def test_quiet_hum_is_no_speech():
    assert run(pcm(0.01 * vowel(3))) == []


def coloured(exponent: float, seconds: float = 20) -> np.ndarray:
    """Noise whose power falls with this power of the frequency: 0 white, 1 pink, 2 brown; level 1."""
    count = int(seconds * RATE)
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
    noise = np.fft.rfft(np.random.default_rng(3).standard_normal(count)) * frequencies ** (-exponent / 2)
    sound = np.fft.irfft(noise, count)
    return sound / sound.std()


def hum(seconds: float = 20) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 8))


@pytest.mark.parametrize("noise", [coloured(0), coloured(1), hum()], ids=["white", "pink", "hum"])
@pytest.mark.parametrize("dbfs", [-60, -45, -30])
def test_steady_noise_is_no_speech(noise, dbfs):
    heard = spans(run(pcm(noise * 10 ** (dbfs / 20))))
    assert [start for start, _ in heard if start > 0.5] == []  # nobody can tell in its first moment


def test_speech_stands_out_of_noise():
    audio = pcm(np.concatenate([silence(1), vowel(1.5), silence(1.2)]) + 0.005 * coloured(1, 3.7))
    assert [span for span in spans(run(audio)) if span[0] > 0.5] == [pytest.approx((1.0, 2.5), abs=0.15)]


def test_an_onset_is_told_within_a_tenth_of_a_second():
    endpointer, audio = Endpointer(), pcm(silence(1), vowel(1))
    told = next(at for at in range(0, len(audio), 640) if endpointer.push(audio[at : at + 640]))
    assert told / 2 / RATE == pytest.approx(1.05, abs=0.05)


def test_speech_that_goes_on_is_told_of_and_pauses_are_not():
    events = run(pcm(silence(1), vowel(1), silence(0.3), vowel(1), silence(1)), hangover_ms=400)
    told = [event.sample_index / RATE for event in events if isinstance(event, SpeechGoesOn)]
    assert np.diff([1.0, *[at for at in told if at < 2.1]]).max() <= 0.2
    assert [at for at in told if 2.15 < at < 2.3 or at > 3.45] == []
    assert np.diff(told).min() >= 0.09


def test_a_pause_shorter_than_the_hangover_ends_nothing():
    audio = pcm(silence(0.5), vowel(1), silence(0.4), vowel(1), silence(1))
    assert len(spans(run(audio, hangover_ms=800))) == 1
    assert len(spans(run(audio, hangover_ms=200))) == 2


def test_endless_speech_is_cut_and_nothing_is_lost():
    audio = pcm(vowel(13))
    events = run(audio, max_speech_ms=4000)
    speech = [event for event in events if isinstance(event, Speech)]
    lengths, length = [], 0
    for event in events:
        if isinstance(event, Speech):
            length += len(event.pcm) // 2
        elif isinstance(event, SpeechEnded):
            lengths.append(length / RATE)
            length = 0
    assert max(lengths) <= 4.05
    assert sum(len(event.pcm) for event in speech) >= len(audio) - 2 * RATE // 5


def test_speech_still_going_on_ends_with_the_stream():
    assert spans(run(pcm(silence(0.5), vowel(1)))) == [pytest.approx((0.5, 1.5), abs=0.15)]


def test_a_pause_is_told_before_it_ends_the_utterance_and_speech_takes_that_back():
    audio = pcm(silence(0.5), vowel(1.0), silence(0.3), vowel(0.6), silence(1.0))
    pieces = [event for event in run(audio, hangover_ms=600) if isinstance(event, Speech)]
    kinds = [is_pause for is_pause, _ in groupby(piece.is_pause for piece in pieces)]
    assert kinds == [False, True, False, True]
    ended = next(event for event in run(audio, hangover_ms=600) if isinstance(event, SpeechEnded))
    assert pause_told_s(pieces) - ended.sample_index / RATE == pytest.approx(0.04, abs=0.02)  # long before it is over


def pause_told_s(pieces: list[Speech]) -> float:
    """From where on the last pause was told."""
    last = next(piece for piece in reversed(pieces) if not piece.is_pause)
    return (last.sample_index + len(last.pcm) // 2) / RATE


def test_a_pause_is_told_later_where_somebody_may_end_softly():
    """The end of a word may sound like no voice, but it is heard; what recognises the word needs it."""
    hiss = 0.01 * np.random.default_rng(2).standard_normal(RATE // 5)
    told_s = []
    for end in (silence(0.2), hiss):
        audio = pcm(silence(0.5), vowel(1.0), end, silence(1.0))
        pieces = [event for event in run(audio, voice=Told(1.5)) if isinstance(event, Speech)]
        told_s.append(pause_told_s(pieces))
    assert told_s == [pytest.approx(1.54, abs=0.021), pytest.approx(1.6, abs=0.021)]


def ended(events: list[Event]) -> SpeechEnded:
    return next(event for event in events if isinstance(event, SpeechEnded))


@pytest.mark.parametrize(
    ("probability", "waited_s"), [(0.95, 0.2), (0.5, 0.4), (0.05, 0.6)], ids=["finished", "unsure", "not finished"]
)
def test_who_surely_has_finished_is_not_waited_for_and_who_surely_has_not_is_waited_for_longer(probability, waited_s):
    audio = pcm(silence(0.5), vowel(1.0), silence(1.0))
    end = ended(run(audio, hangover_ms=400, has_finished=lambda said: probability))
    assert (end.known_index - end.sample_index) / RATE == pytest.approx(waited_s)


def test_it_is_asked_once_in_a_pause_whether_the_speaker_has_finished_and_what_is_told_does_not_outlast_the_pause():
    asked: list[float] = []

    def has_finished(said: bytes) -> float:
        asked.append(len(said) / 2 / RATE)
        return 0.05 if len(asked) == 1 else 0.5

    audio = pcm(silence(0.5), vowel(1.0), silence(0.5), vowel(9.6), silence(1.0))
    end = ended(run(audio, hangover_ms=400, max_speech_ms=60_000, has_finished=has_finished))
    assert end.sample_index / RATE == pytest.approx(11.6, abs=0.15)  # the first pause, of more than 400 ms, is none
    assert (end.known_index - end.sample_index) / RATE == pytest.approx(0.4)
    assert asked == [pytest.approx(1.5, abs=0.2), 8.0]  # the utterance so far, with a little before; its last seconds


def test_nobody_is_asked_where_the_hangover_is_short_anyway():
    audio = pcm(silence(0.5), vowel(1.0), silence(1.0))
    asked = []
    run(audio, hangover_ms=200, has_finished=lambda said: asked.append(said) or 0.0)
    assert asked == []


class Told:
    """Hears a voice until a moment, whatever there is."""

    def __init__(self, until_s: float) -> None:
        self.left = until_s

    def voice_probability(self, pcm: bytes) -> float:
        self.left -= len(pcm) / 2 / RATE
        return float(self.left > 0)


def test_another_detector_tells_whether_an_utterance_goes_on_but_not_when_it_begins():
    soft = 0.01 * np.sin(2 * np.pi * 90 * np.arange(3 * RATE) / RATE)  # for WebRTC no speech
    start, end = spans(run(pcm(silence(1), vowel(1.0), soft), voice=Told(3.0)))[0]
    assert (start, end) == pytest.approx((1.0, 3.0), abs=0.15)
    start, end = spans(run(pcm(silence(1), vowel(4.0)), voice=Told(2.0), max_speech_ms=60_000))[0]
    assert (start, end) == pytest.approx((1.0, 2.0), abs=0.15)


def test_nothing_begins_where_another_detector_hears_no_voice():
    assert run(pcm(silence(1), vowel(4.0)), voice=Told(0.5)) == []


def test_what_is_too_soft_is_silence_whatever_a_detector_hears():
    soft = 0.0005 * np.sin(2 * np.pi * 200 * np.arange(3 * RATE) / RATE)
    ((_, end),) = spans(run(pcm(silence(1), vowel(1.0), soft), voice=Told(9.0)))
    assert end == pytest.approx(2.0, abs=0.15)
