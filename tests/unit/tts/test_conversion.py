"""Speech that is changed while it is spoken is what it would be if all of it were changed at once."""

from __future__ import annotations

import numpy as np
import pytest

from services.tts import timing, world
from services.tts.conversion import Change, Conversion, changed
from services.tts.engine import LipClosure, SpokenWord
from services.tts.phonemic import Spoken

RATE = world.SAMPLE_RATE
HIGHER = Change(semitones=4)


def buzz(seconds: float, hertz: float = 110) -> np.ndarray:
    """A voice that says nothing: pulses through two resonances."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    return sum(
        np.cos(2 * np.pi * hertz * k * time_s) * (np.exp(-(((hertz * k - 600) / 300) ** 2)) + 0.02)
        for k in range(1, 40)
    ).astype(np.float32) / 12  # fmt: skip


def syllables(count: int) -> np.ndarray:
    """A quarter of a second of voice, a hiss, again and again."""
    noise = np.random.default_rng(1)
    parts = []
    for index in range(count):
        parts += [buzz(0.25, 100 + 10 * (index % 3)), 0.02 * noise.standard_normal(round(0.12 * RATE))]
    return np.concatenate(parts).astype(np.float32)


def pieces_of(samples: np.ndarray, change: Change, size: int = 5000) -> list[np.ndarray]:
    """What comes out where it comes in by so many samples."""
    conversion = Conversion(change)
    given = [piece for at in range(0, len(samples), size) for piece in conversion.push(samples[at : at + size])]
    return [*given, *conversion.end()]


@pytest.mark.parametrize("change", [HIGHER, Change(rate=0.7), Change(rate=1.8), Change(gain=0.5)])
@pytest.mark.parametrize("size", [700, 10**9])
def test_pieces_are_what_the_whole_would_be(change: Change, size: int) -> None:
    samples = syllables(12)
    pieces = pieces_of(samples, change, size)
    whole = world.synthesise(change.of(world.analyse(samples)), change.rate) * change.gain
    joined = np.concatenate(pieces)
    assert len(pieces) > 3
    assert len(joined) == pytest.approx(len(samples) / change.rate, abs=2)
    size = min(len(joined), len(whole))
    ours, theirs = (world.analyse(one[:size]) for one in (joined, whole))
    loud = theirs.active_beside(theirs.loud + 2.0)  # the voice: a hiss is never twice the same
    assert np.abs(ours.cepstra - theirs.cepstra)[loud].mean() < 0.25
    agree = ours.voiced & theirs.voiced
    assert agree.sum() > 0.9 * theirs.voiced.sum()
    assert np.median(np.abs(np.log(ours.f0[agree] / theirs.f0[agree]))) < 0.01


def test_a_smaller_head_speaks_higher_in_its_resonances_too() -> None:
    """The one of `buzz` at 600 Hz, among pulses that stay where they were."""
    samples = buzz(2, 100)
    joined = np.concatenate(pieces_of(samples, Change(resonances=1.2)))

    def strongest_hz(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
        near = (hertz > 200) & (hertz < 1200)
        return float((power * hertz)[near].sum() / power[near].sum())

    assert strongest_hz(joined) / strongest_hz(samples) == pytest.approx(1.2, abs=0.05)
    f0 = world.pitch(joined)
    assert np.median(f0[f0 > 0]) == pytest.approx(100, rel=0.03)


def test_nothing_clicks_where_pieces_meet() -> None:
    pieces = pieces_of(syllables(12), HIGHER)
    joined = np.concatenate(pieces)
    steps = np.abs(np.diff(joined))
    seams = np.cumsum([len(piece) for piece in pieces])[:-1]
    assert max(steps[seam - 5 : seam + 5].max() for seam in seams) < 0.3 * steps.max()


def test_the_first_piece_comes_before_a_second_has_been_heard() -> None:
    assert list(Conversion(HIGHER).push(syllables(2)))


def test_a_voice_that_never_pauses_is_given_out_before_it_ends() -> None:
    samples, conversion = buzz(6), Conversion(HIGHER)
    given = list(conversion.push(samples))
    assert given
    joined = np.concatenate([*given, *conversion.end()])
    assert len(joined) == pytest.approx(len(samples), abs=2)
    levels = np.sqrt((joined[: len(joined) // 240 * 240].reshape(-1, 240) ** 2).mean(1))[5:-5]
    assert levels.min() > 0.3 * levels.max()


@pytest.mark.parametrize("rate", [1.0, 1.5])
def test_each_word_and_closure_is_told_once_and_when_it_is(rate: float) -> None:
    samples = syllables(10)
    words = tuple(SpokenWord(str(at), at * 0.37, at * 0.37 + 0.25) for at in range(10))
    closures = tuple(LipClosure(at * 0.37 + 0.3, at * 0.37 + 0.35) for at in range(10))
    half = len(samples) // 2
    spoken = [
        Spoken(samples[:half], words[:5], closures[:5]),
        Spoken(
            samples[half:], timing.later(words[5:], -half / RATE), timing.later(closures[5:], -half / RATE)
        ),
    ]  # fmt: skip
    told, shut, begun = [], [], 0.0
    for piece in changed(spoken, Change(rate=rate)):
        assert all(0 <= word.start_s < len(piece.samples) / RATE for word in piece.words)
        told += timing.later(piece.words, begun)
        shut += timing.later(piece.closures, begun)
        begun += len(piece.samples) / RATE
    assert [word.text for word in told] == [word.text for word in words]
    assert [word.start_s for word in told] == pytest.approx([word.start_s / rate for word in words])
    assert [span.end_s for span in shut] == pytest.approx([span.end_s / rate for span in closures])


def test_silence_stays_silent_and_nothing_stays_nothing() -> None:
    pause = np.zeros(RATE // 2, np.float32)
    joined = np.concatenate(pieces_of(np.concatenate([syllables(3), pause]), HIGHER))
    assert not joined[-len(pause) + 200 :].any()
    assert not np.concatenate(pieces_of(pause, HIGHER)).any()
    assert len(np.concatenate(pieces_of(pause, HIGHER))) == len(pause)
    assert pieces_of(np.zeros(0, np.float32), HIGHER) == []
