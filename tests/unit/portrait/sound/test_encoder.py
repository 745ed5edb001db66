"""A stream hears what a whole recording does, each block in a window that ends with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portrait.errors import EncoderError
from portrait.sound import spectrum
from portrait.sound.encoder import BLOCK_SAMPLES, END, TOKENS, WINDOW, BlockStream, Encoder, fingerprint
from tests import tiny_whisper
from tests.tiny_whisper import make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("encoder"), [" word"], seed=0)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return Encoder(folder)


def _speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that grows and fades three times a second."""
    time = np.arange(round(seconds * 16000)) / 16000
    loud = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    return (0.1 * loud * np.random.default_rng(seed).normal(size=len(time))).astype(np.float32)


def _whole(encoder: Encoder, samples: np.ndarray, **options: float) -> np.ndarray:
    stream = BlockStream(encoder, **options)
    return np.concatenate([stream.push(samples), stream.flush()])


def test_a_stream_hears_what_a_whole_does(encoder: Encoder) -> None:
    speech, rng = _speech(12.3), np.random.default_rng(1)
    stream, told = BlockStream(encoder), []
    for piece in np.split(speech, np.sort(rng.integers(0, len(speech), 40))):
        told.append(stream.push(piece))
    again = np.concatenate([*told, stream.flush()])
    assert np.array_equal(again, _whole(encoder, speech))
    assert np.array_equal(np.concatenate([stream.push(speech), stream.flush()]), again)  # ready for another


@pytest.mark.parametrize("samples", [0, 1, BLOCK_SAMPLES, BLOCK_SAMPLES + 1, 16000])
def test_there_is_a_block_for_every_four_frames_begun(encoder: Encoder, samples: int) -> None:
    tokens = _whole(encoder, _speech(1)[:samples])
    assert tokens.shape == (-(-samples // BLOCK_SAMPLES), TOKENS, encoder.width)
    assert np.isfinite(tokens).all()


def test_a_block_is_told_when_its_window_has_ended(encoder: Encoder) -> None:
    speech, known = _speech(4), 20 * BLOCK_SAMPLES + END * spectrum.HOP + 40
    stream = BlockStream(encoder)
    assert len(stream.push(speech[: known - 1])) == 20
    assert len(stream.push(speech[known - 1 : known])) == 1
    other = np.concatenate([speech[:known], _speech(2, seed=5)])
    assert np.array_equal(_whole(encoder, speech)[:21], _whole(encoder, other)[:21])


def test_it_hears_what_is_said(encoder: Encoder) -> None:
    loud = _speech(3)
    assert np.abs(_whole(encoder, loud) - _whole(encoder, 0 * loud)).mean() > 0.1
    assert np.abs(_whole(encoder, loud, warp=1.1) - _whole(encoder, loud)).mean() > 0.01


def test_sound_that_is_late_is_heard_where_it_belongs(encoder: Encoder) -> None:
    speech, late = _speech(4), 7
    shifted = np.concatenate([np.zeros(late * spectrum.HOP, np.float32), speech])
    there = slice(8, 20)  # away from the ends
    assert _whole(encoder, shifted, shift=late)[there] == pytest.approx(_whole(encoder, speech)[there], abs=0.05)


def test_a_window_ends_in_what_its_block_sees() -> None:
    assert WINDOW % 2 == END % 2 == 0  # a token stands for two spectra
    assert TOKENS <= WINDOW // 2


def test_the_filters_are_whisper_s() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    assert spectrum.whisper_filters() == pytest.approx(FeatureExtractor().mel_filters.T, abs=1e-7)


def test_what_is_no_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.bin").write_bytes(b"junk" * 100)
    with pytest.raises(EncoderError):
        Encoder(tmp_path)
    monkeypatch.setattr(tiny_whisper, "_MELS", 128)  # as large-v3
    with pytest.raises(EncoderError, match="128 mel bands"):
        Encoder(make(tmp_path / "large", [" word"]))


def test_a_training_tries_its_encoder_before_it_begins(tmp_path: Path) -> None:
    from services.common.errors import Unavailable
    from services.train.engine import TrainingTask
    from services.train.engines.portrait import Engine, Settings

    (tmp_path / "model.bin").write_bytes(b"junk" * 100)
    (tmp_path / "clip.mp4").touch()
    task = TrainingTask(tmp_path / "clip.mp4", tmp_path / "work", tmp_path / "avatar", {}, "cpu")
    with pytest.raises(Unavailable) as refusal:
        Engine(Settings(encoder=str(tmp_path))).train(task, lambda progress: None)
    assert refusal.value.reason == "ENCODER_UNUSABLE"


def test_weights_are_told_apart(folder: Path, tmp_path: Path) -> None:
    assert fingerprint(folder) != fingerprint(make(tmp_path / "other", [" word"], seed=1))
