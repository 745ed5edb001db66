"""The `visavis` command."""

from __future__ import annotations

import logging

import click

from cli.chat import chat
from cli.doctor import doctor
from cli.engines import engines
from cli.evaluate import evaluate
from cli.generate import generate
from cli.jobs import jobs
from cli.library import avatars, voices
from cli.models import models
from cli.screen import Commands
from cli.speech import say, transcribe
from cli.talk import talk
from cli.train import train
from cli.up import up


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="visavis")
def cli() -> None:
    """Talk face to face with an avatar trained from a minute of video, on your own machines."""
    logging.basicConfig(level=logging.ERROR)  # what matters to a person is on the screen


for command in (
    up,
    train,
    generate,
    chat,
    talk,
    say,
    transcribe,
    evaluate,
    avatars,
    voices,
    engines,
    models,
    jobs,
    doctor,
):
    cli.add_command(command)


def main() -> None:
    """Entry point."""
    cli(prog_name="visavis")
