"""Conversations on disk: what was said, by whom and when, until somebody deletes it or it is too old."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from basics import private
from client.talk.conversation import Message, Record
from gateway.refusal import Refusal
from gateway.sweeping import delete_older_than

DAY_HOURS = 24
MOST_BYTES = 64 * 2**20


Moment = Annotated[float, Field(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the year 9999."""


class _Stored(BaseModel):
    """What must be of its type; a field with a default is one that older conversations have not."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Message(_Stored):
    role: Literal["user", "assistant"]
    text: str
    at: Moment
    avatar: str = ""
    voice: str = ""
    unheard: str = ""
    is_stopped: bool = False


class _Conversation(_Stored):
    id: str
    greeting: str
    greeted_by: str = ""
    created_at: Moment
    avatar: str
    voice: str
    persona: str
    language: str
    size: int = Field(ge=0)
    rate: float = 1.0
    pitch_semitones: float = 0.0
    asr_engine: str = ""
    llm_engine: str = ""
    tts_engine: str = ""
    mouth_amplitude: float
    head_motion: float
    messages: list[_Message]


def record_of(told: dict[str, Any]) -> Record:
    """A conversation from its JSON.

    An answer that does not tell who gave it is taken for one of the avatar's that spoke last.
    """
    speaker = {name: told[name] for name in ("avatar", "voice")}
    known = (speaker | one if one["role"] == "assistant" else one for one in told["messages"])
    options = {field.name: told[field.name] for field in fields(Record) if field.name in told}
    return Record(**options | {"messages": tuple(Message(**one) for one in known)})


def json_of(record: Record) -> dict[str, Any]:
    """A conversation as it is stored and shown."""
    return vars(record) | {"messages": [vars(one).copy() for one in record.messages]}


class Archive:
    """Stored conversations by id, a JSON file each that nobody else on the machine can read.

    A conversation is deleted `days` after its last word; with 0 days nothing is stored.
    """

    def __init__(self, folder: Path, days: float) -> None:
        self._folder, self._days = folder, days
        private.make_folder(folder)

    @property
    def is_used(self) -> bool:
        """Whether conversations are stored at all."""
        return self._days > 0

    def write(self, chat_id: str, told: dict[str, Any]) -> None:
        """Store a conversation; readers see the old one or the new one, never half."""
        if not self.is_used:
            return
        private.write(self._path(chat_id), json.dumps(told, ensure_ascii=False))

    def read(self, chat_id: str) -> dict[str, Any] | None:
        """A stored conversation; None if there is none of that id, or no longer.

        Raises:
            Refusal: its file is damaged, or holds something else.
        """
        try:
            return self._checked(chat_id)
        except FileNotFoundError:
            return None
        except ValueError:
            text = "This stored conversation is damaged and cannot be read. Delete it and start a new one."
            raise Refusal(text, reason="CHAT_DAMAGED", status=409) from None

    def _checked(self, chat_id: str) -> dict[str, Any]:
        path = self._path(chat_id)
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("far more than anybody can have said")
        stored = _Conversation.model_validate(from_json(path.read_bytes(), allow_inf_nan=False))
        if stored.id != chat_id:
            raise ValueError("another conversation's file")
        return stored.model_dump(exclude_unset=True)

    def delete(self, chat_id: str) -> bool:
        """Forget a conversation; returns whether there was one."""
        try:
            self._path(chat_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def sweep(self) -> None:
        """Forget the conversations in which nothing has been said for too long."""
        delete_older_than(self._folder, self._days * DAY_HOURS)

    def _path(self, chat_id: str) -> Path:
        return self._folder / f"{chat_id}.json"
