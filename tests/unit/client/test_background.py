"""Work that outlives the call which began it."""

from __future__ import annotations

import threading

from client import background


def test_finish_waits() -> None:
    go, done = threading.Event(), []

    def work(word: str) -> None:
        go.wait(60)
        done.append(word)

    background.start(work, "one")
    background.start(work, "two")
    assert done == []
    go.set()
    background.finish()
    assert sorted(done) == ["one", "two"]


def test_finish_does_not_wait_for_nothing() -> None:
    background.finish()
