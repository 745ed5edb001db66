"""`visavis train`: a recording or a photo becomes an avatar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from basics.problem import Problem
from cli import progress
from cli.engines import engine_option, parameter_option
from cli.report import PHOTO, report_card
from cli.screen import connect, console
from client import library
from client.work import training

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("video", type=_FILE)
@click.option("--name", required=True, help="Name of the avatar, and of the voice made from the same recording.")
@click.option("--consent-by", required=True, help="Who allowed the use of this face and voice.")
@click.option("--voice", default="", help="A registered voice it shall speak with; a photo brings none of its own.")
@engine_option("--engine", "trains")
@engine_option("--tts-engine", "learns the voice first")
@engine_option("--asr-engine", "hears the recording for its subtitles")
@parameter_option("the engine")
@click.option("--device", default="", help='"cpu" or "cuda:0"; what is free unless given.')
@click.option("--language", default="", help="Language spoken in the video, e.g. en; its subtitles need it.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Stay until the avatar is ready.")
@click.option(
    "--preview", type=click.Path(dir_okay=False, path_type=Path), help="Keep the latest preview picture here."
)
def train(video: Path, wait: bool, preview: Path | None, **how: Any) -> None:
    """Train an avatar from VIDEO: a minute or two of one person talking to the camera.

    The recording is checked first; what is wrong with it is said before anything is trained. A photo (JPEG, PNG, WebP)
    will do too: its avatar is ready in less than a minute unless the machine is busy, moves lips, lids and head in a
    general way only, and has no voice of its own.
    """
    services, screen = connect(), console()
    with video.open("rb") as file, screen.status("Bringing the recording and checking it…"):
        job = training.train(services, file, file_name=video.name, **how)
    _warn(screen, job.warnings)
    screen.print(f"Job {job.id}", soft_wrap=True)
    if wait:
        ended = progress.follow(services, job, preview)
        _warn(screen, (one for one in ended.warnings if one not in job.warnings))
        _show(screen, library.avatar(services, job.subject))


def _warn(screen: Console, warnings: Iterable[Problem]) -> None:
    for warning in warnings:
        screen.print(f"Could be better: {warning.message}", style="yellow", markup=False, soft_wrap=True)


def _show(screen: Console, avatar: library.Avatar) -> None:
    """What came out, and what to do with it."""
    is_photo = avatar.kind == "photo"
    screen.print(PHOTO if is_photo else report_card(avatar.report), soft_wrap=True)
    if is_photo and not avatar.voice:
        screen.print("It speaks with a built-in voice unless you choose one: --voice NAME, see visavis voices.")
    name = avatar.name
    screen.print(f"Avatar '{name}' is ready. Talk to it: visavis chat --avatar '{name}'", soft_wrap=True)
