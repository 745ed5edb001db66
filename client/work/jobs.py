"""Trainings, generations and pulls of models as one thing: a job to be listed, watched, cancelled, resumed, deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import grpc
from google.protobuf.json_format import MessageToDict
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc

from basics.problem import Problem
from client.wire.errors import CallError, problem_of, translate
from client.wire.files import READ_TIMEOUT_S, Download, download
from client.wire.pages import Page, walk
from client.wire.services import Services

TIMEOUT_S = 10
WATCH_TIMEOUT_S = 3600  # of one call; shorter than the services let any call last
LOST_FOR_S = 120.0  # a service that restarts is back by then
RETRY_S = 2.0
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_STATES = {
    jobs_pb2.JOB_STATE_QUEUED: "queued",
    jobs_pb2.JOB_STATE_RUNNING: "running",
    jobs_pb2.JOB_STATE_SUCCEEDED: "succeeded",
    jobs_pb2.JOB_STATE_FAILED: "failed",
    jobs_pb2.JOB_STATE_CANCELLED: "cancelled",
}
_SERVICES = {"training": "train", "generation": "render", "model": "train"}
"""Which service has the jobs of a kind; ids begin with the kind and a dash."""
File = Literal["preview", "video", "subtitles"]


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training."""

    avatar: str
    kind: str  # "video" or "photo": what it was made from
    voice: str | None
    metrics: dict[str, Any]  # of its report card, by name


@dataclass(frozen=True)
class GenerationResult:
    """What came of a generation: a video, whose files `read_file` reads."""

    duration_s: float
    has_subtitles: bool


@dataclass(frozen=True)
class PullResult:
    """What came of fetching a model."""

    model: str


Result = TrainingResult | GenerationResult | PullResult


@dataclass(frozen=True)
class Job:
    """A snapshot of a job. `progress` runs from 0 to 1, times are seconds."""

    id: str
    kind: str
    state: str
    stage: str
    progress: float
    eta_s: float | None
    error: Problem | None
    result: Result | None  # once it has succeeded
    subject: str  # the avatar's name, or the model's
    created_ns: int  # since the epoch
    queue: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    preview: int = 0
    device: str = ""
    title: str = ""  # how what a video says begins, or the name of its recording
    can_resume: bool = False
    warnings: tuple[Problem, ...] = ()  # what is not as it should be, though it goes on all the same
    page_token: str = ""  # of a list that is to go on behind it

    @property
    def created_s(self) -> float:
        """When it was asked for, as precisely as people care."""
        return self.created_ns // 10**6 / 1000

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("succeeded", "failed", "cancelled")


def from_message(message: jobs_pb2.Job) -> Job:
    """A job as a service tells it."""
    return Job(
        id=message.id,
        kind=kind_of(message.id),
        state=_STATES[message.state],
        stage=message.stage,
        progress=message.progress,
        eta_s=message.eta.ToTimedelta().total_seconds() if message.HasField("eta") else None,
        error=problem_of(message.error) if message.HasField("error") else None,
        result=_result(message) if message.state == jobs_pb2.JOB_STATE_SUCCEEDED else None,
        subject=_subject(message),
        created_ns=message.create_time.ToNanoseconds(),
        queue=message.queue_index,
        step=message.step_index,
        steps=message.step_count,
        loss=message.loss if message.HasField("loss") else None,
        preview=message.preview_index,
        device=message.device,
        title=message.generation.title,
        can_resume=message.can_resume,
        warnings=tuple(problem_of(warning) for warning in message.warnings),
        page_token=message.page_token,
    )


def _subject(message: jobs_pb2.Job) -> str:
    if message.HasField("pull"):
        return message.pull.model
    return message.training.avatar if message.HasField("training") else message.generation.avatar


def _result(message: jobs_pb2.Job) -> Result:
    if message.HasField("pull"):
        return PullResult(message.pull.model)
    if message.HasField("generation"):
        seconds = message.generation.duration.ToTimedelta().total_seconds()
        return GenerationResult(seconds, jobs_pb2.JOB_FILE_SUBTITLES in message.files)
    made, report = message.training, MessageToDict(message.training.report)
    return TrainingResult(made.avatar, report.get("kind", "video"), made.voice or None, report.get("metrics", report))


