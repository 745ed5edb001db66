"""`visavis models`: the data that engines load. Works without a running stack, on this machine's folder of models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from cli.screen import Commands, console
from models import catalogue, progress
from models.bringing import bring
from models.catalogue import Model
from models.disk import in_words
from models.errors import ModelError, NotPulled
from models.folder import ModelFolder, State
from models.progress import Stage
from models.pull import pull_all
from models.settings import ModelSettings

QUIET_STEP = 0.1  # without a terminal a line is printed at each such share of a download

_STATES = {State.WHOLE: "here", State.MISSING: "", State.BEGUN: "begun", State.DAMAGED: "damaged"}


class _ModelCommands(Commands):
    """Commands that may let a ModelError out."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModelError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_ModelCommands, invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """What engines load: speech recognition and the like. Without a command: list them.

    Models lie in the folder that VISAVIS_MODELS_FOLDER names, `data/models` unless it is set; no service has to run.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_models(as_json: bool = False) -> None:
    """List the models that are known, and which are here."""
    known, folder = catalogue.load(), ModelFolder.here()
    if as_json:
        told = [_as_dict(model, folder.state(model)) for model in known.values()]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(
        "model", "state", "size", "licence", "languages", "what for", box=None, pad_edge=False, header_style="dim"
    )
    for model in known.values():
        state = _STATES[folder.state(model)]
        table.add_row(model.name, state, in_words(model.size), model.licence, _languages(model), model.purpose_in("en"))
    console().print(table)


def _as_dict(model: Model, state: State) -> dict[str, Any]:
    told = model.model_dump(include={"name", "purpose", "licence", "languages", "homepage", "recommended"}, mode="json")
    return {**told, "size_bytes": model.size, "state": state.value}


def _languages(model: Model) -> str:
    return ", ".join(model.languages) if len(model.languages) <= 3 else str(len(model.languages))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def pull(names: tuple[str, ...]) -> None:
    """Download models. One that was broken off goes on where it was; Ctrl-C keeps what has come."""
    known = catalogue.load()
    fetch([known[name] for name in names], ModelFolder.here())


def fetch(wanted: Iterable[Model], folder: ModelFolder) -> None:
    """Pull models, shown on the screen.

    Raises:
        NotPulled: some could not be had; the others are there.
    """
    screen = console()
    shown = _Bars(screen) if screen.is_terminal else _Lines(screen)
    try:
        with shown:
            failed = asyncio.run(pull_all(wanted, folder, ModelSettings(), shown.show))
    except KeyboardInterrupt:
        click.echo("\nStopped. What has come is kept; pull again to go on.", err=True)
        raise click.exceptions.Exit(130) from None
    for name in (model.name for model in wanted if model.name not in failed):
        screen.print(f"{name} is here.")
    if failed:
        raise NotPulled("\n".join(str(error) for error in failed.values()))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify(names: tuple[str, ...]) -> None:
    """Read models and compare their sums; all that are here unless some are named."""
    known, folder = catalogue.load(), ModelFolder.here()
    chosen = [known[name] for name in names] or [one for one in known.values() if folder.path(one).exists()]
    wrong = {model.name: folder.verify(model) for model in chosen}
    for name, paths in wrong.items():
        click.echo(f"{name}: {'damaged: ' + ', '.join(paths) if paths else 'right'}")
    if bad := [name for name, paths in wrong.items() if paths]:
        raise click.ClickException(f"To mend: visavis models pull {' '.join(bad)}")


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> None:
    """Delete models, and what an unfinished pull has of them."""
    known, folder = catalogue.load(), ModelFolder.here()
    for model in [known[name] for name in names]:
        freed = folder.remove(model)
        click.echo(f"{model.name}: {f'{in_words(freed)} freed' if freed else 'was not here'}")


@models.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def import_(path: Path) -> None:
    """Take models from a folder, an archive or a file that was brought from elsewhere.

    Files are known by their SHA-256, whatever they are called.
    """
    for one in bring(path, catalogue.load().values(), ModelFolder.here()):
        lack = f"still without {', '.join(one.missing)}; pull fetches just that" if one.missing else "is here"
        click.echo(f"{one.model.name}: {lack}")


class _Bars:
    """A bar for each model."""

    def __init__(self, screen: Console) -> None:
        text, bytes_ = TextColumn("{task.description}"), DownloadColumn()
        columns = (
            text,
            BarColumn(),
            bytes_,
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=screen)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, now: progress.Progress) -> None:
        """Bring a bar up to date."""
        if now.model not in self._tasks:
            self._tasks[now.model] = self._progress.add_task(now.model, total=None, note="")
        task, total = self._tasks[now.model], now.total_bytes or None
        self._progress.update(task, completed=now.done_bytes, total=total, note=_note(now))


class _Lines:
    """A line per source and per tenth, for logs and pipes."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._last: dict[str, tuple[object, ...]] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, now: progress.Progress) -> None:
        """Print a line when there is something new."""
        share = now.done_bytes / now.total_bytes if now.total_bytes else 0.0
        news = now.stage, now.source, int(share / QUIET_STEP)
        if self._last.get(now.model) == news:
            return
        self._last[now.model] = news
        self._screen.print(f"{share:4.0%}  {now.model}  {_note(now)}{_time_left(now)}", soft_wrap=True)


def _note(now: progress.Progress) -> str:
    if now.stage is Stage.WAITING:
        return "waits for another pull of it"
    return f"from {now.source}" if now.stage is Stage.DOWNLOADING else now.stage


def _time_left(now: progress.Progress) -> str:
    is_known = now.stage is Stage.DOWNLOADING and now.eta_s is not None
    return f", {now.eta_s:.0f} s left" if is_known else ""
