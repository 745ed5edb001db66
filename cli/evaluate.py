"""`visavis evaluate`: how close a generated video is to the true one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cli.report import report_card
from cli.screen import connect, console
from client.work import evaluation

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


_AGAINST = {
    "same-frames": "self-driven: the same words on the same frames",
    "speaker": "cross-driven: the same words, another head; only the lips' motion is compared",
    "footage": "cross-driven: other words; only how the two look as a whole is compared",
}
_WARNINGS = {
    "same-file": "Both files are the same, byte for byte: this says nothing about a talking head.",
    "frame-rates-differ": "The frame rates differ; both were re-timed to 25 frames per second.",
    "short": "Under five seconds: figures this short are little more than anecdotes.",
}
_LIP_SYNC = {
    "no-checkpoint": "LSE-C and LSE-D: not measured: no SyncNet checkpoint (TRAIN_SYNCNET).",
    "unknown-checkpoint": "LSE-C and LSE-D: not measured: TRAIN_SYNCNET is not the published checkpoint.",
}


@click.command()
@click.argument("true", type=_FILE)
@click.argument("generated", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as a page here.")
def evaluate(true: Path, generated: Path, as_json: bool, html: Path | None) -> None:
    """Judge a GENERATED video by the TRUE one.

    TRUE is the same speech on the same frames (self-driven), or the recording whose sound drove it (cross-driven).
    """
    with true.open("rb") as one, generated.open("rb") as other:
        found = evaluation.evaluate(connect(), one, other, page=html is not None)
    if html:
        html.write_bytes(found.page)
    if as_json:
        click.echo(json.dumps(found.report, indent=2))
    else:
        _show(found.report)


def _show(report: dict[str, Any]) -> None:
    screen = console()
    screen.print(_AGAINST[report["against"]])
    screen.print(report_card({"metrics": report["metrics"] | report["lip_sync"]}))
    if reason := report["lip_sync"].get("not_measured"):
        screen.print(_LIP_SYNC[reason])
    for warning in report["warnings"]:
        screen.print(f"Note: {_WARNINGS[warning]}")
