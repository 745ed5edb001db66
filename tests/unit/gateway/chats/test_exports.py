"""A conversation as a file: who gave which answer, and what was heard of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from zoneinfo import ZoneInfo

import pytest

from client.talk.conversation import Message
from gateway.chats.exports import exported, file_name

TOLD = {"id": "secret", "avatar": "Cara", "greeting": "Good day!", "greeted_by": "Ann", "created_at": 0.0}
MESSAGES = (
    Message("user", "Who are you?", 60.0),
    Message("assistant", "I am", 61.0, "Ann", "ann", "Ann, your guide.", is_stopped=True),
    Message("user", "And you?", 120.0),
    Message("assistant", "I am Bob.", 121.0, "Bob"),
    Message("user", "Thank you.", 180.0),
    Message("assistant", "You are", 181.0, "Ann", "ann", is_stopped=True),
)
LINES = [
    ("Ann", "1970-01-01 00:00 UTC", "Good day!"),
    ("You", "1970-01-01 00:01 UTC", "Who are you?"),
    ("Ann", "1970-01-01 00:01 UTC", "I am [stopped here; not heard:] Ann, your guide."),
    ("You", "1970-01-01 00:02 UTC", "And you?"),
    ("Bob", "1970-01-01 00:02 UTC", "I am Bob."),
    ("You", "1970-01-01 00:03 UTC", "Thank you."),
    ("Ann", "1970-01-01 00:03 UTC", "You are [stopped here]"),
]


@pytest.mark.parametrize(
    ("kind", "title", "line"),
    [("md", "# {}", "**{}** · {}\n\n{}"), ("txt", "{}", "{} ({}):\n{}")],
)
def test_every_answer_is_signed_by_who_gave_it_and_tells_where_it_was_stopped(kind: str, title: str, line: str) -> None:
    text = exported(TOLD | {"messages": list(map(asdict, MESSAGES))}, kind)
    titled = title.format("Conversation with Ann, Bob, 1970-01-01")
    assert text == "\n\n".join([titled, *(line.format(*one) for one in LINES)]) + "\n"


@pytest.mark.parametrize(
    ("at", "zone", "when", "stamp"),
    [
        (1_767_222_000, "Europe/Berlin", "2026-01-01 00:00 +01:00", "2026-01-01-0000"),
        (1_782_856_800, "Europe/Berlin", "2026-07-01 00:00 +02:00", "2026-07-01-0000"),
        (1_767_222_000, "Asia/Kolkata", "2026-01-01 04:30 +05:30", "2026-01-01-0430"),
    ],
)
def test_people_read_their_own_clocks_and_which_these_are(at: float, zone: str, when: str, stamp: str) -> None:
    told = TOLD | {"created_at": at, "messages": []}
    assert exported(told, "txt", ZoneInfo(zone)).endswith(f"{stamp[:10]}\n\nAnn ({when}):\nGood day!\n")
    assert file_name(told, "txt", ZoneInfo(zone)) == f"Cara-{stamp}.txt"


def test_programs_get_all_that_is_stored_but_the_key_to_it() -> None:
    told = json.loads(exported(TOLD | {"messages": list(map(asdict, MESSAGES))}, "json"))
    assert "id" not in told
    assert [Message(**message) for message in told["messages"]] == list(MESSAGES)


def test_a_conversation_without_an_answer_has_the_avatars_name() -> None:
    assert exported(TOLD | {"messages": []}, "txt").startswith("Conversation with Cara, ")
