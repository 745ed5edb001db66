"""`visavis engines`: what can do each job, and what it lacks; and the option by which commands choose one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from cli.screen import connect, console
from client import library


def engine_option(name: str, does: str) -> Callable[[Any], Any]:
    """An option that chooses the engine which `does` something for a command."""
    return click.option(name, default="", help=f"The engine that {does}; the service's default unless given.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def engines(as_json: bool) -> None:
    """The engines of every service: the default one first, each with its state."""
    found = library.engines(connect())
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table("service", "engine", "state", "", box=None, pad_edge=False, header_style="dim")
    table.columns[-1].overflow = "fold"
    for service, told in found.items():
        for engine in told:
            table.add_row(service, engine["name"], engine["state"], _remark(engine))
    console().print(table)


def _remark(engine: dict[str, Any]) -> str:
    if engine["lack"]:
        return f"{engine['lack']['message']} {engine['remedy']}".strip()
    return "default" if engine["is_default"] else ""
