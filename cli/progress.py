"""A job on the screen: stages, steps, loss, time left; and the question that Ctrl-C raises."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from basics.problem import Problem
from cli.screen import console, explain
from client.wire.errors import CallError
from client.wire.files import Download
from client.wire.services import Services
from client.work import jobs
from client.work.jobs import Job

QUIET_STEP = 0.1  # without a terminal a line is printed at each such share of the whole


def follow(services: Services, job: Job, preview: Path | None = None) -> Job:
    """Show a job until it has ended or the user leaves it; the last snapshot.

    Raises:
        click.ClickException: it failed or was cancelled.
    """
    screen = console()
    shown = _Bars(screen) if screen.is_terminal else _Lines(screen)
    while True:
        try:
            with shown:
                job = _watch(services, job, shown.show, preview)
            return _outcome(job)
        except KeyboardInterrupt:
            if not _go_on(services, job, screen):
                raise click.exceptions.Exit(130) from None


def _watch(services: Services, job: Job, show: Callable[[Job], None], preview: Path | None) -> Job:
    drawn = 0
    for snapshot in jobs.watch(services, job.id):
        job = snapshot
        show(job)
        if preview and job.preview > drawn:
            drawn = job.preview
            _save_preview(services, job.id, preview)
    return job


def _save_preview(services: Services, job_id: str, path: Path) -> None:
    with contextlib.suppress(CallError):  # the next one will do
        save(jobs.read_file(services, job_id, "preview"), path)


def save(download: Download, path: Path) -> None:
    """Write a download to a file that appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            for block in download.blocks:
                file.write(block)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Failed(click.ClickException):
    exit_code = 2


def _outcome(job: Job) -> Job:
    if job.state == "failed":
        error = job.error or Problem("INTERNAL", "The job failed; the service's log says why.")
        raise _Failed(explain(error.message, error.field))
    if job.state == "cancelled":
        raise click.ClickException("The job was cancelled.")
    return job


def _go_on(services: Services, job: Job, screen: Console) -> bool:
    """What Ctrl-C meant. True to keep watching."""
    how = f"Watch it with: visavis jobs watch {job.id}"
    if not screen.is_terminal:
        screen.print(f"{job.id} goes on. {how}", soft_wrap=True)
        return False
    question = "\nThe job runs on the service. [c]ancel it, [l]eave it running, or go on [w]atching?"
    choice = click.prompt(question, type=click.Choice(["c", "l", "w"]), default="l", show_choices=False)
    if choice == "w":
        return True
    if choice == "c":
        jobs.cancel(services, job.id)
        screen.print("Cancelled.")
    else:
        screen.print(f"It goes on. {how}", soft_wrap=True)
    return False


def remaining(seconds: float | None) -> str:
    """Time left in words, e.g. "3 min 20 s left"."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s left" if minutes else f"{rest} s left"


def _steps(job: Job) -> str:
    return f"{job.step}/{job.steps}" if job.steps else ""


def _loss(job: Job) -> str:
    return "" if job.loss is None else f"loss {job.loss:.4f}"


class _Bars:
    """A bar for the whole and one per stage."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def __enter__(self) -> _Bars:
        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=self._screen)
        self._progress.start()
        self._whole = self._progress.add_task("waiting", total=1.0, note="")
        self._stages: dict[str, TaskID] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: Job) -> None:
        """Bring the bars up to date."""
        note = f"{job.queue} before it" if job.state == "queued" and job.queue else remaining(job.eta_s)
        self._progress.update(self._whole, completed=job.progress, description=job.state, note=note)
        if not job.stage:
            return
        if job.stage not in self._stages:
            self._finish_stages()
            self._stages[job.stage] = self._progress.add_task(f"  {job.stage}", total=None, note="")
        note = "  ".join(part for part in (_steps(job), _loss(job)) if part)
        self._progress.update(self._stages[job.stage], completed=job.step, total=job.steps or None, note=note)
        if job.state == "succeeded":
            self._finish_stages()

    def _finish_stages(self) -> None:
        for stage in self._stages.values():
            self._progress.update(stage, completed=1, total=1)


class _Lines:
    """One line per stage and per tenth of the whole, for logs and pipes."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._last: tuple[str, str, int] | None = None

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, job: Job) -> None:
        """Print a line when there is something new."""
        now = job.state, job.stage, int(job.progress / QUIET_STEP)
        if now == self._last:
            return
        self._last = now
        parts = f"{job.progress:4.0%}", job.state, job.stage, _steps(job), _loss(job), remaining(job.eta_s)
        self._screen.print("  ".join(part for part in parts if part), soft_wrap=True)
