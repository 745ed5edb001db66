"""Jobs: all that take longer than a request, live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, stream_with_context

from client import files, jobs
from client.errors import CallError
from client.jobs import Job
from gateway import errors, sse
from gateway.context import context, services
from gateway.downloads import send
from gateway.paging import asked
from gateway.refusal import Refusal

blueprint = Blueprint("jobs", __name__)
PAGE_SIZE = 100
MAX_KEY = 64  # as the services have it


def shown(job: Job) -> dict[str, Any]:
    """A job as REST shows it, its error and warnings in the language of this request."""
    result = job.as_dict() | {"error": errors.told(job.error)}
    if job.warnings:
        result["warnings"] = [errors.told(warning) for warning in job.warnings]
    return result


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
    return send(lambda offset, limit: files.generation_file(services(), job_id, "video", offset, limit))


@blueprint.get("/api/v1/jobs/<job_id>/subtitles")
def subtitles(job_id: str) -> Response:
    return send(lambda offset, limit: files.generation_file(services(), job_id, "subtitles", offset, limit))


@blueprint.get("/api/v1/jobs/<job_id>/preview")
def preview(job_id: str) -> Response:
    download = jobs.read_preview(services(), job_id)
    return Response(download.blocks, mimetype=download.content_type)
