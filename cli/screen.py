"""Where the command line writes, and how it refuses."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from client.errors import CallError
from client.services import Services
from client.settings import ClientSettings

REFUSED = 2

_OPTIONS = {
    "consent.given_by": "--consent-by",
    "consent": "--consent-by",
    "consent_by": "--consent-by",
    "recording": "VIDEO",
    "recording_id": "VIDEO",
    "video": "VIDEO",
    "params": "--param",
    "parameters": "--param",
}
"""What the user typed, where its name is not the request field's."""


def console() -> Console:
    """The terminal. Made when needed, so that it is the one of this moment."""
    return Console(highlight=False)


def connect() -> Services:
    """The five services, where the settings say they are."""
    return Services(ClientSettings())


class Refusal(click.ClickException):
    """A refused or failed call, as a plain sentence."""

    exit_code = REFUSED

    def __init__(self, error: CallError) -> None:
        super().__init__(explain(error.message, error.field))


def explain(message: str, field: str | None) -> str:
    """The sentence, and the argument that caused it."""
    return f"{message} ({option_of(field)})" if field else message


def option_of(field: str) -> str:
    """The option behind a request field."""
    name, _, parameter = field.partition(".")
    if name == "params" and parameter:
        return f"--param {parameter}"
    return _OPTIONS.get(field) or f"--{field.replace('_', '-')}"


class Commands(click.Group):
    """A group whose commands may let a CallError out."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallError as error:
            raise Refusal(error) from None
        except OSError as error:
            raise click.ClickException(
                f"{error.strerror}: {error.filename}" if error.filename else str(error)
            ) from None
