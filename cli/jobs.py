"""`visavis jobs`: trainings and generations that run or have ended."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cli import progress
from cli.generate import fetch_by_id
from cli.screen import Commands, connect, console, in_json
from client.work import jobs as client_jobs
from client.work.jobs import GenerationResult, Job

_INNER = ("created_ns", "preview", "page_token")
_RARE = ("warnings", "preview_url")
"""Of a job, what other programs are not told, and what only if there is some."""


@click.group(cls=Commands, invoke_without_command=True)
@click.pass_context
def jobs(context: click.Context) -> None:
    """Trainings and generations. Without a command: list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_jobs)


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_jobs(limit: int = 20, as_json: bool = False) -> None:
    """List the jobs, newest first."""
    listing = client_jobs.list_jobs(connect(), limit)
    found = listing.jobs
    for name in listing.missing:
        click.echo(f"The jobs of {name} are missing: it cannot be reached.", err=True)
    if as_json:
        click.echo(in_json([_told(job) for job in found]))
        return
    if not found:
        click.echo("None yet.")
        return
    table = Table("job", "avatar or model", "state", "", "asked for", box=None, pad_edge=False, header_style="dim")
    for job in found:
        when = datetime.fromtimestamp(job.created_s).strftime("%Y-%m-%d %H:%M")
        table.add_row(job.id, job.subject, job.state, _standing(job), when)
    console().print(table)


def _told(job: Job) -> dict[str, Any]:
    """A job for other programs, which get the paths at which the gateway has its files."""
    told = vars(job) | {
        "progress": round(job.progress, 4),
        "created_at": job.created_s,
        "result": _result(job),
        "preview_url": f"/api/v1/jobs/{job.id}/preview?{job.preview}" if job.preview else None,
    }
    return {name: value for name, value in told.items() if name not in _INNER and (value or name not in _RARE)}


def _result(job: Job) -> dict[str, Any] | None:
    if not isinstance(job.result, GenerationResult):
        return vars(job.result) if job.result else None
    paths = {file: f"/api/v1/jobs/{job.id}/{file}" for file in ("video", "subtitles")}
    return {
        "video_url": paths["video"],
        "subtitles_url": paths["subtitles"] if job.result.has_subtitles else None,
        "duration_s": job.result.duration_s,
    }


def _standing(job: Job) -> str:
    if job.error:
        return job.error.message
    return "" if job.is_final else f"{job.progress:.0%} {job.stage} {progress.remaining(job.eta_s)}".rstrip()


@jobs.command("watch")
@click.argument("job_id")
def watch_job(job_id: str) -> None:
    """Follow a job until it has ended."""
    services = connect()
    job = progress.follow(services, client_jobs.get(services, job_id))
    hint = f"Save its video: visavis jobs fetch {job.id} -o out.mp4" if job.kind == "generation" else ""
    console().print(f"{job.id} {job.state}. {hint}".rstrip(), soft_wrap=True)


@jobs.command("fetch")
@click.argument("job_id")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The MP4.")
def fetch_job(job_id: str, output: Path) -> None:
    """Save the video that a generation made."""
    fetch_by_id(connect(), job_id, output)


@jobs.command("cancel")
@click.argument("job_id")
def cancel_job(job_id: str) -> None:
    """Ask a job to stop."""
    job = client_jobs.cancel(connect(), job_id)
    click.echo(
        f"{job.id} has {job.state} already." if job.is_final and job.state != "cancelled" else f"{job.id} cancelled."
    )


@jobs.command("resume")
@click.argument("job_id")
def resume_job(job_id: str) -> None:
    """Let a job that failed go on where it stopped."""
    job = client_jobs.resume(connect(), job_id)
    click.echo(f"{job.id} goes on. Follow it: visavis jobs watch {job.id}")


@jobs.command("delete")
@click.argument("job_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_job(job_id: str, yes: bool) -> None:
    """Forget a job that has ended: a generation with its video; a training, but not its avatar."""
    if not yes:
        what = "its video" if client_jobs.kind_of(job_id) == "generation" else "what was kept to resume it"
        click.confirm(f"Delete {job_id} and {what} for good?", abort=True)
    client_jobs.delete(connect(), job_id)
    click.echo(f"Deleted {job_id}.")
