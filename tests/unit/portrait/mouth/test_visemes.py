"""The table that ships: sane phonetics, silence at rest, bilabials shut, and the same live as at once."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.mouth.motion import FUTURE, PAST, window
from portrait.mouth.visemes import GAIN, Visemes, table
from portrait.sound.audio import BILABIALS, FEATURE_SIZE, PHONES, POSTERIOR, SILENCE


def said(*phones: str, sure: float = 0.9, frames: int = 24) -> np.ndarray:
    """Features of phones held for `frames` features each."""
    features = np.zeros((frames * len(phones), FEATURE_SIZE), np.float32)
    for at, phone in enumerate(phones):
        rows = features[at * frames : (at + 1) * frames, POSTERIOR]
        rows[:] = (1 - sure) / (len(PHONES) - 1)
        rows[:, PHONES.index(phone)] = sure
    return features


def openings(features: np.ndarray) -> np.ndarray:
    made = table()
    coefficients = Visemes.of(made).coefficients(window(features, 0, len(features) // 4))
    return coefficients @ made.shape.aperture


def test_the_table_knows_its_phones() -> None:
    rows = table().rows @ table().shape.aperture
    assert rows[[PHONES.index(p) for p in ("AA", "AE", "AW", "AY")]].min() > 0.1
    assert rows[[*BILABIALS]].max() < rows[SILENCE]
    assert rows[[PHONES.index("+NSN+"), PHONES.index("+SPN+")]] == pytest.approx(0, abs=1e-6)


def test_silence_rests_and_vowels_open() -> None:
    made = Visemes.of(table())
    silent = said("SIL", sure=1.0)
    assert np.abs(made.coefficients(window(silent, 0, 6))).max() < 1e-4
    assert openings(said("SIL", "AE", "SIL", frames=48)).argmax() in range(14, 24)
    assert openings(said("AE")).max() > 0.15


@pytest.mark.parametrize("phone", ["B", "M", "P"])
def test_lips_shut_on_bilabials(phone: str) -> None:
    heard = openings(said("AE", phone, "AE"))
    assert heard[:4].min() > 0.1
    assert heard[7:10].min() == pytest.approx(0, abs=2e-3)


def test_lips_shut_where_they_are_told_to() -> None:
    made, features = table(), said("AE", frames=80)
    told = np.zeros(20)
    told[10] = 1
    gaps = Visemes.of(made).coefficients(window(features, 0, 20), told) @ made.shape.aperture
    assert gaps[10] == pytest.approx(0, abs=1e-4)
    assert gaps[[9, 11]].min() > 0.1


def test_lips_never_pass_through_each_other() -> None:
    rng = np.random.default_rng(0)
    features = np.zeros((400, FEATURE_SIZE), np.float32)
    features[:, POSTERIOR] = rng.dirichlet(np.full(len(PHONES), 0.05), 400)
    assert openings(features).min() > -1e-4


def test_a_window_is_all_it_sees() -> None:
    features = said("AE", "M", "S", "UW", "AA", "SIL", frames=40)
    whole = Visemes.of(table()).coefficients(window(features, 0, 60))
    piece = features[4 * 20 - PAST : 4 * 40 + FUTURE - 4 + 4]
    assert np.allclose(Visemes.of(table()).coefficients(piece[: 4 * 20 + PAST + FUTURE - 4]), whole[20:40], atol=1e-5)
    assert Visemes.of(table(), gain=0.5).coefficients(window(features, 0, 60))[8] @ table().shape.aperture == (
        pytest.approx(whole[8] @ table().shape.aperture * 0.5 / GAIN, rel=1e-3)
    )
