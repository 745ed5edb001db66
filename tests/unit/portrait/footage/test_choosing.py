"""What is kept of a recording hangs together by jumps that nobody sees."""

from __future__ import annotations

import numpy as np
import pytest

from portrait.footage.choosing import choose, stretches
from portrait.footage.jumps import SEEN, Looks, steps
from portrait.footage.walk import Walk


def _looks(frames: int, *, period: float = 97.0, blinks: bool = True, drift: float = 0.0) -> Looks:
    """A head that sways, noise on the picture, and a blink every four seconds."""
    rng = np.random.default_rng(5)
    time = np.arange(frames)
    sway = np.stack([np.sin(time * 2 * np.pi / period), 0.6 * np.sin(time * 2 * np.pi / (0.61 * period))], axis=1)
    head = 0.05 * np.tile(sway, (1, 8)) + drift * time[:, None]
    scene = rng.normal(0, 30, (16, 200))
    picture = 100 + head @ scene * 4 + rng.normal(0, 0.5, (frames, 200))
    eyes = np.tile([0.3, 0.0, 0.0], (frames, 2)) + rng.normal(0, 0.004, (frames, 6))
    if blinks:
        for at in range(40, frames - 4, 100):
            eyes[at : at + 4][:, [0, 3]] = 0.05
    looks = (np.asarray(each, np.float32) for each in (picture, head, eyes, np.gradient(head, axis=0)))
    return Looks(*looks)


def test_the_longest_stretches_are_taken_first() -> None:
    found = np.ones(1000, bool)
    found[650] = False
    segments = [(0, 100), (100, 600), (600, 700), (700, 1000)]
    assert stretches(segments, found, 900) == [(0, 100), (100, 600), (700, 1000)]
    assert stretches(segments, found, 700) == [(100, 600), (750, 950)]
    assert stretches(segments, found, 300) == [(200, 500)]
    assert stretches([(0, 40), (40, 70)], found, 1000) == [(0, 40)]


@pytest.mark.parametrize("parts", [[(0, 700)], [(0, 300), (300, 700)]])
def test_seams_are_not_seen(parts: list[tuple[int, int]]) -> None:
    looks = _looks(700)
    kept, footage = choose(looks, parts)
    assert len(kept) > 500 and len(footage.jumps) > 10
    walk = Walk(footage)
    pictures = walk.at(range(len(walk))).blend(looks[kept].picture)
    differences = np.linalg.norm(np.diff(pictures, axis=0), axis=1)
    assert differences.max() <= SEEN * steps(looks.picture, parts) * 1.02


def test_no_blink_is_cut_in_two() -> None:
    looks = _looks(700)
    kept, footage = choose(looks, [(0, 700)])
    opening = looks[kept].eyes[:, 0]
    assert opening[footage.jumps].min() > 0.2


def test_the_idle_loop_is_calm_and_neither_short_nor_long() -> None:
    looks = _looks(1400)
    looks.motion[700:] *= 3
    kept, footage = choose(looks, [(0, 1400)])
    assert 200 <= footage.idle_length <= 625
    assert kept[footage.jumps[0]].max() < 750


def test_landings_look_alike() -> None:
    looks = _looks(700)
    kept, footage = choose(looks, [(0, 700)])
    head, first = looks[kept].head, footage.jumps[0, 1]
    apart = np.abs(head - head[first + footage.landings]).max(axis=1)
    assert np.median(apart) < 0.1 * np.ptp(head)


@pytest.mark.parametrize("frames", [3, 8, 30])
def test_footage_too_short_to_wander_in_still_loops(frames: int) -> None:
    kept, footage = choose(_looks(frames, blinks=False, drift=0.05), [(0, frames)])
    assert len(footage.jumps) == 1
    assert footage.idle_length >= frames // 2
    walk = Walk(footage)
    assert walk.at(range(100)).frames.max() < len(kept)
