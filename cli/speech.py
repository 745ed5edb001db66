"""`visavis say` and `visavis transcribe`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cli.engines import engine_option
from cli.screen import connect, console, in_json
from client.talk import speech

_FORMATS = ("text", "vtt", "srt", "json")


@click.command()
@click.argument("text")
@click.option("--voice", default="", help="A registered voice; the engine's own unless given. See: visavis voices")
@click.option("--language", default="", help="Language of the text, e.g. en or zh.")
@engine_option("--engine", "speaks")
@click.option("--rate", type=float, default=1.0, show_default=True, help="Speaking rate.")
@click.option("--pitch", type=float, default=0.0, show_default=True, help="Semitones to raise the voice by.")
@click.option("--volume", type=float, default=0.0, show_default=True, help="Decibels to raise the volume by.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The WAV file.")
def say(text: str, output: Path, pitch: float, volume: float, **how: Any) -> None:
    """Speak TEXT into a WAV file; '-' reads it from standard input."""
    if text == "-":
        text = sys.stdin.read()
    wav = speech.speech_wav(connect(), text, pitch_semitones=pitch, volume_db=volume, **how)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(wav)
    console().print(f"Saved {output}", soft_wrap=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", default="", help="Language spoken, e.g. en.")
@engine_option("--engine", "recognises")
@click.option("--hotword", "hotwords", multiple=True, help="A name or rare word that may be said; repeatable.")
@click.option("--spoken", "spoken_form", is_flag=True, help="Leave numbers in words.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not on the screen.")
def transcribe(
    file: Path,
    language: str,
    engine: str,
    hotwords: tuple[str, ...],
    spoken_form: bool,
    form: str,
    output: Path | None,
) -> None:
    """Write down what is said in FILE, a recording or a video."""
    with file.open("rb") as audio:
        heard = speech.transcribe(connect(), audio, language, engine, hotwords, spoken_form=spoken_form)
    fields = {"text": "text", "vtt": "webvtt", "srt": "srt"}
    words = in_json(heard) if form == "json" else getattr(heard, fields[form])
    if output:
        output.write_text(words.rstrip("\n") + "\n", encoding="utf-8")
    else:
        click.echo(words.rstrip("\n"))
