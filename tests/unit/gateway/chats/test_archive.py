"""Conversations on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from client.talk.conversation import Conversation, Message
from gateway.chats import archive as archives
from gateway.chats.archive import Archive, json_of, record_of
from gateway.refusal import Refusal

ID = "ljO2se0f-Bf3V9y9gLZnGA"
TOLD = {
    "id": ID, "greeting": "Hello.", "created_at": 1.79e9, "avatar": "May", "voice": "", "persona": "", "language": "en",
    "size": 0, "mouth_amplitude": 1.0, "head_motion": 1.0,
    "messages": [{"role": "user", "text": "Hi!", "at": 1.79e9}, {"role": "assistant", "text": "你好", "at": 1.79e9}],
}  # fmt: skip


def changed(**changes: Any) -> str:
    return json.dumps(TOLD | changes)


def message(**changes: Any) -> str:
    return changed(messages=[TOLD["messages"][0] | changes])


DAMAGES = {
    "truncated": changed()[:-20],
    "empty": "",
    "list": f"[{changed()}]",
    "null": "null",
    "number": "3",
    "nothing": "{}",
    "another's": changed(id="A" * 22),
    "a path": changed(id="../../../../tmp/x"),
    "id of another type": changed(id=3),
    "avatar of another type": changed(avatar=None),
    "size of another type": changed(size="0"),
    "moment of another type": changed(created_at="today"),
    "not a number": changed(mouth_amplitude=float("nan")),
    "no end": changed(head_motion=float("inf")),
    "beyond numbers": changed(created_at=0).replace('"created_at": 0', '"created_at": 1e999'),
    "beyond bounds": changed(size=0).replace('"size": 0', '"size": ' + "9" * 6000),
    "messages of another type": changed(messages={}),
    "a message of another type": changed(messages=["Hi!"]),
    "a role that there is not": message(role="system"),
    "a text of another type": message(text=["Hi!"]),
    "a moment that is none": message(at=float("nan")),
    "half a character": message(text="x").replace('"x"', '"\\ud800"'),
    "deep": changed(more=0).replace('"more": 0', '"more": ' + "[" * 50_000 + "]" * 50_000),
    "hidden not a number": changed(more=float("nan")),
    "a speaker of another type": message(avatar=3),
    "a mark of another type": message(is_stopped="no"),
    "a year that never comes": message(at=1e300),
    "missing": json.dumps({name: value for name, value in TOLD.items() if name != "messages"}),
}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "conversations", days=30)


def test_what_was_written_is_read(archive: Archive) -> None:
    archive.write(ID, TOLD)
    assert archive.read(ID) == TOLD


def test_everything_that_a_conversation_tells_is_read_again(archive: Archive) -> None:
    """A field that the archive did not know would be lost in a restart."""
    talk = Conversation(services=None, avatar="May", voice="Ann", rate=1.25, pitch_semitones=-2.0)
    talk.messages = [Message("user", "Hi!", 1.5), Message("assistant", "a", 2.5, "May", "", "b", True)]
    told = {"id": ID, "greeting": "Hello.", "greeted_by": "May", "created_at": 1.5} | json_of(talk.record())
    archive.write(ID, told)
    assert archive.read(ID) == told
    assert Conversation.of(None, record_of(archive.read(ID))).record() == talk.record()


def test_what_a_newer_version_stored_can_be_read(archive: Archive) -> None:
    message = TOLD["messages"][0]
    archive.write(ID, TOLD | {"newer": {"field": [1, None]}, "messages": [message | {"newer": 1}]})
    assert archive.read(ID) == TOLD | {"messages": [message]}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_conversation_is_refused_in_words_and_can_be_deleted(
    archive: Archive, tmp_path: Path, damage: str
) -> None:
    (tmp_path / "conversations" / f"{ID}.json").write_text(DAMAGES[damage])
    with pytest.raises(Refusal, match="Delete it") as refused:
        archive.read(ID)
    assert refused.value.reason == "CHAT_DAMAGED"
    assert archive.delete(ID)
    assert archive.read(ID) is None


def test_what_nobody_can_have_said_is_not_read(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.write(ID, TOLD)
    monkeypatch.setattr(archives, "MOST_BYTES", 100)
    with pytest.raises(Refusal) as refused:
        archive.read(ID)
    assert refused.value.reason == "CHAT_DAMAGED"


def test_bytes_that_are_no_text_are_damage(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "conversations" / f"{ID}.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(Refusal, match="damaged"):
        archive.read(ID)


@pytest.mark.parametrize("damage", ["list", "nothing", "a role that there is not", "deep"])
@pytest.mark.parametrize("path", ["", "/export?format=json", "/export?format=md"])
def test_rest_says_that_a_conversation_is_damaged(gateway: Flask, tmp_path: Path, damage: str, path: str) -> None:
    (tmp_path / "conversations" / f"{ID}.json").write_text(DAMAGES[damage])
    client = gateway.test_client()
    answer = client.get(f"/api/v1/chats/{ID}{path}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "CHAT_DAMAGED")
    assert client.post(f"/api/v1/chats/{ID}/messages", json={"text": "Hi!"}).status_code == 409
    assert client.delete(f"/api/v1/chats/{ID}").status_code == 204
