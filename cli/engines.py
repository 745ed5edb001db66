"""`visavis engines`: what can do each job, and what it lacks; and the option by which commands choose one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from cli.screen import connect, console, in_json
from client import library


def engine_option(name: str, does: str) -> Callable[[Any], Any]:
    """An option that chooses the engine which `does` something for a command."""
    return click.option(name, default="", help=f"The engine that {does}; the service's default unless given.")


def parameter_option(whose: str) -> Callable[[Any], Any]:
    """An option, to be repeated, that tells an engine a parameter."""
    told = f"A parameter of {whose}, as `visavis engines --json` lists them."
    return click.option("--param", "parameters", multiple=True, callback=_pairs, metavar="K=V", help=told)


def _pairs(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"'{value}' is not of the form name=value.")
    return dict(value.split("=", 1) for value in values)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def engines(as_json: bool) -> None:
    """The engines of every service: the default one first, each with its state."""
    found = library.engines(connect())
    if as_json:
        click.echo(in_json(found))
        return
    table = Table("service", "engine", "state", "", box=None, pad_edge=False, header_style="dim")
    table.columns[-1].overflow = "fold"
    for service, told in found.items():
        for engine in told:
            table.add_row(service, engine.name, engine.state, _remark(engine))
    console().print(table)


def _remark(engine: library.Engine) -> str:
    lack = f"{engine.lack.message} {engine.remedy}".strip() if engine.lack else ""
    if engine.is_missing:
        return lack
    remarks = {
        "default": engine.is_default,
        "sends what it is given over the network": "offline" not in engine.capabilities,
    }
    told = ", ".join(remark for remark, holds in remarks.items() if holds)
    return " · ".join(filter(None, (told, lack)))
