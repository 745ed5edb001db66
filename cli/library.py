"""`visavis avatars` and `visavis voices`: what is there, and forgetting it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table

from cli.engines import engine_option
from cli.report import PHOTO, report_card
from cli.screen import Commands, connect, console, in_json
from client import library
from client import voices as registered
from client.library import Avatar
from client.talk import cast, references
from client.voices import Report, Voice
from client.wire.files import voice_archive

DAMAGED = ("damaged: delete it", "", "")
"""In place of what cannot be told of an avatar or a voice."""
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group(cls=Commands, invoke_without_command=True)
@click.pass_context
def avatars(context: click.Context) -> None:
    """Who can speak. Without a command: list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_avatars)


@avatars.command("list")
@_JSON
def list_avatars(as_json: bool = False) -> None:
    """List the avatars."""
    found = library.avatars(connect())
    rows: list[tuple[str, ...]] = [
        (one.name, *DAMAGED, "", "")
        if one.error
        else (one.name, one.kind, one.engine, f"{one.width}×{one.height}", one.voice or "", _day(one))
        for one in found
    ]
    _show(found, ("avatar", "made from", "engine", "size", "voice", "made"), rows, as_json)


@avatars.command("show")
@click.argument("name")
@_JSON
def show_avatar(name: str, as_json: bool) -> None:
    """An avatar and its report card."""
    one = library.avatar(connect(), name)
    if as_json:
        click.echo(in_json(one))
        return
    if one.error:
        raise click.ClickException(one.error.message)
    screen = console()
    screen.print(f"{one.name}: {one.engine}, {one.width}×{one.height} at {one.fps:g} fps, {_day(one)}")
    screen.print(f"Voice: {one.voice or 'none'}. Allowed by: {one.consent.given_by}.")
    screen.print(PHOTO if one.kind == "photo" else report_card(one.report))


@avatars.command("delete")
@click.argument("name")
@click.option("--voice", "with_voice", is_flag=True, help="Its voice too, with the sound of the whole recording.")
@_YES
def delete_avatar(name: str, with_voice: bool, yes: bool) -> None:
    """Forget an avatar. Its voice stays unless --voice is given."""
    services = connect()
    voice = library.avatar(services, name).voice or ""
    is_there = voice in [one.name for one in registered.listed(services)]
    _confirm(f"Delete avatar '{name}'{' and its voice' if with_voice else ''} for good?", yes)
    library.delete_avatar(services, name)
    click.echo(f"Deleted avatar '{name}'.")
    if is_there and with_voice:
        registered.delete(services, voice)
        click.echo(f"Deleted voice '{voice}'.")
    elif is_there:
        click.echo(f"Its voice is still there. Delete it with: visavis voices delete '{voice}'")


@click.group(cls=Commands, invoke_without_command=True)
@click.pass_context
def voices(context: click.Context) -> None:
    """Registered voices. Without a command: list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_voices)


@voices.command("list")
@_JSON
def list_voices(as_json: bool = False) -> None:
    """List the voices."""
    found = registered.listed(connect())
    rows: list[tuple[str, ...]] = [
        (one.name, *DAMAGED, "")
        if one.error
        else (one.name, one.engine, f"{one.duration_s:.0f} s", one.consent.given_by, _day(one))
        for one in found
    ]
    _show(found, ("voice", "engine", "recording", "allowed by", "made"), rows, as_json)


@voices.command("add")
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the voice.")
@click.option("--consent-by", required=True, help="Whose voice it is, and allowed this.")
@click.option("--transcript", default="", help="What the recording says; some engines need it.")
@engine_option("--engine", "learns the voice first")
def add_voice(recording: Path, name: str, consent_by: str, transcript: str, engine: str) -> None:
    """Register a voice from RECORDING. Any engine that clones can speak in it."""
    with recording.open("rb") as file:
        voice = registered.create(connect(), file, name, transcript, consent_by, engine)
    click.echo(f"Registered voice '{voice.name}' from {voice.duration_s:.0f} s of sound.")
    if voice.report:
        _tell_warnings(voice.report)


@voices.command("check")
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_JSON
def check_recording(recording: Path, as_json: bool) -> None:
    """Tell what a voice made of RECORDING would suffer from; nothing is kept."""
    with recording.open("rb") as file:
        report = registered.judge(connect(), file)
    if as_json:
        click.echo(in_json(report))
        return
    heard = f"{report.speech_s:.1f} s of it speech, {report.signal_to_noise_db:.0f} dB over noise"
    click.echo(f"{report.duration_s:.1f} s, {heard}.")
    _tell_warnings(report)


def _tell_warnings(report: Report) -> None:
    for warning in report.warnings:
        click.echo(f"Note: {warning.message}")


@voices.command("transcript")
@click.argument("name")
@click.option("--set", "transcript", help="Keep this as what the recording says.")
@click.option("--hear", is_flag=True, help="Have the recogniser write it down, and keep that.")
@click.option("--language", default="", help="With --hear or --vtt: language spoken, e.g. en.")
@engine_option("--engine", "recognises")
@click.option("--vtt", "subtitles", is_flag=True, help="Print it as WebVTT, with times.")
def voice_transcript(
    name: str, transcript: str | None, hear: bool, language: str, engine: str, subtitles: bool
) -> None:
    """What the recording of the voice NAME says: print it, or keep another text."""
    services = connect()
    if hear:
        transcript = references.transcribe(services, name, language, engine).text
    if transcript is not None:
        registered.set_transcript(services, name, transcript)
    if subtitles:
        click.echo(references.subtitles(services, name, language, engine).rstrip("\n"))
    else:
        click.echo(cast.voice(services, name).transcript)


@voices.command("export")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; NAME.voice.zip.")
def export_voice(name: str, output: Path | None) -> None:
    """Write the voice NAME as one file: its recording, transcript and consent."""
    download = voice_archive(connect(), name)
    output = output or Path(Path(download.file_name).name)
    with output.open("wb") as file:
        file.writelines(download.blocks)
    click.echo(f"Saved {output}")


@voices.command("import")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Its name here; its own unless given.")
@engine_option("--engine", "learns the voice first")
def import_voice(archive: Path, name: str, engine: str) -> None:
    """Register the voice that was exported as ARCHIVE."""
    with archive.open("rb") as file:
        voice = registered.bring(connect(), file, name, engine)
    click.echo(f"Registered voice '{voice.name}', allowed by {voice.consent.given_by}.")


@voices.command("delete")
@click.argument("name")
@_YES
def delete_voice(name: str, yes: bool) -> None:
    """Forget a voice."""
    _confirm(f"Delete voice '{name}' for good?", yes)
    registered.delete(connect(), name)
    click.echo(f"Deleted voice '{name}'.")


def _confirm(question: str, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True)


def _day(thing: Avatar | Voice) -> str:
    return datetime.fromtimestamp(thing.created_at).strftime("%Y-%m-%d %H:%M")


def _show(
    found: Sequence[Avatar | Voice], titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], as_json: bool
) -> None:
    if as_json:
        click.echo(in_json(found))
        return
    if not rows:
        click.echo("None yet.")
        return
    table = Table(*titles, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        table.add_row(*row)
    console().print(table)
