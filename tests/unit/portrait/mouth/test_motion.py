"""Speech to shape: learns what is there, shuts on bilabials, and sees a window only."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.compute.workers import Workers
from portrait.mouth.hearing import DIRECTIONS, Directions
from portrait.mouth.motion import FUTURE, PAST, Motion, Speech, shutting, train_motion, window
from portrait.mouth.shape import COMPONENTS
from portrait.sound.audio import BILABIALS, MEL, POSTERIOR
from portrait.sound.encoder import BLOCK, TOKENS

RNG = np.random.default_rng(0)
OPENING = np.eye(COMPONENTS, dtype=np.float32)[0] * 0.05


def _features(length: int) -> np.ndarray:
    """Twelve smooth causes behind eighty bands, as a spectrum has; no phone is heard."""
    rng = np.random.default_rng(1)
    causes = np.apply_along_axis(lambda x: np.convolve(x, np.ones(9) / 3, "same"), 0, rng.normal(size=(length, 12)))
    features = np.zeros((length, 248), np.float32)
    features[:, MEL] = causes @ rng.normal(size=(12, 80)) / 3
    return features


@pytest.fixture(scope="module")
def taught() -> tuple[Motion, np.ndarray, np.ndarray]:
    features = _features(2400)
    wanted = np.zeros((600, COMPONENTS), np.float32)
    wanted[:, 0] = features[2::4, 3]
    wanted[:, 0] /= wanted[:, 0].std()
    motion = train_motion([Speech(features, 0)], wanted[:500], np.ones(500, bool), OPENING, seed=0, steps=60, nets=1)
    return motion, features, wanted


def test_it_learns_a_motion_that_can_be_heard(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    motion, features, wanted = taught
    heard = motion.coefficients(window(features, 500, 100))
    assert np.corrcoef(heard[:, 0], wanted[500:, 0])[0, 1] > 0.6


def test_nets_that_learn_side_by_side_learn_the_same(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    _, features, wanted = taught
    speech = [Speech(features, 0)]
    alone = train_motion(speech, wanted, np.ones(600, bool), OPENING, seed=3, steps=5, nets=2)
    told: list[int] = []
    with Workers(2) as workers:
        beside = train_motion(speech, wanted, np.ones(600, bool), OPENING, seed=3, steps=5, nets=2, workers=workers,
                              on_step=lambda step, steps, loss: told.append(step))  # fmt: skip
    assert told == [1, 2]
    assert alone.state.keys() == beside.state.keys()
    assert all((alone.state[name] == beside.state[name]).all() for name in alone.state)


def test_a_window_says_the_same_as_the_whole(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    motion, features, _ = taught
    whole = motion.coefficients(window(features, 0, 600))
    assert motion.coefficients(window(features, 211, 7)) == pytest.approx(whole[211:218], abs=1e-4)
    changed = features.copy()
    changed[4 * 300 + FUTURE :] += 1
    changed[: 4 * 300 - PAST] -= 1
    assert motion.coefficients(window(changed, 300, 1)) == pytest.approx(whole[300:301], abs=1e-4)


def test_lips_shut_on_m(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    motion, features, _ = taught
    plain = motion.coefficients(window(features, 520, 40)) @ OPENING
    said = features.copy()
    said[4 * 540 : 4 * 540 + 4, POSTERIOR.start + min(BILABIALS)] = 1.0
    spoken = motion.coefficients(window(said, 520, 40)) @ OPENING
    assert plain.max() > motion.state["closed"][0]
    assert spoken[20] <= motion.state["closed"][0] + 1e-4


def test_lips_shut_as_told_and_as_far(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    motion, features, _ = taught
    closed = motion.state["closed"][0]
    heard = motion.coefficients(window(features, 520, 40)) @ OPENING
    open_at = int(heard.argmax())
    told = np.zeros(40)
    told[open_at] = 1
    shut = motion.coefficients(window(features, 520, 40), told) @ OPENING
    half = motion.coefficients(window(features, 520, 40), told / 2) @ OPENING
    assert shut[open_at] == pytest.approx(closed, abs=1e-4)
    assert half[open_at] - closed == pytest.approx((heard[open_at] - closed) / 2, rel=0.01)
    assert np.delete(shut, open_at) == pytest.approx(np.delete(heard, open_at), abs=1e-6)


def test_shift_moves_the_window() -> None:
    features = np.arange(1000, dtype=np.float32)[:, None].repeat(248, axis=1)
    assert Speech(features, 5).window(100, 1)[PAST, 0] == 405
    assert len(Speech(features, 5).window(100, 3)) == 4 * 3 + PAST + FUTURE - 4
    assert window(features, 0, 1)[0, 0] == 0


def test_lips_shut_in_a_pause_but_not_in_a_gap_inside_a_word(taught: tuple[Motion, np.ndarray, np.ndarray]) -> None:
    _, features, _ = taught
    silent = features.copy()
    silent[:, MEL] = 0
    silent[4 * 540 : 4 * 560, MEL] = -1.4
    silent[4 * 580 : 4 * 580 + 6, MEL] = -1.4
    will = shutting(window(silent, 520, 80))
    assert will[22:38] == pytest.approx(1.0)
    assert will[[0, 10, 50]] == pytest.approx(0.0)
    assert will[58:64].max() == 0


@pytest.fixture(scope="module")
def taught_by_tokens() -> tuple[Motion, np.ndarray, np.ndarray, np.ndarray]:
    """A motion of which only the tokens tell; they belong to block after block, each with its own view of the past."""
    rng, width = np.random.default_rng(4), 80
    causes = np.apply_along_axis(lambda x: np.convolve(x, np.ones(5) / 2, "same"), 0, rng.normal(size=(1300, 12)))
    moments = (causes @ rng.normal(size=(12, width))).astype(np.float32)  # 50 a second
    first = 2 * BLOCK * np.arange(150)[:, None] + np.arange(TOKENS)  # from half a second before the block on
    tokens = moments[first] + rng.normal(0, 0.2, (150, TOKENS, width)).astype(np.float32)
    learned = Directions.learn(tokens[:120, PAST // 2 : PAST // 2 + 2 * BLOCK].reshape(-1, width))
    directions, features = Directions(learned)(tokens), _features(2400)
    wanted = np.zeros((600, COMPONENTS), np.float32)
    wanted[:, 0] = causes[PAST // 2 + 1 : PAST // 2 + 1201 : 2, 3]
    wanted[:, 0] /= wanted[:, 0].std()
    motion = train_motion([Speech(features, 0, directions)], wanted[:480], np.ones(480, bool), OPENING, seed=0,
                          steps=20, nets=1, directions=learned)  # fmt: skip
    return motion, features, directions, wanted


def test_it_learns_a_motion_that_only_an_encoder_hears(
    taught_by_tokens: tuple[Motion, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    motion, features, directions, wanted = taught_by_tokens
    told = motion.coefficients(window(features, 480, 118), directions=directions[120:])
    assert len(told) == 118  # the last block is not whole
    assert np.corrcoef(told[:, 0], wanted[480:598, 0])[0, 1] > 0.6


def test_blocks_say_the_same_as_the_whole(
    taught_by_tokens: tuple[Motion, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    motion, features, directions, _ = taught_by_tokens
    whole = motion.coefficients(window(features, 0, 600), directions=directions)
    some = motion.coefficients(window(features, 212, 8), directions=directions[53:55])
    assert some == pytest.approx(whole[212:220], abs=1e-4)


def test_the_directions_that_count_come_first_and_are_bounded() -> None:
    tokens = RNG.normal(size=(3000, 100)).astype(np.float32) * np.linspace(1, 9, 100, dtype=np.float32)
    told = Directions(Directions.learn(tokens))
    deviations = told(tokens / 100).std(axis=0)
    assert deviations.shape == (DIRECTIONS,)
    assert (np.diff(deviations) < 0).all()
    assert np.abs(told(1000 * tokens)).max() == 5
