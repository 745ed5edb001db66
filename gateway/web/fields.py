"""Fields of a request, whether it came as JSON, as a form or with files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import request
from werkzeug.datastructures import FileStorage

from gateway.context import context
from gateway.refusal import Refusal

MAX_JSON_BYTES = 2**20
MAX_CHARACTERS = 200
"""Of a text, unless its field says otherwise; the services take no more either."""
MAX_TRANSCRIPT = 60_000
MAX_ENTRIES = 100
"""Of a JSON object."""
_PARTED = re.compile(r"[,，、;；\n]")


class Fields:
    """The fields of this request by name. Every complaint names its field."""

    def __init__(self) -> None:
        self._values: Mapping[str, Any] = _json_object() if request.is_json else request.form

    def text(self, name: str, default: str = "", most: int = MAX_CHARACTERS) -> str:
        """A text, trimmed, of so many characters at most."""
        value = self._values.get(name, default)
        if value is None:
            return default
        if isinstance(value, (dict, list)):
            raise Refusal(f"'{name}' must be a text.", reason="FIELD_WRONG", field=name, values={"field": name})
        return bounded(str(value).strip(), name, most)

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """Those of some texts that are there, empty or not."""
        return {name: self.text(name) for name in names if name in self._values}

    def required(self, name: str) -> str:
        """A text that must not be empty."""
        value = self.text(name)
        if not value:
            raise _missing(name)
        return value

    def stated(self, name: str, most: int = MAX_CHARACTERS) -> str:
        """A text that must be there, though it may be empty: what is left out is no wish to empty it."""
        if name not in self._values:
            raise _missing(name)
        return self.text(name, most=most)

    def spoken(self, name: str, *, required: bool = True) -> str:
        """A text to be spoken, of bounded length."""
        return self._bounded(name, context().settings.max_text_characters, required=required)

    def message(self, name: str) -> str:
        """A text to be answered, of bounded length."""
        return self._bounded(name, context().settings.max_message_characters, required=True)

    def _bounded(self, name: str, limit: int, *, required: bool) -> str:
        value = self.text(name, most=limit)
        if required and not value:
            message = f"There is no text in '{name}'. Write something."
            raise Refusal(message, reason="TEXT_EMPTY", field=name, values={"field": name})
        return value

    def listed(self, name: str, entries: int, characters: int) -> list[str]:
        """A few short texts, parted by commas or lines, each of bounded length."""
        texts = [text.strip() for text in _PARTED.split(self.text(name, most=entries * (characters + 2)))]
        given = [bounded(text, name, characters) for text in texts if text]
        if len(given) > entries:
            raise _too_many(name, len(given), entries)
        return given

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            message = f"'{name}' must be a number from {low:g} to {high:g}."
            values = {"field": name, "low": f"{low:g}", "high": f"{high:g}"}
            raise Refusal(message, reason="NUMBER_OUT_OF_RANGE", field=name, values=values)
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of several words."""
        value = self.text(name) or default
        if value not in choices:
            raise no_choice(name, choices)
        return value

    def mapping(self, name: str) -> dict[str, str]:
        """A JSON object under `name`, merged with fields named `name.key`."""
        given = self._values.get(name) or {}
        if isinstance(given, str):
            given = _parse(given, name)
        if not isinstance(given, dict):
            raise _no_object(name)
        dotted = {key[len(name) + 1 :]: value for key, value in self._values.items() if key.startswith(f"{name}.")}
        return pairs(given | dotted, name)

    def file(self, name: str) -> FileStorage | None:
        """An uploaded file, or None when there is none."""
        file = request.files.get(name)
        return file if file and file.filename else None

    def files(self, name: str) -> list[FileStorage]:
        """Uploaded files, of which there must be one at least."""
        files = [file for file in request.files.getlist(name) if file.filename]
        return files or [self.required_file(name)]

    def required_file(self, name: str) -> FileStorage:
        """An uploaded file that must be there."""
        file = self.file(name)
        if file is None:
            message = f"Choose a file for '{name}' first."
            raise Refusal(message, reason="FILE_MISSING", field=name, values={"field": name})
        return file


def _missing(name: str) -> Refusal:
    return Refusal(f"Please fill in '{name}'.", reason="FIELD_MISSING", field=name, values={"field": name})


def bounded(text: str, name: str, most: int) -> str:
    """A text.

    Raises:
        Refusal: it is too long, or holds half of a character, which nobody could store or pass on.
    """
    if len(text) > most:
        message = f"'{name}' has {len(text)} characters; at most {most} are allowed. Shorten it."
        values = {"field": name, "count": str(len(text)), "max": str(most)}
        raise Refusal(message, reason="TEXT_TOO_LONG", field=name, values=values)
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"'{name}' holds half of a character, a lone surrogate. Send whole characters."
        raise Refusal(message, reason="TEXT_BROKEN", field=name, values={"field": name}) from None
    return text


def pairs(given: Mapping[str, Any], name: str) -> dict[str, str]:
    """The values of an object as texts; those that are empty are left out.

    Raises:
        Refusal: there are too many, or one is too long; its field is `name.key`.
    """
    if len(given) > MAX_ENTRIES:
        raise _too_many(name, len(given), MAX_ENTRIES)
    for key in given:
        bounded(key, name, MAX_CHARACTERS)
    texts = {key: _as_text(value) for key, value in given.items() if value not in ("", None)}
    return {key: bounded(text, f"{name}.{key}", MAX_CHARACTERS) for key, text in texts.items()}


def _too_many(name: str, count: int, most: int) -> Refusal:
    message = f"'{name}' has {count} entries; at most {most} are allowed. Leave some out."
    values = {"field": name, "count": str(count), "max": str(most)}
    return Refusal(message, reason="TOO_MANY_ENTRIES", field=name, values=values)


def no_choice(name: str, choices: Iterable[str]) -> Refusal:
    """The refusal of a word that is not one of several."""
    values = {"field": name, "choices": ", ".join(choices)}
    message = f"'{name}' must be one of: {values['choices']}."
    return Refusal(message, reason="NOT_A_CHOICE", field=name, values=values)


def _json_object() -> dict[str, Any]:
    request.max_content_length = MAX_JSON_BYTES
    value = request.get_json(silent=True)
    if not isinstance(value, dict):
        raise Refusal("The body must be a JSON object.", reason="NOT_AN_OBJECT")
    return value


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _no_object(name) from None


def _no_object(name: str) -> Refusal:
    return Refusal(f"'{name}' must be a JSON object.", reason="NOT_AN_OBJECT", field=name, values={"field": name})


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
