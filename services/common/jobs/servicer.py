"""The gRPC face of jobs: one for all services that have some, told of each kind only what it alone knows."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping

import grpc
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc

from services.common import pages
from services.common.files import send_file
from services.common.jobs import calls
from services.common.jobs.runner import LocalRunner
from services.common.jobs.store import Job, JobStore, State, no_such_job
from services.common.settings import ServiceSettings
from services.common.storage import Storage


class JobKind(ABC):
    """What a service knows of one kind of its jobs."""

    name: str
    """By which the store knows the kind; ids of its jobs begin with it and a dash."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # between looking at what jobs there are and changing that

    @abstractmethod
    def describe(self, job: Job, message: jobs_pb2.Job) -> None:
        """Write into a job's message what only its kind has."""

    @abstractmethod
    def can_resume(self, job: Job) -> bool:
        """Whether a job has failed and what it needs to go on is still kept."""

    @abstractmethod
    def require_resumable(self, job: Job) -> None:
        """Look closely at what a job needs that failed lately and is to go on. Called under the lock.

        Raises:
            ServiceError: it lacks something.
        """

    def call_off(self, job: Job) -> None:  # noqa: B027 - most kinds have nothing to do here
        """Take back what an attempt has left elsewhere of a job that was cancelled while nobody worked on it."""

    @abstractmethod
    def free(self, job: Job) -> None:
        """Forget what is kept of a job that is being deleted. Called under the lock, again after one that broke off."""

    @abstractmethod
    def file(self, job: Job, file: jobs_pb2.JobFile.ValueType) -> tuple[str, str]:
        """The storage key of one of a job's files (`jobs_pb2.JobFile`), and a name to offer when it is saved.

        Raises:
            NotFound: it has no such file (yet).
        """


class JobServicer(jobs_pb2_grpc.JobServiceServicer):
    """Follows and ends the jobs of some kinds.

    Args:
        settings: of the service that has them.
        runners: the kinds, and who works on each.
    """

    full_name = "visavis.jobs.v1.JobService"

    def __init__(
        self,
        store: JobStore,
        storage: Storage,
        settings: ServiceSettings,
        runners: Mapping[JobKind, LocalRunner],
    ) -> None:
        self._store, self._storage, self._settings, self._runners = store, storage, settings, runners
        self._kinds = {kind.name: kind for kind in runners}

    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""
        jobs_pb2_grpc.add_JobServiceServicer_to_server(self, server)

    def _kind(self, job_id: str) -> JobKind:
        try:
            return self._kinds[job_id.partition("-")[0]]
        except KeyError:
            raise no_such_job() from None

    def _get(self, job_id: str) -> Job:
        return self._store.get(job_id, self._kind(job_id).name)

    def describe(self, job: Job) -> jobs_pb2.Job:
        """A job's row as a message."""
        kind = self._kinds[job.kind]
        message = calls.message(self._store, job, can_resume=kind.can_resume(job))
        kind.describe(job, message)
        return message

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: object) -> jobs_pb2.GetJobResponse:
        return jobs_pb2.GetJobResponse(job=await asyncio.to_thread(self._described, request.id))

    def _described(self, job_id: str) -> jobs_pb2.Job:
        return self.describe(self._get(job_id))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: object) -> jobs_pb2.ListJobsResponse:
        page = await asyncio.to_thread(self._page, request)
        return jobs_pb2.ListJobsResponse(jobs=page.entries, next_page_token=page.next_page_token)

    def _page(self, request: jobs_pb2.ListJobsRequest) -> pages.Page:
        return calls.page(self._store, tuple(self._kinds), request, self.describe)

    async def WatchJob(
        self, request: jobs_pb2.WatchJobRequest, context: object
    ) -> AsyncIterator[jobs_pb2.WatchJobResponse]:
        async for job in calls.watch(self._store, self._kind(request.id).name, request.id):
            yield jobs_pb2.WatchJobResponse(job=await asyncio.to_thread(self.describe, job))

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: object) -> jobs_pb2.CancelJobResponse:
        return jobs_pb2.CancelJobResponse(job=await asyncio.to_thread(self._cancel, request.id))

    def _cancel(self, job_id: str) -> jobs_pb2.Job:
        kind = self._kind(job_id)
        job = calls.cancel(self._store, kind.name, job_id)
        if job.state is State.CANCELLED:
            kind.call_off(job)
        return self.describe(job)

    async def ResumeJob(self, request: jobs_pb2.ResumeJobRequest, context: object) -> jobs_pb2.ResumeJobResponse:
        job = await asyncio.to_thread(self._resume, request.id)
        self._runners[self._kind(request.id)].wake()
        return jobs_pb2.ResumeJobResponse(job=job)

    def _resume(self, job_id: str) -> jobs_pb2.Job:
        kind = self._kind(job_id)
        with kind.lock:
            job = calls.failed(self._store, kind.name, job_id, self._settings.keep_failed_days)
            kind.require_resumable(job)
            self._store.resume(job)
        return self._described(job_id)

    async def DeleteJob(self, request: jobs_pb2.DeleteJobRequest, context: object) -> jobs_pb2.DeleteJobResponse:
        await asyncio.to_thread(self._delete, request.id)
        return jobs_pb2.DeleteJobResponse()

    def _delete(self, job_id: str) -> None:
        kind = self._kind(job_id)
        with kind.lock:
            job = calls.given_up(self._store, kind.name, job_id)
            kind.free(job)
            self._store.delete(job.id)  # last: while the row is there, this can be repeated
        self._runners[kind].forget_folder(job.id)

    async def ReadJobFile(
        self, request: jobs_pb2.ReadJobFileRequest, context: object
    ) -> AsyncIterator[jobs_pb2.ReadJobFileResponse]:
        key, file_name = await asyncio.to_thread(self._file, request)
        async for reply in send_file(self._storage, key, request, jobs_pb2.ReadJobFileResponse, file_name):
            yield reply

    def _file(self, request: jobs_pb2.ReadJobFileRequest) -> tuple[str, str]:
        return self._kind(request.id).file(self._get(request.id), request.file)
