"""Where the command line writes, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from basics.problem import Problem
from client.wire.errors import CallError
from client.wire.services import Services
from client.wire.settings import ClientSettings

REFUSED = 2

_ARGUMENTS = {
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


def in_json(found: Any) -> str:
    """What was found, for other programs."""
    return json.dumps(found, ensure_ascii=False, indent=2, default=_plain)


def _plain(found: Any) -> dict[str, Any]:
    if isinstance(found, Problem):
        return {"code": found.reason, "message": found.message, "field": found.field or None, "values": found.values}
    return dict(vars(found))


class Refusal(click.ClickException):
    """A refused or failed call, as a plain sentence."""

    exit_code = REFUSED

    def __init__(self, error: CallError, command: click.Command) -> None:
        super().__init__(explain(error.message, error.field, command))


def explain(message: str, field: str | None, command: click.Command | None = None) -> str:
    """The sentence, and the argument of the command (the running one by default) that caused it, if it was one."""
    command = command or click.get_current_context().command
    argument = _argument(field or "", command)
    return f"{message} ({argument})" if argument else message


def _argument(field: str, command: click.Command) -> str:
    name, _, parameter = field.partition(".")
    if name == "params" and parameter:
        return f"--param {parameter}"
    wanted = _ARGUMENTS.get(field) or f"--{field.replace('_', '-')}"
    known = [word for one in command.params for word in (*one.opts, one.human_readable_name)]
    return wanted if wanted in known else ""


class Commands(click.Group):
    """A group whose commands may let a CallError out."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "") or self
            raise Refusal(error, command) from None
        except OSError as error:
            raise click.ClickException(
                f"{error.strerror}: {error.filename}" if error.filename else str(error)
            ) from None
