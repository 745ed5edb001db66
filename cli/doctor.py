"""`visavis doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from cli import checks
from cli.checks import Finding, Level
from cli.screen import console

_SIGNS = {Level.GOOD: "[green]✓[/]", Level.NOTE: "[dim]·[/]", Level.WARNING: "[yellow]![/]", Level.MISSING: "[red]✗[/]"}


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(data: Path, as_json: bool) -> None:
    """Say what is installed, what is missing and how to mend it. Status 1 when something needed is missing."""
    findings = checks.everything(data)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False, indent=2))
    else:
        _show(findings)
    if any(finding.level is Level.MISSING for finding in findings):
        raise click.exceptions.Exit(1)


def _show(findings: list[Finding]) -> None:
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    table.columns[-1].overflow = "fold"
    for finding in findings:
        remedy = f"\n[bold]→ {finding.remedy}[/]" if finding.remedy else ""
        table.add_row(_SIGNS[finding.level], finding.subject, finding.text + remedy)
    screen = console()
    screen.print(table)
    missing = sum(finding.level is Level.MISSING for finding in findings)
    screen.print(f"{missing} needed and missing." if missing else "Everything that is needed is there.", style="bold")
