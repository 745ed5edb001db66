"""Whose turn it is: who has stopped speaking first, and never behind a recording."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from services.asr.turns import Turns, Urgency

WAIT_S = 60.0  # only ends what hangs


@pytest.fixture
def turns() -> Iterator[Turns]:
    turns = Turns()
    yield turns
    turns.close()


class Held:
    """Work that has begun and does not end before it is let go."""

    def __init__(self, turns: Turns, urgency: Urgency) -> None:
        self._begun, self._may_end = threading.Event(), threading.Event()
        self.future: Future[None] = turns.submit(urgency, self._work)
        assert self._begun.wait(WAIT_S)

    def let_go(self) -> None:
        self._may_end.set()
        self.future.result(WAIT_S)

    def _work(self) -> None:
        self._begun.set()
        self._may_end.wait(WAIT_S)


def test_two_who_have_stopped_speaking_do_not_wait_for_each_other(turns):
    first, second = Held(turns, Urgency.FINAL), Held(turns, Urgency.FINAL)
    second.let_go()
    first.let_go()


def test_a_recording_leaves_a_thread_to_those_who_have_stopped_speaking(turns):
    recording = Held(turns, Urgency.BATCH)
    guess = turns.submit(Urgency.PARTIAL, lambda: "guess")
    assert turns.submit(Urgency.FINAL, lambda: "final").result(WAIT_S) == "final"
    assert not guess.done()
    recording.let_go()
    assert guess.result(WAIT_S) == "guess"


def test_the_most_urgent_comes_first_then_the_first(turns):
    order: list[str] = []
    held = [Held(turns, Urgency.BATCH), Held(turns, Urgency.FINAL)]
    asked = [
        turns.submit(urgency, lambda name=name: order.append(name))
        for urgency, name in ((Urgency.BATCH, "c"), (Urgency.PARTIAL, "a"), (Urgency.PARTIAL, "b"))
    ]
    held[0].let_go()
    for future in asked:
        future.result(WAIT_S)
    assert order == ["a", "b", "c"]
    held[1].let_go()


def test_it_is_known_whether_somebody_waits(turns):
    held = [Held(turns, Urgency.BATCH), Held(turns, Urgency.FINAL)]
    turns.submit(Urgency.PARTIAL, lambda: None)
    assert not turns.somebody_waits()
    waiting = turns.submit(Urgency.FINAL, lambda: None)
    assert turns.somebody_waits()
    assert waiting.cancel()
    assert not turns.somebody_waits()
    for one in held:
        one.let_go()


def test_what_breaks_breaks_for_whoever_asked(turns):
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        turns.submit(Urgency.FINAL, broken).result(WAIT_S)
    assert turns.submit(Urgency.FINAL, lambda: 1).result(WAIT_S) == 1


def test_what_waits_is_done_before_the_end():
    turns = Turns()
    asked = [turns.submit(Urgency.BATCH, lambda: 1) for _ in range(9)]
    turns.close()
    assert all(future.done() for future in asked)
