"""Bounds on the texts of messages, as the protos state them (`limits.proto`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from visavis.common.v1 import limits_pb2

from services.common.errors import InvalidInput

MOST_CHARACTERS = 200
"""Of a text for which the proto states nothing else."""


def check(message: Message, within: str = "") -> None:
    """Refuse a request with a text, or a list or map, longer than its proto allows.

    Raises:
        InvalidInput: `field` is the path to what is too long, without the `config.` of streams.
    """
    for field, value in message.ListFields():
        path = f"{within}{field.name}" if field.name != "config" else ""
        characters, entries = _limits(field)
        if entries and len(value) > entries:
            raise _too_many(path, len(value), entries)
        for part in _parts(field, value):
            if isinstance(part, Message):
                check(part, f"{path}." if path else "")
            elif len(part) > characters:
                raise too_long(path, len(part), characters)


def cut(message: Message) -> None:
    """Shorten the texts of an answer that were stored when nothing bounded them."""
    for field, value in message.ListFields():
        characters, _ = _limits(field)
        if field.type == field.TYPE_STRING and isinstance(value, str) and len(value) > characters:
            setattr(message, field.name, f"{value[: characters - 1]}…")
        elif _is_map(field):
            for key in [key for key, text in value.items() if isinstance(text, str) and len(text) > characters]:
                value[key] = f"{value[key][: characters - 1]}…"
        else:
            for part in _parts(field, value):
                if isinstance(part, Message):
                    cut(part)


def too_long(field: str, count: int, most: int) -> InvalidInput:
    """The error for a text that is too long."""
    message = f"'{field}' has {count} characters; at most {most} are allowed. Shorten it."
    values = {"field": field, "count": str(count), "max": str(most)}
    return InvalidInput(message, reason="TEXT_TOO_LONG", field=field, values=values)


def _too_many(field: str, count: int, most: int) -> InvalidInput:
    message = f"'{field}' has {count} entries; at most {most} are allowed. Leave some out."
    values = {"field": field, "count": str(count), "max": str(most)}
    return InvalidInput(message, reason="TOO_MANY_ENTRIES", field=field, values=values)


@cache
def _limits(field: FieldDescriptor) -> tuple[int, int]:
    """Most characters of each text, and most entries; 0 entries when they are not bounded."""
    stated = field.GetOptions().Extensions
    return stated[limits_pb2.max_characters] or MOST_CHARACTERS, stated[limits_pb2.max_entries]


@cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry


def _parts(field: FieldDescriptor, value: Any) -> Iterator[str | Message]:
    """The texts and messages that a field holds. Google's own messages carry what engines tell, and are left alone."""
    if _is_map(field):
        yield from (part for entry in value.items() for part in entry if isinstance(part, str))
    elif field.type == field.TYPE_STRING:
        yield from [value] if isinstance(value, str) else value
    elif field.type == field.TYPE_MESSAGE and not field.message_type.full_name.startswith("google.protobuf."):
        yield from [value] if isinstance(value, Message) else value
