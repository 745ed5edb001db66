"""Trainings and generations as one kind of thing: a job that can be listed, watched, cancelled, resumed, deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2

from client.errors import CallError, translate
from client.files import READ_TIMEOUT_S, Download, download
from client.pages import Page, walk
from client.services import Services

TIMEOUT_S = 10
WATCH_TIMEOUT_S = 3600  # of one call; shorter than the services let any call last
LOST_FOR_S = 120.0  # a service that restarts is back by then
RETRY_S = 2.0
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_STATES = {
    job_pb2.JOB_STATE_QUEUED: "queued",
    job_pb2.JOB_STATE_RUNNING: "running",
    job_pb2.JOB_STATE_SUCCEEDED: "succeeded",
    job_pb2.JOB_STATE_FAILED: "failed",
    job_pb2.JOB_STATE_CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Job:
    """A snapshot of a job. `progress` runs from 0 to 1, times are seconds."""

    id: str
    kind: str
    state: str
    stage: str
    progress: float
    eta_s: float | None
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    subject: str  # the avatar's name
    created_ns: int  # since the epoch
    queue: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    preview: int = 0
    device: str = ""
    title: str = ""  # how what a video says begins, or the name of its recording
    can_resume: bool = False
    warnings: tuple[dict[str, Any], ...] = ()  # of a recording that is not ideal; told once, to who brought it
    page_token: str = ""  # of a list that is to go on behind it

    @property
    def created_s(self) -> float:
        """When it was asked for, as precisely as people care."""
        return self.created_ns // 10**6 / 1000

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("succeeded", "failed", "cancelled")

    def as_dict(self) -> dict[str, Any]:
        """The job as REST shows it."""
        shown = {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "stage": self.stage,
            "progress": round(self.progress, 4),
            "eta_s": self.eta_s,
            "error": self.error,
            "result": self.result,
            "subject": self.subject,
            "title": self.title,
            "created_at": self.created_s,
            "device": self.device,
            "queue": self.queue,
            "step": self.step,
            "steps": self.steps,
            "loss": self.loss,
            "can_resume": self.can_resume,
        }
        if self.warnings:
            shown["warnings"] = list(self.warnings)
        if self.preview:
            shown["preview_url"] = f"/api/v1/jobs/{self.id}/preview?{self.preview}"
        return shown


def from_training(training: train_pb2.Training) -> Job:
    """A training as a job."""
    result = None
    if training.job.state == job_pb2.JOB_STATE_SUCCEEDED:
        report = MessageToDict(training.report)
        result = {
            "avatar": training.avatar,
            "kind": report.get("kind", "video"),
            "voice": training.voice or None,
            "metrics": report.get("metrics", report),
        }
    return _job(training.job, training.avatar, result)


def from_generation(generation: render_pb2.Generation) -> Job:
    """A generation as a job."""
    result = None
    if generation.job.state == job_pb2.JOB_STATE_SUCCEEDED:
        base = f"/api/v1/jobs/{generation.job.id}"
        has_subtitles = render_pb2.GENERATION_FILE_SUBTITLES in generation.files
        result = {
            "video_url": f"{base}/video",
            "subtitles_url": f"{base}/subtitles" if has_subtitles else None,
            "duration_s": generation.duration.ToTimedelta().total_seconds(),
        }
    return _job(generation.job, generation.avatar, result, generation.title)


def problem(error: job_pb2.Error) -> dict[str, Any]:
    """What is wrong, as a dictionary; `values` is what a translation fills in."""
    return {
        "code": error.reason,
        "message": error.message,
        "field": error.field or None,
        "values": dict(error.values),
    }


def _job(job: job_pb2.Job, subject: str, result: dict[str, Any] | None, title: str = "") -> Job:
    return Job(
        id=job.id,
        kind=kind_of(job.id),
        state=_STATES[job.state],
        stage=job.stage,
        progress=job.progress,
        eta_s=job.eta.ToTimedelta().total_seconds() if job.HasField("eta") else None,
        error=problem(job.error) if job.HasField("error") else None,
        result=result,
        subject=subject,
        created_ns=job.create_time.ToNanoseconds(),
        queue=job.queue_index,
        step=job.step_index,
        steps=job.step_count,
        loss=job.loss if job.HasField("loss") else None,
        preview=job.preview_index,
        device=job.device,
        title=title,
        can_resume=job.can_resume,
        page_token=job.page_token,
    )


@dataclass(frozen=True)
class _Kind:
    """How the service of one kind of job spells the calls that both kinds have, e.g. `GetTraining`."""

    service: str
    noun: str
    messages: ModuleType
    read: Callable[[Any], Job]

    def call(self, services: Services, verb: str, timeout: float, plural: str = "", **fields: Any) -> Any:
        """Make a call: its answer, or the stream of its answers."""
        name = f"{verb}{self.noun}{plural}"
        request = getattr(self.messages, f"{name}Request")(**fields)
        with translate():
            return getattr(getattr(services, self.service), name)(request, timeout=timeout)

    def job(self, reply: Any) -> Job:
        """The job that an answer holds."""
        return self.read(getattr(reply, self.noun.lower()))

    def list(self, services: Services, token: str = "", size: int = 0) -> Iterator[Job]:
        """The jobs of this kind behind a place in the list, newest first, fetched page by page as they are needed."""

        def page(next_token: str) -> Page:
            reply = self.call(services, "List", TIMEOUT_S, "s", page_size=size, page_token=next_token or token)
            return Page([self.read(one) for one in getattr(reply, f"{self.noun.lower()}s")], reply.next_page_token)

        return walk(page)


_KINDS = {
    "training": _Kind("train", "Training", train_pb2, from_training),
    "generation": _Kind("render", "Generation", render_pb2, from_generation),
}


def kind_of(job_id: str) -> str:
    """The kind of job that an id names.

    Raises:
        CallError: it names none.
    """
    kind = job_id.partition("-")[0]
    if kind not in _KINDS:
        raise CallError(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", "There is no such job.", "id")
    return kind


def get(services: Services, job_id: str) -> Job:
    """A job as it is now."""
    kind = _KINDS[kind_of(job_id)]
    return kind.job(kind.call(services, "Get", TIMEOUT_S, id=job_id))


def trainings(services: Services) -> Iterator[Job]:
    """All trainings, newest first, fetched as they are needed."""
    return _KINDS["training"].list(services)


@dataclass(frozen=True)
class Listing:
    """A page of jobs, newest first, and the services that could not be asked for theirs."""

    jobs: list[Job]
    missing: list[str]
    next_page_token: str = ""  # empty when no more follow


def list_jobs(services: Services, size: int = 100, token: str = "") -> Listing:
    """Jobs of every kind, behind what a page before told; those of a service that is down are left out.

    Raises:
        CallError: no service can be asked.
    """
    jobs: list[Job] = []
    lost: dict[str, CallError] = {}
    for kind in _KINDS.values():
        try:
            jobs += islice(kind.list(services, token, size + 1), size + 1)
        except CallError as error:
            if error.code not in _AWAY:
                raise
            lost[kind.service] = error
    if len(lost) == len(_KINDS):
        raise next(iter(lost.values()))
    shown = sorted(jobs, key=lambda job: (job.created_ns, job.id), reverse=True)[:size]
    return Listing(shown, list(lost), shown[-1].page_token if len(jobs) > size else "")


def cancel(services: Services, job_id: str) -> Job:
    """Ask a job to stop."""
    kind = _KINDS[kind_of(job_id)]
    return kind.job(kind.call(services, "Cancel", TIMEOUT_S, id=job_id))


def resume(services: Services, job_id: str) -> Job:
    """Let a job that failed go on where it stopped.

    Raises:
        CallError: there is no such job, it has not failed, or what it needs is no longer kept.
    """
    kind = _KINDS[kind_of(job_id)]
    return kind.job(kind.call(services, "Resume", TIMEOUT_S, id=job_id))


def delete(services: Services, job_id: str) -> None:
    """Forget a job that has ended: a generation with its video, a training with its recording, but not the avatar.

    Raises:
        CallError: there is no such job, or it has not ended.
    """
    _KINDS[kind_of(job_id)].call(services, "Delete", TIMEOUT_S, id=job_id)


def watch(services: Services, job_id: str) -> Iterator[Job]:
    """A snapshot now and at each change until the job has ended. Closing the iterator ends the call.

    Every snapshot is whole, so where a call breaks off, because the service restarts or ends a call that has lasted
    long, a new one simply goes on.

    Raises:
        CallError: there is no such job, or the service stays away.
    """
    kind, lost_at = _KINDS[kind_of(job_id)], None
    while True:
        try:
            for job in _snapshots(services, kind, job_id):
                lost_at = None
                yield job
                if job.is_final:
                    return
        except CallError as error:
            if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
                continue
            lost_at = lost_at or time.monotonic()
            if error.code is not grpc.StatusCode.UNAVAILABLE or time.monotonic() - lost_at > LOST_FOR_S:
                raise
        time.sleep(RETRY_S)


def _snapshots(services: Services, kind: _Kind, job_id: str) -> Iterator[Job]:
    call = kind.call(services, "Watch", WATCH_TIMEOUT_S, id=job_id)
    try:
        with translate():
            for reply in call:
                yield kind.job(reply)
    finally:
        call.cancel()


def read_preview(services: Services, job_id: str) -> Download:
    """The latest preview picture of a training."""
    request = train_pb2.ReadPreviewRequest(id=job_id)
    return download(services.train.ReadPreview(request, timeout=READ_TIMEOUT_S))
