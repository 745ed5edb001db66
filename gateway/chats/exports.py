"""A conversation as a file to keep: JSON for programs, Markdown or plain text for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from gateway import i18n

TYPES = {"json": "application/json", "md": "text/markdown", "txt": "text/plain"}


def exported(told: dict[str, Any], kind: str, zone: tzinfo = UTC) -> str:
    """What was said, as one of `TYPES`; for people, when by the clocks of a time zone, with their offset from UTC."""
    writers: dict[str, Callable[[dict[str, Any], tzinfo], str]] = {"json": _json, "md": _markdown, "txt": _text}
    return writers[kind](told, zone)


def file_name(told: dict[str, Any], kind: str, zone: tzinfo = UTC) -> str:
    """A name that says what it is; of its id, which opens the conversation, nothing."""
    return f"{told['avatar']}-{_moment(told['created_at'], zone):%Y-%m-%d-%H%M}.{kind}"


def _json(told: dict[str, Any], _: tzinfo) -> str:
    kept = {name: value for name, value in told.items() if name != "id"}
    return json.dumps(kept, ensure_ascii=False, indent=2) + "\n"


def _markdown(told: dict[str, Any], zone: tzinfo) -> str:
    lines = [f"**{who}** · {when}\n\n{words}" for who, when, words in _lines(told, zone)]
    return "\n\n".join([f"# {_title(told, zone)}", *lines]) + "\n"


def _text(told: dict[str, Any], zone: tzinfo) -> str:
    lines = [f"{who} ({when}):\n{words}" for who, when, words in _lines(told, zone)]
    return "\n\n".join([_title(told, zone), *lines]) + "\n"


def _title(told: dict[str, Any], zone: tzinfo) -> str:
    answering = [message["avatar"] for message in told["messages"] if message["avatar"]]
    names = ", ".join(dict.fromkeys(answering or [told["avatar"]]))
    return i18n.word("history.title_of", name=names, date=f"{_moment(told['created_at'], zone):%Y-%m-%d}")


def _lines(told: dict[str, Any], zone: tzinfo) -> Iterator[tuple[str, str, str]]:
    """Who said what when."""
    if told["greeting"]:
        yield told["greeted_by"], _time(told["created_at"], zone), told["greeting"]
    for message in told["messages"]:
        yield message["avatar"] or i18n.word("history.you"), _time(message["at"], zone), _words(message)


def _words(message: dict[str, Any]) -> str:
    """What was said; where an answer was stopped, and what was written of it but not heard."""
    mark = i18n.word("history.unheard" if message["unheard"] else "chat.stopped")
    parts = (message["text"], f"[{mark}]" if message["is_stopped"] else "", message["unheard"])
    return " ".join(filter(None, parts))


def _moment(at: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, zone)


def _time(at: float, zone: tzinfo) -> str:
    moment = _moment(at, zone)
    return f"{moment:%Y-%m-%d %H:%M} {'UTC' if zone is UTC else moment.isoformat()[-len('+00:00') :]}"
