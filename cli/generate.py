"""`visavis generate`: an avatar and some speech become a video file."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from cli import progress
from cli.engines import engine_option, parameter_option
from cli.screen import connect, console
from client.talk.speech import STANDARD_VOICE
from client.wire.services import Services
from client.work import generation, jobs
from client.work.jobs import GenerationResult

MOUTH_HELP = "How far the mouth moves, 0.5 to 1.5."
VOICE_HELP = f"A registered voice; the avatar's own unless given, {STANDARD_VOICE} for the engine's."
RATE_HELP = "Speaking rate, 0.5 to 2."
PITCH_HELP = "Semitones to raise the voice by, -12 to 12."
HEAD_HELP = "How much the head moves, 0 (as when idle) to 1 (all that was filmed)."
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--avatar", required=True, help="Who speaks.")
@click.option("--audio", type=_FILE, help="A recording to speak.")
@click.option("--text", help="What to say; '-' reads it from standard input.")
@click.option("--voice", default="", help=VOICE_HELP)
@click.option("--language", default="", help="Language of the speech, e.g. en; subtitles of a recording need it.")
@click.option("--rate", type=float, default=1.0, show_default=True, help=RATE_HELP)
@click.option("--pitch", type=float, default=0.0, show_default=True, help=PITCH_HELP)
@click.option("--subtitles", type=click.Choice(generation.SUBTITLES), default="none", show_default=True)
@click.option("--size", type=int, default=0, help="Height and width in pixels; the avatar's own unless given.")
@click.option("--mouth-amplitude", type=float, default=1.0, show_default=True, help=MOUTH_HELP)
@click.option("--head-motion", type=float, default=1.0, show_default=True, help=HEAD_HELP)
@engine_option("--asr-engine", "hears a recording for its subtitles")
@engine_option("--tts-engine", "speaks a text")
@parameter_option("the avatar's engine")
@click.option("--device", default="", help='"cpu" or "cuda:0"; what is free unless given.')
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True,
    help="The MP4; subtitles get its name and .vtt.",
)  # fmt: skip
def generate(avatar: str, audio: Path | None, text: str | None, output: Path, **how: Any) -> None:
    """Make a video of an avatar saying a recording or a text."""
    if (audio is None) == (text is None):
        raise click.UsageError("Give either --audio or --text.")
    if text == "-":
        text = sys.stdin.read()
    services = connect()
    if text is not None:
        how["voice"] = how["voice"] or _own_voice(services, avatar)
    with contextlib.ExitStack() as open_files:
        file = open_files.enter_context(audio.open("rb")) if audio else None
        how["pitch_semitones"] = how.pop("pitch")
        job = generation.generate(
            services, avatar=avatar, audio=file, file_name=audio.name if audio else "", text=text or "", **how
        )
    job = progress.follow(services, job)
    assert isinstance(job.result, GenerationResult)  # it has succeeded
    fetch(services, job.id, job.result, output)


def _own_voice(services: Services, avatar: str) -> str:
    from client import library

    return library.avatar(services, avatar).voice or ""


def fetch(services: Services, job_id: str, made: GenerationResult, output: Path) -> None:
    """Save a generation's files."""
    progress.save(jobs.read_file(services, job_id, "video"), output)
    told = str(output)
    if made.has_subtitles:
        subtitles = output.with_suffix(".vtt")
        progress.save(jobs.read_file(services, job_id, "subtitles"), subtitles)
        told += f" and {subtitles}"
    console().print(f"Saved {told} ({made.duration_s:.1f} s)", soft_wrap=True)


def fetch_by_id(services: Services, job_id: str, output: Path) -> None:
    """Save the files of a generation that has ended."""
    job = jobs.get(services, job_id)
    if not isinstance(job.result, GenerationResult):
        raise click.ClickException(f"{job_id} has no video: it is a {job.kind}, {job.state}.")
    fetch(services, job_id, job.result, output)
