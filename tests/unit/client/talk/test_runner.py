"""A reply that runs by itself, and what its listener is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import code_pb2

from client.talk.channel import Cancelled
from client.talk.conversation import Conversation, Done, Event, Media
from client.talk.runner import Runner
from client.wire.errors import CallError

WAIT_S = 60  # only ends what would hang


class Notes:
    """A listener that notes what it is told, and then does something."""

    def __init__(self, then: Callable[[Event], object] = lambda event: None) -> None:
        self.told: list[Event | CallError] = []
        self._then, self.ended = then, threading.Event()

    def take(self, event: Event) -> None:
        self.told.append(event)
        self._then(event)

    def fail(self, error: CallError) -> None:
        self.told.append(error)

    def end(self) -> None:
        self.ended.set()


@pytest.fixture
def conversation(rooms: Any) -> Conversation:
    return Conversation(rooms.services, avatar="Ann", language="en")


def run(conversation: Conversation, notes: Notes) -> Runner:
    runner = Runner(conversation.reply("Hi"))
    runner.start(notes)
    return runner


def raising(error: Exception) -> Callable[[Event], object]:
    def then(event: Event) -> None:
        if isinstance(event, Media):
            raise error

    return then


def test_everything_is_told_in_order_and_then_the_end(conversation: Conversation) -> None:
    notes = Notes()
    runner = run(conversation, notes)
    assert notes.ended.wait(WAIT_S) and runner.is_sent
    assert isinstance(notes.told[-1], Done)
    assert conversation.messages[-1].text == "Hello there. How are you?"


def test_a_failure_is_told_last(conversation: Conversation, rooms: Any) -> None:
    rooms.speaker.fail_at = 1
    notes = Notes()
    run(conversation, notes)
    assert notes.ended.wait(WAIT_S)
    (failure,) = [told for told in notes.told if isinstance(told, CallError)]
    assert notes.told[-1] is failure and failure.reason == "LANGUAGE_UNKNOWN"


def test_nothing_is_told_of_one_that_was_cancelled_but_its_end(conversation: Conversation, rooms: Any) -> None:
    rooms.writer.endless = True
    shown = threading.Event()
    notes = Notes(lambda event: isinstance(event, Media) and shown.set())
    runner = run(conversation, notes)
    assert shown.wait(WAIT_S)
    runner.cancel()
    assert notes.ended.is_set(), "it was waited for"
    count = len(notes.told)
    assert not [told for told in notes.told if isinstance(told, CallError)]
    for room in (rooms.writer, rooms.speaker, rooms.painter):
        assert room.ended.wait(WAIT_S)
    assert len(notes.told) == count and conversation.messages[-1].is_stopped


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Cancelled(), None), (OSError(28, "No space left"), "STORAGE_FULL"), (ValueError("a name"), "INTERNAL")],
    ids=["who wants no more", "who has no room", "who breaks"],
)
def test_a_listener_ends_it(conversation: Conversation, rooms: Any, error: Exception, reason: str | None) -> None:
    rooms.writer.endless = True
    notes = Notes(raising(error))
    run(conversation, notes)
    assert notes.ended.wait(WAIT_S)
    assert [told.reason for told in notes.told if isinstance(told, CallError)] == ([reason] if reason else [])
    assert rooms.writer.ended.wait(WAIT_S), "its calls go on"


def test_a_refusal_names_who_refused(conversation: Conversation, rooms: Any) -> None:
    rooms.writer.stop_after, rooms.writer.breaks = 0, (code_pb2.INVALID_ARGUMENT, "NO", "No.")
    notes = Notes()
    run(conversation, notes)
    assert notes.ended.wait(WAIT_S)
    assert (notes.told[-1].reason, notes.told[-1].service) == ("NO", "llm")
