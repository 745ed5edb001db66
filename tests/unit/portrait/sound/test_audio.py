"""What the talking head hears, whole or streamed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.signal import resample_poly

from portrait.sound import audio
from services.tts import espeak_ng

SENTENCES = (
    "The quick brown fox jumps over the lazy dog, while many people bring warm bread from the village market.",
    "She sells sea shells by the shore, and they measure the beige garage before the moving van arrives.",
)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two sentences, some 12 s, over a faint hiss."""
    spoken = np.concatenate([espeak_ng.speak(sentence, "en-us").samples for sentence in SENTENCES])
    samples = resample_poly(0.4 * spoken, 320, 441)
    return (samples + np.random.default_rng(0).normal(0, 5e-4, len(samples))).astype(np.float32)


@pytest.fixture(scope="module")
def heard(speech: np.ndarray) -> np.ndarray:
    return audio.features(speech)


def stream_in_pieces(stream: audio.FeatureStream, samples: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(rng.integers(0, 3000, len(samples) // 1000))
    pieces = [stream.push(piece) for piece in np.split(samples, cuts[cuts < len(samples)])]
    return np.concatenate([*pieces, stream.flush()])


def test_shape_and_scale(heard: np.ndarray, speech: np.ndarray) -> None:
    assert heard.shape == (-(-len(speech) // 160), audio.FEATURE_SIZE)
    assert heard.dtype == np.float32
    assert heard[:, audio.POSTERIOR].sum(axis=1) == pytest.approx(np.ones(len(heard)), abs=1e-4)
    for part in (audio.MEL, audio.SCORE):
        assert abs(heard[:, part].mean()) < 0.5
        assert 0.5 < heard[:, part].std() < 1.5
        assert np.abs(heard[:, part]).max() < 8


@pytest.mark.parametrize("count", [0, 1, 160, 161, 640, 5000])
def test_one_row_per_started_ten_milliseconds(speech: np.ndarray, count: int) -> None:
    assert audio.features(speech[8000 : 8000 + count]).shape == (-(-count // 160), 248)


def test_pieces_are_heard_as_the_whole_is(speech: np.ndarray, heard: np.ndarray) -> None:
    for seed in range(2):
        assert stream_in_pieces(audio.FeatureStream(speech), speech, seed) == pytest.approx(heard, abs=1e-3)


def test_an_unknown_voice_is_soon_heard_as_a_known_one(speech: np.ndarray, heard: np.ndarray) -> None:
    cold = stream_in_pieces(audio.FeatureStream(), speech)
    late = slice(300, None)
    known, unknown = heard[late, audio.POSTERIOR].ravel(), cold[late, audio.POSTERIOR].ravel()
    assert np.corrcoef(known, unknown)[0, 1] > 0.95
    assert np.abs(heard[late, audio.MEL] - cold[late, audio.MEL]).mean() < 0.25


def test_features_wait_for_no_more_than_the_look_ahead(speech: np.ndarray, heard: np.ndarray) -> None:
    stream, told = audio.FeatureStream(speech), 0
    for end in range(0, 16_000, 320):
        told += len(stream.push(speech[end : end + 320]))
        assert told == max(0, (end + 320 - audio.LOOK_AHEAD_SAMPLES) // 160)
    assert audio.LOOK_AHEAD_SAMPLES <= 1600


def test_level_does_not_matter(speech: np.ndarray, heard: np.ndarray) -> None:
    quiet = audio.features(speech / 8)
    assert np.corrcoef(quiet[:, audio.POSTERIOR].ravel(), heard[:, audio.POSTERIOR].ravel())[0, 1] > 0.98
    assert np.abs(quiet[:, audio.MEL] - heard[:, audio.MEL]).mean() < 0.2


def test_a_long_silence_does_not_change_how_speech_is_heard(speech: np.ndarray) -> None:
    hiss = np.random.default_rng(1).normal(0, 5e-4, 120 * 16_000).astype(np.float32)
    paused, unpaused = audio.FeatureStream(speech), audio.FeatureStream(speech)
    paused.push(hiss)
    paused.flush()
    after, before = paused.push(speech)[100:], unpaused.push(speech)[100:]
    assert np.corrcoef(after[:, audio.POSTERIOR].ravel(), before[:, audio.POSTERIOR].ravel())[0, 1] > 0.97
    assert np.abs(after[:, audio.MEL] - before[:, audio.MEL]).mean() < 0.15


def test_digital_silence_is_heard_as_silence(speech: np.ndarray) -> None:
    stream = audio.FeatureStream(speech)
    silent = np.concatenate([stream.push(np.zeros(16_000, np.float32)), stream.flush()])
    assert np.isfinite(silent).all()
    assert (silent[20:, audio.POSTERIOR].argmax(axis=1) == audio.SILENCE).mean() > 0.9


def test_memory_is_bounded(speech: np.ndarray) -> None:
    stream = audio.FeatureStream()
    sizes = []
    for _ in range(3):
        stream.push(speech[:160_000])
        sizes.append(len(pickle.dumps(stream)))
    assert sizes[1] == sizes[2]


def test_another_vocal_tract_sounds_different_but_says_the_same(speech: np.ndarray, heard: np.ndarray) -> None:
    warped = audio.features(speech, warp=1.12)
    assert np.abs(warped[:, audio.MEL] - heard[:, audio.MEL]).mean() > 0.1
    assert np.corrcoef(warped[:, audio.POSTERIOR].ravel(), heard[:, audio.POSTERIOR].ravel())[0, 1] > 0.5


@pytest.mark.parametrize("samples", [np.full(400, np.nan), np.zeros((2, 400))])
def test_what_is_not_one_channel_of_numbers_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one channel"):
        audio.FeatureStream().push(samples)


def test_a_row_stands_for_its_own_ten_milliseconds(speech: np.ndarray) -> None:
    samples = speech.copy()
    samples[100 * 160 :] = 0
    samples[120 * 160 : 121 * 160] = np.random.default_rng(2).normal(0, 0.1, 160)
    assert 105 + audio.features(samples)[105:140, audio.MEL].mean(axis=1).argmax() == 120
