"""The acoustic model, against the decoder that it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pocketsphinx import Decoder, get_model_path
from scipy.signal import resample_poly

from portrait.sound import phones, spectrum
from services.tts import espeak_ng

SENTENCE = "The quick brown fox jumps over the lazy dog, while many people bring warm bread from the village market."


@pytest.fixture(scope="module")
def pcm() -> np.ndarray:
    """A sentence as int16 at 16 kHz, over the faint hiss that every microphone has."""
    speech = resample_poly(espeak_ng.speak(SENTENCE, "en-us").samples, 320, 441)
    hiss = np.random.default_rng(0).normal(0, 20, len(speech))
    return (speech * 16_000 + hiss).astype(np.int16)


def decoder_scores(pcm: np.ndarray, folder: Path) -> np.ndarray:
    """The 126 log-likelihoods of each frame as pocketsphinx computes and logs them."""
    model = Path(get_model_path("en-us"))
    decoder = Decoder(
        hmm=str(model / "en-us"), allphone=str(model / "en-us-phone.lm.bin"), lm=None, dict=None,
        senlogdir=str(folder), compallsen=True, loglevel="FATAL",
    )  # fmt: skip
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), full_utt=True)
    decoder.end_utt()
    log = next(folder.iterdir()).read_bytes()
    frames = np.frombuffer(log[log.index(b"endhdr\n") + 7 + 4 :], "<i2").reshape(-1, 1 + 5126)
    return frames[:, 1 : 1 + phones.STATE_COUNT] * np.float32(-1024 * np.log(1.0001))


def own_scores(pcm: np.ndarray) -> np.ndarray:
    """Ours, with the mean of the whole utterance taken off as the decoder does."""
    power = spectrum.power_spectra(np.append(0, pcm / 32768).astype(np.float32))
    bands = spectrum.NoiseRemoval()(power @ spectrum.cepstral_filters())
    cepstra = spectrum.cepstra(np.log(bands + 1e-4))
    cepstra -= cepstra[cepstra[:, 0] >= 0].mean(axis=0)
    return phones.acoustic_model().scores(phones.with_deltas(np.pad(cepstra, ((3, 3), (0, 0)), mode="edge")))


def test_scores_are_those_of_pocketsphinx(pcm: np.ndarray, tmp_path: Path) -> None:
    theirs = decoder_scores(pcm, tmp_path)
    ours = own_scores(pcm)
    assert 0 <= len(theirs) - len(ours) <= 1  # it also scores the last, partial frame
    theirs = theirs[: len(ours)]
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(theirs, ours, strict=True)]
    assert np.median(correlations) > 0.98
    assert np.quantile(correlations, 0.05) > 0.94
    p, q = phones.posteriors(theirs), phones.posteriors(ours)
    assert np.corrcoef(p.ravel(), q.ravel())[0, 1] > 0.985
    assert (p.argmax(axis=1) == q.argmax(axis=1)).mean() > 0.85


def test_bilabials_are_heard_in_their_words_and_silence_around_them() -> None:
    def heard(text: str) -> np.ndarray:
        speech = resample_poly(espeak_ng.speak(text, "en-us").samples, 320, 441)
        quiet = np.random.default_rng(0).normal(0, 20, len(speech) + 16_000)
        quiet[8_000:-8_000] += speech * 16_000
        return phones.posteriors(own_scores(quiet.astype(np.int16)))

    closed = sorted(phones.BILABIALS)
    with_lips, without = heard("Mama, mama, mama."), heard("See a tea, see a tea.")
    assert (with_lips[:, closed].sum(axis=1) > 0.4).mean() > 3 * (without[:, closed].sum(axis=1) > 0.4).mean() + 0.03
    assert without[5:40, phones.SILENCE].mean() > 3 * without[60:-60, phones.SILENCE].mean()


def test_posteriors_are_probabilities() -> None:
    scores = np.random.default_rng(0).normal(-1000, 30, (7, phones.STATE_COUNT)).astype(np.float32)
    found = phones.posteriors(scores)
    assert found.shape == (7, 42)
    assert found.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)


def test_slopes_and_curvatures() -> None:
    time = np.arange(20, dtype=np.float32)[:, None].repeat(13, axis=1)
    found = phones.with_deltas(time**2)
    assert found.shape == (14, 39)
    assert (found[:, :13] == time[3:-3] ** 2).all()
    assert (found[:, 13:26] == 8 * time[3:-3]).all()
    assert (found[:, 26:] == 16).all()


def test_scores_do_not_depend_on_how_frames_are_grouped() -> None:
    model = phones.acoustic_model()
    features = np.random.default_rng(0).normal(0, 5, (150, 39)).astype(np.float32)
    one_by_one = np.concatenate([model.scores(features[i : i + 1]) for i in range(150)])
    assert model.scores(features) == pytest.approx(one_by_one, abs=1e-2)
    assert model.scores(features[:0]).shape == (0, 126)


def test_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "en-us").mkdir()
    (tmp_path / "en-us" / "mdef").write_bytes(b"BMDF" + bytes(8) + (1).to_bytes(4, "little") + bytes(36) + b"AA\0")
    monkeypatch.setattr("pocketsphinx.get_model_path", lambda _: str(tmp_path))
    phones.acoustic_model.cache_clear()
    with pytest.raises(ValueError, match="other phones"):
        phones.acoustic_model()
