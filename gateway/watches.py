"""Live progress of jobs: one watch per job, shared by every page that looks at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from client.wire.errors import CallError
from client.wire.services import Services
from client.work import jobs
from client.work.jobs import Job
from gateway.sse import HEARTBEAT_S


class _Watch:
    """The latest snapshot of one job, kept by a thread until the job has ended."""

    def __init__(self, services: Services, job_id: str) -> None:
        self._services, self._job_id = services, job_id
        self.changed = threading.Condition()
        self.job: Job | None = None
        self.error: CallError | None = None
        self.version = 0

    def run(self) -> None:
        try:
            for job in jobs.watch(self._services, self._job_id):
                self._note(job, None)
        except CallError as error:
            self._note(self.job, error)

    def _note(self, job: Job | None, error: CallError | None) -> None:
        with self.changed:
            self.job, self.error, self.version = job, error, self.version + 1
            self.changed.notify_all()


class Watches:
    """Every job that someone looks at."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._watches: dict[str, _Watch] = {}

    def snapshots(self, job_id: str) -> Iterator[Job | None]:
        """A snapshot now and at each change until the job has ended; None when nothing has changed for a while.

        Raises:
            CallError: there is no such job, or the service went away.
        """
        watch, seen = self._join(job_id), 0
        while True:
            with watch.changed:
                watch.changed.wait_for(lambda: watch.version > seen, HEARTBEAT_S)  # noqa: B023
                fresh, seen, job, error = watch.version > seen, watch.version, watch.job, watch.error
            if error:
                raise error
            yield job if fresh else None
            if job and job.is_final:
                return

    def _join(self, job_id: str) -> _Watch:
        with self._lock:
            watch = self._watches.get(job_id)
            if watch is None:
                watch = self._watches[job_id] = _Watch(self._services, job_id)
                threading.Thread(target=self._run, args=(job_id, watch), daemon=True).start()
            return watch

    def _run(self, job_id: str, watch: _Watch) -> None:
        try:
            watch.run()
        finally:
            with self._lock:
                del self._watches[job_id]
