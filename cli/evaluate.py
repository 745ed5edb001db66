"""`visavis evaluate`: how close a generated video is to the true one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.report import report_card
from cli.screen import connect, console
from client import evaluation

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("true", type=_FILE)
@click.argument("generated", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(true: Path, generated: Path, as_json: bool) -> None:
    """Compare GENERATED with the TRUE video of the same speech, frame by frame."""
    with true.open("rb") as one, generated.open("rb") as other:
        report = evaluation.evaluate(connect(), one, other)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        console().print(report_card(report.get("metrics", report)))
