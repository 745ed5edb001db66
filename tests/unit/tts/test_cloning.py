"""What a voice is turned into another with: frames by differences, pitch without a fundamental."""

from __future__ import annotations

import numpy as np
import pytest

from services.tts import cloning, world
from services.tts.base_voice import ENGLISH, known_by
from services.tts.engines.espeak import plain

SENTENCE = "We will meet again on Thursday afternoon to talk about the new plan for the school."


@pytest.fixture(scope="module")
def bank() -> list[world.Frames]:
    return [world.analyse(plain(language, text)) for language, text in ENGLISH[:3]]


def louder_above(frames: world.Frames) -> world.Frames:
    """Somebody whose spectra fall less."""
    cepstra = frames.cepstra.copy()
    cepstra[:, 1] -= 1.0
    return world.Frames(frames.f0 * 1.3, cepstra, frames.aperiodicity)


def test_who_is_like_the_base_voice_is_left_as_it_speaks(bank: list[world.Frames]) -> None:
    """Sounds stay sharp: a frame is moved by a difference, not replaced by a mean of frames."""
    person = cloning.learn(cloning.joined(bank), [bank])
    frames = world.analyse(plain("en-us", SENTENCE))
    spoken = frames.active
    moved = np.abs(person.convert(frames).cepstra - frames.cepstra)[spoken, 1:20].mean()
    assert moved < 0.25 * frames.cepstra[spoken, 1:20].std(0).mean()


def test_what_the_person_has_more_is_added_to_what_was_never_recorded(bank: list[world.Frames]) -> None:
    person = cloning.learn(louder_above(cloning.joined(bank)), [bank])
    frames = world.analyse(plain("en-us", SENTENCE))
    converted, spoken = person.convert(frames), frames.active
    assert (converted.cepstra - frames.cepstra)[spoken, 1].mean() == pytest.approx(-1.0, abs=0.15)
    assert np.corrcoef(converted.cepstra[spoken, 1], frames.cepstra[spoken, 1])[0, 1] > 0.9
    voiced = frames.voiced
    assert np.median(converted.f0[voiced] / frames.f0[voiced]) == pytest.approx(1.3, rel=0.15)


@pytest.mark.parametrize("lowest", [1, 3])
def test_pitch_is_heard_without_its_fundamental(lowest: int) -> None:
    seconds = np.arange(world.SAMPLE_RATE) / world.SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * 110 * harmonic * seconds) / harmonic for harmonic in range(lowest, 20))
    f0 = world.pitch((0.2 * voice).astype(np.float32), by_halves=True)[20:-20]
    assert np.median(f0[f0 > 0]) == pytest.approx(110, rel=0.02)
    assert np.mean(f0 > 0) > 0.9


def test_a_voice_of_another_language_is_known_by_that_too() -> None:
    assert known_by("en-gb") == ENGLISH
    assert [language for language, _ in known_by("cmn")][:3] == ["cmn", "cmn", "en-us"]
    assert known_by("sv") == ENGLISH
