"""Fields of a request, whether it came as JSON, as a form or with files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flask import request
from werkzeug.datastructures import FileStorage

from gateway.context import context
from gateway.refusal import Refusal

MAX_JSON_BYTES = 2**20


class Fields:
    """The fields of this request by name. Every complaint names its field."""

    def __init__(self) -> None:
        self._values: Mapping[str, Any] = _json_object() if request.is_json else request.form

    def text(self, name: str, default: str = "") -> str:
        """A text, trimmed."""
        value = self._values.get(name, default)
        if value is None:
            return default
        if isinstance(value, (dict, list)):
            raise Refusal(f"'{name}' must be a text.", reason="FIELD_WRONG", field=name, values={"field": name})
        return str(value).strip()

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """Those of some texts that are there, empty or not."""
        return {name: self.text(name) for name in names if name in self._values}

    def required(self, name: str) -> str:
        """A text that must not be empty."""
        value = self.text(name)
        if not value:
            raise Refusal("Please fill this in.", reason="FIELD_MISSING", field=name)
        return value

    def spoken(self, name: str, *, required: bool = True) -> str:
        """A text to be spoken, of bounded length."""
        return self._bounded(name, context().settings.max_text_characters, required=required)

    def message(self, name: str) -> str:
        """A text to be answered, of bounded length."""
        return self._bounded(name, context().settings.max_message_characters, required=True)

    def _bounded(self, name: str, limit: int, *, required: bool) -> str:
        value = self.text(name)
        if required and not value:
            raise Refusal("There is no text. Write something.", reason="TEXT_EMPTY", field=name)
        if len(value) > limit:
            message = f"This text has {len(value)} characters; at most {limit} are allowed. Shorten it."
            values = {"count": str(len(value)), "max": str(limit)}
            raise Refusal(message, reason="TEXT_TOO_LONG", field=name, values=values)
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            message = f"Give a number from {low:g} to {high:g}."
            values = {"low": f"{low:g}", "high": f"{high:g}"}
            raise Refusal(message, reason="NUMBER_OUT_OF_RANGE", field=name, values=values)
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of several words."""
        value = self.text(name) or default
        if value not in choices:
            listed = ", ".join(choices)
            raise Refusal(f"Choose one of: {listed}.", reason="NOT_A_CHOICE", field=name, values={"choices": listed})
        return value

    def mapping(self, name: str) -> dict[str, str]:
        """A JSON object under `name`, merged with fields named `name.key`."""
        given = self._values.get(name) or {}
        if isinstance(given, str):
            given = _parse(given, name)
        if not isinstance(given, dict):
            raise Refusal("This must be a JSON object.", reason="NOT_AN_OBJECT", field=name)
        dotted = {key[len(name) + 1 :]: value for key, value in self._values.items() if key.startswith(f"{name}.")}
        return {key: _as_text(value) for key, value in (given | dotted).items() if value not in ("", None)}

    def file(self, name: str) -> FileStorage | None:
        """An uploaded file, or None when there is none."""
        file = request.files.get(name)
        return file if file and file.filename else None

    def required_file(self, name: str) -> FileStorage:
        """An uploaded file that must be there."""
        file = self.file(name)
        if file is None:
            raise Refusal("Choose a file first.", reason="FILE_MISSING", field=name)
        return file


def _json_object() -> dict[str, Any]:
    request.max_content_length = MAX_JSON_BYTES
    value = request.get_json(silent=True)
    if not isinstance(value, dict):
        raise Refusal("The body must be a JSON object.", reason="NOT_AN_OBJECT")
    return value


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal("This must be a JSON object.", reason="NOT_AN_OBJECT", field=name) from None


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
