"""What the calls about jobs do with the table, whatever the kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from google.protobuf.message import Message
from visavis.jobs.v1 import jobs_pb2

from services.common import pages
from services.common.describe import error_message
from services.common.errors import Conflict, InvalidInput
from services.common.jobs.store import MAX_REQUEST_ID, Job, JobStore, State
from services.common.times import duration, timestamp

WATCH_POLL_S = 0.3  # while somebody watches

_STATES = {
    State.WAITING: jobs_pb2.JOB_STATE_QUEUED,
    State.QUEUED: jobs_pb2.JOB_STATE_QUEUED,
    State.RUNNING: jobs_pb2.JOB_STATE_RUNNING,
    State.SUCCEEDED: jobs_pb2.JOB_STATE_SUCCEEDED,
    State.FAILED: jobs_pb2.JOB_STATE_FAILED,
    State.CANCELLED: jobs_pb2.JOB_STATE_CANCELLED,
}


def cancel(store: JobStore, kind: str, job_id: str) -> Job:
    """Ask a job to stop. One that does not run yet is cancelled at once; one that has ended stays as it is."""
    job = store.get(job_id, kind)
    # First the wish, whatever the state: whoever takes or returns the job meanwhile carries it on.
    store.update(job.id, only=(State.WAITING, State.QUEUED, State.RUNNING), cancel_requested=True)
    store.finish(job.id, State.CANCELLED, only=(State.WAITING, State.QUEUED))
    return store.get(job_id)


def check_request_id(request_id: str) -> None:
    """Raises:
    InvalidInput: this cannot be kept beside a job.
    """
    if len(request_id) > MAX_REQUEST_ID or not (request_id.isascii() and request_id.isprintable()):
        message = f"A request id may have at most {MAX_REQUEST_ID} letters, digits and signs of ASCII. Use a UUID."
        values = {"max": str(MAX_REQUEST_ID)}
        raise InvalidInput(message, reason="BAD_REQUEST_ID", field="request_id", values=values)


def failed(store: JobStore, kind: str, job_id: str, keep_days: float) -> Job:
    """A job that can go on where it failed.

    Raises:
        NotFound: there is no such job.
        Conflict: it has not failed, or what it had made is no longer kept.
    """
    job = store.get(job_id, kind)
    if not job.can_resume(keep_days):
        message = f"Only a job that has failed within the last {keep_days:g} days can be resumed. Ask for it anew."
        raise Conflict(message, reason="CANNOT_RESUME", field="id", values={"days": f"{keep_days:g}"})
    return job


def given_up(store: JobStore, kind: str, job_id: str) -> Job:
    """A job that has ended and that nobody can resume from now on, so that what it needs can be freed.

    Raises:
        NotFound: there is no such job.
        Conflict: it has not ended.
    """
    store.update(store.get(job_id, kind).id, only=(State.FAILED,), state=State.CANCELLED)
    job = store.get(job_id, kind)
    if not job.state.is_final:
        message = "This is still being made. Cancel it first, then delete it."
        raise Conflict(message, reason="JOB_NOT_ENDED", field="id")
    return job


def page(
    store: JobStore, kinds: tuple[str, ...], request: jobs_pb2.ListJobsRequest, describe: Callable[[Job], Message]
) -> pages.Page:
    """The page of the jobs of some kinds, newest first, that a request asks for."""
    size, behind = pages.size_of(request), pages.position(request.page_token, (float, str))
    jobs = store.list(kinds, size + 1, behind)
    return pages.page(((describe(job), _place(job)) for job in jobs), size)


def _place(job: Job) -> str:
    """Of a job in lists of jobs of any kind."""
    return pages.token([job.created_at, job.id])


async def watch(store: JobStore, kind: str, job_id: str) -> AsyncIterator[Job]:
    """A snapshot now and at each change, ending with the final one."""
    last: Job | None = None
    while True:
        job = await asyncio.to_thread(store.get, job_id, kind)
        if last is None or _visible(job) != _visible(last):
            yield job
        if job.state.is_final:
            return
        last = job
        await asyncio.sleep(WATCH_POLL_S)


def _visible(job: Job) -> tuple[object, ...]:
    return (
        job.state, job.stage, job.progress, job.eta_s, job.details, job.error, job.warnings, job.result, job.device,
    )  # fmt: skip


def message(store: JobStore, job: Job, *, can_resume: bool) -> jobs_pb2.Job:
    """What every kind of job tells, as a message."""
    details = job.details
    result = jobs_pb2.Job(
        id=job.id,
        state=_STATES[job.state],
        stage=job.stage,
        progress=job.progress,
        device=job.device if job.started_at else "",
        step_index=details.get("step", 0),
        step_count=details.get("steps", 0),
        loss=details.get("loss"),
        preview_index=details.get("preview", 0),
        queue_index=store.queue_index(job),
        can_resume=can_resume,
        warnings=[error_message(warning) for warning in job.warnings],
        page_token=_place(job),
        create_time=timestamp(job.created_at),
        start_time=timestamp(job.started_at),
        end_time=timestamp(job.ended_at),
    )
    if job.eta_s is not None:
        result.eta.CopyFrom(duration(int(job.eta_s)))
    if job.error:
        result.error.CopyFrom(error_message(job.error))
    return result
