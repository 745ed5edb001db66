"""Trainings and generations as one kind of thing: a job that can be listed, watched and cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2

from client.errors import CallError, translate
from client.files import READ_TIMEOUT_S, Download, download
from client.services import Services

TIMEOUT_S = 10
WATCH_TIMEOUT_S = 24 * 3600

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
    created_s: float
    queue: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    preview: int = 0
    device: str = ""
    files: tuple[str, ...] = field(default=())

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
            "created_at": self.created_s,
            "device": self.device,
            "queue": self.queue,
            "step": self.step,
            "steps": self.steps,
            "loss": self.loss,
        }
        if self.preview:
            shown["preview_url"] = f"/api/v1/jobs/{self.id}/preview?{self.preview}"
        return shown


def from_training(training: train_pb2.Training) -> Job:
    """A training as a job."""
    result = None
    if training.job.state == job_pb2.JOB_STATE_SUCCEEDED:
        report = MessageToDict(training.report)
        result = {"avatar": training.avatar, "voice": training.voice or None, "metrics": report.get("metrics", report)}
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
    return _job(generation.job, generation.avatar, result)


def _job(job: job_pb2.Job, subject: str, result: dict[str, Any] | None) -> Job:
    error = None
    if job.HasField("error"):
        error = {"code": job.error.reason, "message": job.error.message, "field": job.error.field or None}
        error["values"] = dict(job.error.values)
    return Job(
        id=job.id,
        kind=kind_of(job.id),
        state=_STATES[job.state],
        stage=job.stage,
        progress=job.progress,
        eta_s=job.eta.ToTimedelta().total_seconds() if job.HasField("eta") else None,
        error=error,
        result=result,
        subject=subject,
        created_s=job.create_time.ToMilliseconds() / 1000,
        queue=job.queue_index,
        step=job.step_index,
        steps=job.step_count,
        loss=job.loss if job.HasField("loss") else None,
        preview=job.preview_index,
        device=job.device,
    )


def kind_of(job_id: str) -> str:
    """The kind of job that an id names.

    Raises:
        CallError: it names none.
    """
    kind = job_id.partition("-")[0]
    if kind not in ("training", "generation"):
        raise CallError(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", "There is no such job.", "id")
    return kind


def get(services: Services, job_id: str) -> Job:
    """A job as it is now."""
    with translate():
        if kind_of(job_id) == "training":
            request = train_pb2.GetTrainingRequest(id=job_id)
            return from_training(services.train.GetTraining(request, timeout=TIMEOUT_S).training)
        request = render_pb2.GetGenerationRequest(id=job_id)
        return from_generation(services.render.GetGeneration(request, timeout=TIMEOUT_S).generation)


def list_jobs(services: Services, limit: int = 100) -> list[Job]:
    """Jobs of every kind, newest first."""
    with translate():
        trainings = services.train.ListTrainings(train_pb2.ListTrainingsRequest(limit_count=limit), timeout=TIMEOUT_S)
        request = render_pb2.ListGenerationsRequest(limit_count=limit)
        generations = services.render.ListGenerations(request, timeout=TIMEOUT_S)
    jobs = [from_training(training) for training in trainings.trainings]
    jobs += [from_generation(generation) for generation in generations.generations]
    return sorted(jobs, key=lambda job: job.created_s, reverse=True)[:limit]


def cancel(services: Services, job_id: str) -> Job:
    """Ask a job to stop."""
    with translate():
        if kind_of(job_id) == "training":
            request = train_pb2.CancelTrainingRequest(id=job_id)
            return from_training(services.train.CancelTraining(request, timeout=TIMEOUT_S).training)
        request = render_pb2.CancelGenerationRequest(id=job_id)
        return from_generation(services.render.CancelGeneration(request, timeout=TIMEOUT_S).generation)


def watch(services: Services, job_id: str) -> Iterator[Job]:
    """A snapshot now and at each change until the job has ended. Closing the iterator ends the call."""
    if kind_of(job_id) == "training":
        call = services.train.WatchTraining(train_pb2.WatchTrainingRequest(id=job_id), timeout=WATCH_TIMEOUT_S)
        snapshots = (from_training(reply.training) for reply in call)
    else:
        request = render_pb2.WatchGenerationRequest(id=job_id)
        call = services.render.WatchGeneration(request, timeout=WATCH_TIMEOUT_S)
        snapshots = (from_generation(reply.generation) for reply in call)
    try:
        with translate():
            yield from snapshots
    finally:
        call.cancel()


def read_preview(services: Services, job_id: str) -> Download:
    """The latest preview picture of a training."""
    request = train_pb2.ReadPreviewRequest(id=job_id)
    return download(services.train.ReadPreview(request, timeout=READ_TIMEOUT_S))
