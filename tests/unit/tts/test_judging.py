"""What is told of a reference recording: of sound made here, and of real ones where they lie beside the project."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from services.common.audio import decode, from_pcm, to_pcm
from services.tts import espeak_ng, judging, world
from services.tts.judging import NOISY_DB, judge

RATE = world.SAMPLE_RATE
REAL = Path(__file__).parents[4] / "shared" / "data" / "speech"
TEXT = "Some call me nature, others call me mother nature. I have been here for over four and a half billion years."
SPEECH_DB = -20.0


def person(variant: str) -> np.ndarray:
    """Some seconds of a made-up person, loud as people speak."""
    samples = world.resampled(espeak_ng.speak(TEXT, f"gmw/en+{variant}", 150).samples, espeak_ng.SAMPLE_RATE)
    loud = samples[np.abs(samples) > 0.05 * np.abs(samples).max()]
    return np.asarray(samples * 10 ** (SPEECH_DB / 20) / np.sqrt(np.mean(loud**2)), np.float32)


def with_noise(samples: np.ndarray, below_db: float) -> np.ndarray:
    """White noise mixed in, so far below the speech."""
    window = RATE // 50
    power = (samples[: len(samples) // window * window].reshape(-1, window) ** 2).mean(1)
    speech = power[power > np.percentile(power, 95) / 10**1.5].mean()
    noise = np.random.default_rng(0).normal(0, np.sqrt(speech) * 10 ** (-below_db / 20), len(samples))
    return np.clip(samples + noise, -1, 1).astype(np.float32)


def overdriven(samples: np.ndarray, by_db: float) -> np.ndarray:
    """Clipped by so much at twice the rate, as a microphone's converter does, then brought to ours."""
    twice = resample_poly(samples / np.abs(samples).max(), 2, 1)
    half = resample_poly(np.clip(twice * 10 ** (by_db / 20), -1, 1), 1, 2)
    return from_pcm(to_pcm(half.astype(np.float32)))


def told(samples: np.ndarray, seconds: float = 0) -> set[str]:
    return {warning.reason for warning in judge(samples, seconds or len(samples) / RATE).warnings()}


@pytest.fixture(scope="module")
def woman() -> np.ndarray:
    return person("f3")


def test_clean_speech_of_one_person_raises_nothing(woman: np.ndarray) -> None:
    assert told(woman) == set()
    assert told(from_pcm(to_pcm(woman / 30))) == set(), "a low level is made up for"


@pytest.mark.parametrize("below_db", [15, 10, 5])
def test_noise_is_told_and_how_loud_it_is(woman: np.ndarray, below_db: float) -> None:
    noisy = judge(with_noise(woman, below_db), 10)
    assert noisy.signal_to_noise_db == pytest.approx(below_db, abs=2.5)
    assert "NOISY" in {warning.reason for warning in noisy.warnings()}


def test_noise_that_is_hardly_heard_is_let_be(woman: np.ndarray) -> None:
    assert told(with_noise(woman, 30)) == set()


@pytest.mark.parametrize("by_db", [6, 12])
def test_overdriven_sound_is_told_whatever_rate_it_came_at(woman: np.ndarray, by_db: float) -> None:
    assert told(overdriven(woman, by_db)) == {"CLIPPING"}
    assert told(overdriven(woman, -1)) == set()


def test_a_man_and_a_woman_are_told_in_either_order_and_in_turns(woman: np.ndarray) -> None:
    man = person("m3") * np.float32(0.8)
    half = len(woman) // 2
    for joined in ([woman, man], [man, woman], [woman[:half], man, woman[half:]]):
        assert told(np.concatenate(joined)) == {"SEVERAL_SPEAKERS"}
    assert told(np.concatenate([woman, woman * np.float32(0.8)])) == set()


def test_length_is_that_of_the_speech(woman: np.ndarray) -> None:
    silence = np.zeros(20 * RATE, np.float32)
    assert told(np.concatenate([woman[: 3 * RATE], silence])) == {"SPEECH_SHORT"}
    assert told(woman, seconds=judging.LEARNT_S + 1) == {"SPEECH_LONG"}


def test_what_is_no_speech_is_judged_all_the_same() -> None:
    hum = (0.1 * np.sin(2 * np.pi * 50 * np.arange(10 * RATE) / RATE)).astype(np.float32)
    assert {"SPEECH_SHORT", "NOISY"} <= told(hum)
    assert "SPEECH_SHORT" in told(np.full(7, 0.5, np.float32))


def test_a_warning_says_what_to_do_and_names_its_field() -> None:
    for warning in judge(np.full(7, 0.5, np.float32), 301).warnings():
        assert warning.field == "audio"
        assert warning.message.count(".") >= 2


# Real recordings: no path of theirs and no sound of theirs is in the project.


@pytest.fixture(scope="module")
def real() -> dict[str, np.ndarray]:
    files = sorted(REAL.glob("*.wav")) + sorted(REAL.glob("*.flac"))
    if not files:
        pytest.skip("no real recordings beside the project")
    return {file.stem: from_pcm(to_pcm(decode(file, RATE))) for file in files}


def pitch(samples: np.ndarray) -> float:
    f0 = world.pitch(samples)
    return float(12 * np.log2(np.median(f0[f0 > 0])))


def test_real_recordings_raise_nothing_and_worsened_copies_do(real: dict[str, np.ndarray]) -> None:
    for name, samples in real.items():
        length = {"SPEECH_SHORT"}  # most of them are a few seconds long
        assert told(samples) - length == set(), name
        assert "NOISY" in told(with_noise(samples, NOISY_DB - 3)), name
        assert "CLIPPING" in told(overdriven(samples, 6)), name


def test_real_people_of_unlike_pitch_are_told_apart(real: dict[str, np.ndarray]) -> None:
    """From ten semitones on always, of nearly the same pitch never: that takes more than pitch."""
    long = [samples[: 7 * RATE] for samples in real.values() if len(samples) > 5 * RATE]
    people = sorted(((pitch(samples), samples) for samples in long), key=lambda one: one[0])
    apart = []
    for one, other in itertools.combinations([*people[:2], *people[-2:]], 2):
        joined = np.concatenate([one[1], other[1]])
        apart.append((other[0] - one[0], "SEVERAL_SPEAKERS" in told(joined)))
    far = [is_told for semitones, is_told in apart if semitones >= 10]
    near = [is_told for semitones, is_told in apart if semitones < 5]
    assert far and all(far), apart
    assert near and not any(near), apart
