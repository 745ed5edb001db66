"""Jobs: all that take longer than a request, live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, stream_with_context

from client.wire.errors import CallError
from client.work import jobs
from client.work.jobs import GenerationResult, Job
from gateway import sse
from gateway.context import context, services
from gateway.refusal import Refusal
from gateway.web import errors
from gateway.web.downloads import send
from gateway.web.paging import asked

blueprint = Blueprint("jobs", __name__)
PAGE_SIZE = 100
MAX_KEY = 64  # as the services have it
PLAIN = (
    "id", "kind", "state", "stage", "eta_s", "subject", "title", "device", "queue", "step", "steps", "loss",
    "can_resume",
)  # fmt: skip
"""What of a job REST shows just as it is."""


def shown(job: Job) -> dict[str, Any]:
    """A job as REST shows it, its error and warnings in the language of this request."""
    told = {name: getattr(job, name) for name in PLAIN} | {
        "progress": round(job.progress, 4),
        "error": errors.told(job.error),
        "result": _result(job),
        "created_at": job.created_s,
    }
    if job.warnings:
        told["warnings"] = [errors.told(warning) for warning in job.warnings]
    if job.preview:
        told["preview_url"] = f"/api/v1/jobs/{job.id}/preview?{job.preview}"
    return told


def _result(job: Job) -> dict[str, Any] | None:
    if not isinstance(job.result, GenerationResult):
        return asdict(job.result) if job.result else None
    base = f"/api/v1/jobs/{job.id}"
    subtitles_url = f"{base}/subtitles" if job.result.has_subtitles else None
    return {"video_url": f"{base}/video", "subtitles_url": subtitles_url, "duration_s": job.result.duration_s}


def accepted(job: Job) -> tuple[Response, int, dict[str, str]]:
    """The answer to a request for long work."""
    return jsonify(shown(job)), 202, {"Location": f"/api/v1/jobs/{job.id}"}


def request_id() -> str:
    """What makes a repeated request safe: the same `Idempotency-Key` is answered with the same job."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY or not (key.isascii() and key.isprintable()):  # before a file is read that comes with it
        message = f"An Idempotency-Key may have at most {MAX_KEY} letters, digits and signs of ASCII. Use a UUID."
        raise Refusal(message, reason="BAD_REQUEST_ID", field="Idempotency-Key", values={"max": str(MAX_KEY)})
    return key


@blueprint.get("/jobs")
def page() -> str:
    return render_template("jobs.html")


@blueprint.get("/api/v1/jobs")
def listed() -> Response:
    listing = jobs.list_jobs(services(), *asked(PAGE_SIZE))
    shown_jobs, token = [shown(job) for job in listing.jobs], listing.next_page_token or None
    return jsonify(jobs=shown_jobs, missing=listing.missing, next_page_token=token)


@blueprint.get("/api/v1/jobs/<job_id>")
def one(job_id: str) -> Response:
    return jsonify(shown(jobs.get(services(), job_id)))


@blueprint.delete("/api/v1/jobs/<job_id>")
def delete(job_id: str) -> Response:
    jobs.delete(services(), job_id)
    return Response(status=204)


@blueprint.post("/api/v1/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    return jsonify(shown(jobs.cancel(services(), job_id)))


@blueprint.post("/api/v1/jobs/<job_id>/resume")
def resume(job_id: str) -> Response:
    return jsonify(shown(jobs.resume(services(), job_id)))


@blueprint.get("/api/v1/jobs/<job_id>/events")
def events(job_id: str) -> Response:
    """`job` events, each a full snapshot, until the job has ended."""
    jobs.get(services(), job_id)  # an unknown job is a plain 404, not an event
    return sse.response(stream_with_context(_events(job_id)))


def _events(job_id: str) -> Iterator[str]:
    try:
        for job in context().watches.snapshots(job_id):
            yield sse.event("job", shown(job)) if job else sse.HEARTBEAT
    except CallError as error:
        yield sse.event("error", errors.body_of(error))


@blueprint.get("/api/v1/jobs/<job_id>/video")
def video(job_id: str) -> Response:
    return send(lambda offset, limit: jobs.read_file(services(), job_id, "video", offset, limit))


@blueprint.get("/api/v1/jobs/<job_id>/subtitles")
def subtitles(job_id: str) -> Response:
    return send(lambda offset, limit: jobs.read_file(services(), job_id, "subtitles", offset, limit))


@blueprint.get("/api/v1/jobs/<job_id>/preview")
def preview(job_id: str) -> Response:
    download = jobs.read_file(services(), job_id, "preview")
    return Response(download.blocks, mimetype=download.content_type)
