"""Footage plays forwards from jump to jump, the same each time, and comes back to its beginning only after minutes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portrait.footage.jumps import FADE
from portrait.footage.walk import LENGTH, Footage, Walk

IDLE = 70
HEAD_MOTIONS = (0.0, 0.3, 1.0)


def _shown(walk: Walk, positions: range) -> np.ndarray:
    mix = walk.at(positions)
    return mix.frames[np.arange(len(mix)), mix.weights.argmax(axis=1)]


@pytest.mark.parametrize("head_motion", HEAD_MOTIONS)
def test_it_plays_forwards_and_jumps_only_where_it_may(footage: Footage, head_motion: float) -> None:
    walk = Walk(footage, head_motion)
    shown = _shown(walk, range(2 * len(walk) + 1))
    jumped = np.flatnonzero(np.diff(shown) != 1)
    taken = {(int(shown[i]), int(shown[i + 1])) for i in jumped}
    assert taken <= {tuple(jump) for jump in footage.jumps.tolist()}
    assert (np.diff(jumped) >= 50).all()


def test_it_wanders_for_minutes_without_repeating_itself(footage: Footage) -> None:
    walk = Walk(footage)
    assert len(walk) >= LENGTH
    shown = _shown(walk, range(len(walk)))
    for lag in range(50, LENGTH // 2):
        assert (shown[lag:] == shown[:-lag]).mean() < 0.6, lag


@pytest.mark.parametrize("head_motion", HEAD_MOTIONS)
def test_it_begins_with_the_idle_loop_and_ends_where_it_began(footage: Footage, head_motion: float) -> None:
    walk = Walk(footage, head_motion)
    inside = slice(FADE, IDLE - FADE)
    assert np.array_equal(_shown(walk, range(IDLE))[inside], np.arange(20, 90)[inside])
    again = walk.at(range(len(walk), len(walk) + IDLE))
    first = walk.at(range(IDLE))
    assert np.array_equal(again.frames, first.frames) and np.array_equal(again.weights, first.weights)
    idle = Walk(footage, 0).at(range(IDLE))
    assert np.array_equal(first.frames, idle.frames) and np.array_equal(first.weights, idle.weights)


def test_each_jump_is_faded_over(footage: Footage) -> None:
    mix = Walk(footage, 0).at(range(IDLE - 3, IDLE + 3))
    assert mix.weights[:, 1].tolist() == [0, 0.125, 0.375, 0.625, 0.875, 0]
    assert mix.frames[1:5].tolist() == [[88, 18], [89, 19], [90, 20], [91, 21]]


def test_a_reply_enters_the_walk_on_the_frame_it_was_to_begin_on(footage: Footage) -> None:
    walk = Walk(footage)
    entries = [walk.entry(position) for position in range(IDLE)]
    assert sum(entry >= IDLE for entry in entries) > IDLE // 2
    for position, entry in enumerate(entries):
        assert _shown(walk, range(entry, entry + 1)) == _shown(walk, range(position, position + 1))


def test_every_position_has_a_place_to_land(footage: Footage) -> None:
    walk = Walk(footage)
    landings = [walk.landing(position) for position in range(len(walk))]
    assert landings[:IDLE] == list(range(IDLE))
    assert set(landings) <= set(range(IDLE))


def test_less_motion_means_calmer_footage(footage: Footage) -> None:
    activity = footage.activity
    calm = [activity[_shown(walk, range(len(walk)))].mean() for walk in (Walk(footage, m) for m in HEAD_MOTIONS)]
    assert calm == sorted(calm) and calm[-1] > 1.1 * calm[0]


def test_a_single_picture_is_footage_too() -> None:
    one = np.zeros((1, 2), np.int32)
    walk = Walk(Footage(one + [0, 1], one, np.zeros(1, np.float32), np.zeros(1, np.int32)))
    mix = walk.at(range(3))
    assert mix.blend(np.array([[7.0]], np.float32)).tolist() == [[7.0]] * 3


def test_the_same_footage_walks_the_same_way(footage: Footage) -> None:
    once, again = Walk(footage), Walk(replace(footage))
    assert np.array_equal(_shown(once, range(LENGTH)), _shown(again, range(LENGTH)))