def kind_of(job_id: str) -> str:
    """The kind of job that an id names.

    Raises:
        CallError: it names none.
    """
    kind = job_id.partition("-")[0]
    if kind not in _SERVICES:
        raise CallError(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", "There is no such job.", "id")
    return kind


def _stub(services: Services, job_id: str) -> jobs_pb2_grpc.JobServiceStub:
    return services.jobs(_SERVICES[kind_of(job_id)])


def get(services: Services, job_id: str) -> Job:
    """A job as it is now."""
    with translate():
        return from_message(_stub(services, job_id).GetJob(jobs_pb2.GetJobRequest(id=job_id), timeout=TIMEOUT_S).job)


def trainings(services: Services) -> Iterator[Job]:
    """All trainings, newest first, fetched as they are needed."""
    return (job for job in _jobs_of(services, "train") if job.kind == "training")


def _jobs_of(services: Services, service: str, behind: str = "", size: int = 0) -> Iterator[Job]:
    """A service's jobs behind a place in the list, newest first, fetched page by page as they are needed."""

    def page(token: str) -> Page:
        request = jobs_pb2.ListJobsRequest(page_size=size, page_token=token or behind)
        with translate():
            reply = services.jobs(service).ListJobs(request, timeout=TIMEOUT_S)
        return Page([from_message(one) for one in reply.jobs], reply.next_page_token)

    return walk(page)


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
    asked = dict.fromkeys(_SERVICES.values())
    for service in asked:
        try:
            jobs += islice(_jobs_of(services, service, token, size + 1), size + 1)
        except CallError as error:
            if error.code not in _AWAY:
                raise
            lost[service] = error
    if len(lost) == len(asked):
        raise next(iter(lost.values()))
    shown = sorted(jobs, key=lambda job: (job.created_ns, job.id), reverse=True)[:size]
    return Listing(shown, list(lost), shown[-1].page_token if len(jobs) > size else "")


def cancel(services: Services, job_id: str) -> Job:
    """Ask a job to stop."""
    request = jobs_pb2.CancelJobRequest(id=job_id)
    with translate():
        return from_message(_stub(services, job_id).CancelJob(request, timeout=TIMEOUT_S).job)


def resume(services: Services, job_id: str) -> Job:
    """Let a job that failed go on where it stopped.

    Raises:
        CallError: there is no such job, it has not failed, or what it needs is no longer kept.
    """
    request = jobs_pb2.ResumeJobRequest(id=job_id)
    with translate():
        return from_message(_stub(services, job_id).ResumeJob(request, timeout=TIMEOUT_S).job)


def delete(services: Services, job_id: str) -> None:
    """Forget a job that has ended: a generation with its video, a training with its recording, but not the avatar.

    Raises:
        CallError: there is no such job, or it has not ended.
    """
    with translate():
        _stub(services, job_id).DeleteJob(jobs_pb2.DeleteJobRequest(id=job_id), timeout=TIMEOUT_S)


def watch(services: Services, job_id: str) -> Iterator[Job]:
    """A snapshot now and at each change until the job has ended. Closing the iterator ends the call.

    Every snapshot is whole, so where a call breaks off, because the service restarts or ends a call that has lasted
    long, a new one simply goes on.

    Raises:
        CallError: there is no such job, or the service stays away.
    """
    stub, lost_at = _stub(services, job_id), None
    while True:
        try:
            for job in _snapshots(stub, job_id):
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


def _snapshots(stub: jobs_pb2_grpc.JobServiceStub, job_id: str) -> Iterator[Job]:
    call = stub.WatchJob(jobs_pb2.WatchJobRequest(id=job_id), timeout=WATCH_TIMEOUT_S)
    try:
        with translate():
            for reply in call:
                yield from_message(reply.job)
    finally:
        call.cancel()


def read_file(services: Services, job_id: str, file: File, offset: int = 0, limit: int = 0) -> Download:
    """One of a job's files: the latest preview of a training; the video of a generation, or its subtitles.

    Args:
        offset: first byte wanted.
        limit: bytes wanted; 0 for all.
    """
    kind = jobs_pb2.JobFile.Value(f"JOB_FILE_{file.upper()}")
    request = jobs_pb2.ReadJobFileRequest(id=job_id, file=kind, offset_bytes=offset, limit_bytes=limit)
    return download(_stub(services, job_id).ReadJobFile(request, timeout=READ_TIMEOUT_S))
