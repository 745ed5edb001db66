"""Bounds on the texts and data of messages, as the protos state them (`limits.proto`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from visavis.common.v1 import limits_pb2

from services.common.errors import InvalidInput

MOST_CHARACTERS = 200
"""Of a text for which the proto states nothing else."""


def check(message: Message, within: str = "") -> None:
    """Refuse a request with a text, a piece of data, or a list or map, longer than its proto allows.

    Raises:
        InvalidInput: `field` is the path to what is too long, without the `config.` of streams.
    """
    for field, value in message.ListFields():
        path = f"{within}{field.name}" if field.name != "config" else ""
        limit = _limits(field)
        if limit.entries and len(value) > limit.entries:
            raise too_many(path, len(value), limit.entries)
        if limit.bytes and len(value) > limit.bytes:
            raise _too_large(path, len(value), limit.bytes)
        for part in _parts(field, value):
            if isinstance(part, Message):
                check(part, f"{path}." if path else "")
            elif len(part) > limit.characters:
                raise too_long(path, len(part), limit.characters)


def cut(message: Message) -> None:
    """Shorten the texts of an answer that were stored when nothing bounded them."""
    for field, value in message.ListFields():
        characters = _limits(field).characters
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


def too_many(field: str, count: int, most: int) -> InvalidInput:
    message = f"'{field}' has {count} entries; at most {most} are allowed. Leave some out."
    values = {"field": field, "count": str(count), "max": str(most)}
    return InvalidInput(message, reason="TOO_MANY_ENTRIES", field=field, values=values)


def _too_large(field: str, count: int, most: int) -> InvalidInput:
    message = f"'{field}' has {count} bytes in one message; at most {most} are allowed. Send it in smaller pieces."
    values = {"field": field, "count": str(count), "max": str(most)}
    return InvalidInput(message, reason="PIECE_TOO_LARGE", field=field, values=values)


class _Limits(NamedTuple):
    """Of a field: most characters of each text, entries and bytes; 0 where nothing bounds them."""

    characters: int
    entries: int
    bytes: int


@cache
def _limits(field: FieldDescriptor) -> _Limits:
    stated = field.GetOptions().Extensions
    characters = stated[limits_pb2.max_characters] or MOST_CHARACTERS
    return _Limits(characters, stated[limits_pb2.max_entries], stated[limits_pb2.max_bytes])


@cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _parts(field: FieldDescriptor, value: Any) -> Iterator[str | Message]:
    """The texts and messages that a field holds. Google's own messages carry what engines tell, and are left alone."""
    if _is_map(field):
        yield from (part for entry in value.items() for part in entry if isinstance(part, str))
    elif field.type == field.TYPE_STRING:
        yield from [value] if isinstance(value, str) else value
    elif field.type == field.TYPE_MESSAGE and not field.message_type.full_name.startswith("google.protobuf."):
        yield from [value] if isinstance(value, Message) else value
