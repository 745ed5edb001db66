"""The local job runner: one child process per job, one slot per device, jobs taken from the durable table."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import time
from asyncio.subprocess import Process
from typing import Any

import sqlalchemy as sa

from basics.problem import Problem
from services.common import tidying
from services.common.disk import age_s, is_full
from services.common.errors import NotFound, ServiceError, Unavailable
from services.common.interceptors import to_service_error
from services.common.jobs.process import messages, spawn, terminate
from services.common.jobs.store import DAY_S, Counted, Job, JobStore, State
from services.common.settings import ServiceSettings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0  # at the table: what another replica was asked for waits so long at most
CANCEL_POLL_S = 0.3
HEARTBEAT_S = 2.0
LOST_AFTER_S = 15.0  # a runner silent for so long is taken for dead
TIDY_EVERY_S = 60.0
MAX_ATTEMPTS = 3  # a job that kills its process again and again is given up
MAX_LOSSES = 10  # in a row, without getting further: it cannot begin here, or takes its whole service with it
INPUT_MISSING = Problem("INPUT_MISSING", "The speech for this video never arrived. Ask for it again.")
CRASHED = Problem(
    "CRASHED",
    "The work stopped unexpectedly, more than once; the service's log has the details. What was done is kept: resume "
    "the job, or delete it.",
)


class Silence:
    """For how many looks at the table running and waiting jobs have not been heard of.

    Looks are counted, no times compared: a clock that is set means nothing, a replica that slept has not looked
    meanwhile, and a machine that slept gives its jobs the time to be heard of again.
    """

    def __init__(self) -> None:
        self._looks: dict[str, tuple[float, int]] = {}

    def of(self, jobs: list[Job]) -> dict[str, int]:
        """Take the next look: how many before it found each of these jobs just like this, by id."""
        before, self._looks = self._looks, {}
        for job in jobs:
            heard_at, count = before.get(job.id, (0.0, 0))
            self._looks[job.id] = (job.heartbeat_at, count + 1 if heard_at == job.heartbeat_at else 0)
        return {job_id: count for job_id, (_, count) in self._looks.items()}


class LocalRunner:
    """Runs the jobs of one kind.

    Args:
        kind: which jobs to take.
        module: what a child runs, `python -m module`; see `child.py`.
        devices: one job at a time runs on each.
        settings: of the service; handed to every child. Each job works in a folder named by its id below
            `settings.work_folder`, so that a killed one can go on. The folder is kept until the job has ended, that of
            a failed one for `settings.keep_failed_days` besides.
        input_timeout_s: a job whose input has not arrived after so long fails.
    """

    def __init__(
        self,
        store: JobStore,
        kind: str,
        module: str,
        devices: list[str],
        settings: ServiceSettings,
        input_timeout_s: float = 1800,
    ) -> None:
        self._store, self._kind, self._module = store, kind, module
        self._devices, self._settings = devices, settings
        self._input_timeout_s = input_timeout_s
        self._name = f"{socket.gethostname()[:64]}:{os.getpid()}:{id(self):x}"
        self._loops: list[asyncio.Task[None]] = []
        self._work = {device: asyncio.Event() for device in devices}  # there may be some
        self._held: set[str] = set()  # jobs that run here
        self._silence = Silence()
        self._old = tidying.Lasting()

    def start(self) -> None:
        """Begin taking jobs, in the running event loop."""
        self._loops = [asyncio.create_task(self._slot(device)) for device in self._devices]
        self._loops.append(asyncio.create_task(self._look_around()))
        self._loops.append(asyncio.create_task(tidying.tidy(self.forget_folders, TIDY_EVERY_S)))

    async def close(self) -> None:
        """Stop taking jobs; those that run are queued again and go on from their checkpoint later."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def wake(self) -> None:
        """A job was queued: begin it at once, if a slot is free. Called in the event loop."""
        for work in self._work.values():
            work.set()

    async def _slot(self, device: str) -> None:
        # Beside faster devices the processor takes only what was meant for it.
        only_asked = device == "cpu" and len(self._devices) > 1
        while True:
            self._work[device].clear()  # before looking: what is queued meanwhile is looked for again
            try:
                job = await asyncio.to_thread(self._store.claim, self._kind, device, self._name, only_asked=only_asked)
                if job:
                    await self._run(job)
                    continue
            except Exception:  # noqa: BLE001 - a table or disk that fails for a moment must not end the slot
                logger.exception("slot stumbled")
                await asyncio.sleep(HEARTBEAT_S)
                continue
            await self._work[device].wait()

    async def _look_around(self) -> None:
        while True:
            try:
                if await asyncio.to_thread(self._look):
                    self.wake()
            except Exception:  # noqa: BLE001 - nor this
                logger.exception("look stumbled")
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> bool:
        """Queue lost jobs again, fail those that nobody brings anything; tells whether there is something to do."""
        jobs = self._store.active(self._kind)
        looks = self._silence.of(jobs)
        has_work = any(job.state is State.QUEUED for job in jobs)
        for job in jobs:
            silent_s = looks[job.id] * LOOK_EVERY_S
            if job.state is State.RUNNING and job.id not in self._held and silent_s >= LOST_AFTER_S:
                if self._store.requeue(job, heard_at=job.heartbeat_at, counts_as="loss"):
                    logger.warning("lost job queued again", extra={"fields": {"job": job.id}})
                    has_work = True
            elif job.state is State.WAITING and silent_s >= self._input_timeout_s:
                self._store.finish(
                    job.id, State.FAILED, only=(State.WAITING,), heard_at=job.heartbeat_at, error=INPUT_MISSING
                )
        return has_work

    def forget_folders(self) -> int:
        """Free what jobs that came to their end have left in the work folder; returns of how many.

        What only its age condemns must look old for a while. A folder that the table does not know may be of a table
        that was lost, so it is kept as long as that of a failed job.
        """
        ids = [path.name for path in self._settings.work_folder.glob(f"{self._kind}-*")]
        ended = [job_id for job_id in ids if self._state(job_id) in (State.SUCCEEDED, State.CANCELLED)]
        old = [job_id for job_id in ids if self._looks_old(job_id)]
        forgotten = ended + self._old.among(old, tidying.CERTAIN_AFTER_S)
        for job_id in forgotten:
            self.forget_folder(job_id)
        return len(forgotten)

    def forget_folder(self, job_id: str) -> None:
        """Free what a job has left in the work folder."""
        shutil.rmtree(self._settings.work_folder / job_id, ignore_errors=True)

    def _state(self, job_id: str) -> State | None:
        try:
            return self._store.get(job_id).state
        except NotFound:
            return None

    def _looks_old(self, job_id: str) -> bool:
        keep_days = self._settings.keep_failed_days
        try:
            job = self._store.get(job_id)
        except NotFound:
            return age_s(self._settings.work_folder / job_id) > keep_days * DAY_S
        return job.state is State.FAILED and not job.can_resume(keep_days)

    async def _run(self, job: Job) -> None:
        logger.info("job starts", extra={"fields": {"job": job.id, "device": job.device, "attempt": job.attempt}})
        if job.attempt > MAX_ATTEMPTS or job.losses >= MAX_LOSSES:
            self._end(job, State.FAILED, error=CRASHED)
            return
        self._held.add(job.id)
        try:
            self._conclude(job, await self._outcome(job))
        except BaseException as error:
            self._let_go(job, error)
            raise
        finally:
            self._held.discard(job.id)

    async def _outcome(self, job: Job) -> dict[str, Any]:
        """What comes of a job. Its process has ended then, however that was: nobody else may begin the job before."""
        process = await spawn(self._module, self._task(job))
        watcher = asyncio.create_task(self._watch_over(job, process))
        try:
            return await self._follow(job, process)
        finally:
            watcher.cancel()
            await terminate(process)

    def _let_go(self, job: Job, error: BaseException) -> None:
        """Queue a job again whose attempt broke on our side; one that cannot begin however often it is tried, fails."""
        cannot_begin = isinstance(error, OSError) or is_full(error)
        if cannot_begin and job.losses + 1 >= MAX_LOSSES:
            self._end(job, State.FAILED, error=_cannot_begin(error).problem)
        else:
            self._store.requeue(job, held_by=self._name, counts_as=_counted(error))

    def _task(self, job: Job) -> dict[str, Any]:
        folder = self._settings.work_folder / job.id
        folder.mkdir(parents=True, exist_ok=True)
        settings = self._settings.model_dump(mode="json")
        return {
            "id": job.id, "spec": job.spec, "device": job.device, "work_folder": str(folder), "settings": settings,
        }  # fmt: skip

    async def _follow(self, job: Job, process: Process) -> dict[str, Any]:
        best = job.progress
        outcome: dict[str, Any] = {}
        async for message in messages(process):
            if "progress" not in message:
                outcome = message
                continue
            update = message["progress"]
            best = max(best, update.pop("progress", 0.0))
            changes = {"stage": update.pop("stage", ""), "progress": best, "eta_s": update.pop("eta_s", None)}
            if "warnings" in update:  # all that there are by now
                changes["warnings"] = tuple(Problem(**one) for one in update.pop("warnings"))
            if best > job.progress:  # it gets further than the attempts before
                changes["losses"] = 0
            await asyncio.to_thread(self._change, job, details=update, **changes)
        return outcome

    def _change(self, job: Job, **changes: Any) -> bool:
        return self._store.update(job.id, only=(State.RUNNING,), held_by=self._name, **changes)

    async def _watch_over(self, job: Job, process: Process) -> None:
        """Tell that the job is alive; end its process when it was cancelled or another runner has taken it over."""
        while True:
            try:
                if not await asyncio.to_thread(self._change, job, heartbeat_at=time.time()):
                    logger.warning("job is no longer ours", extra={"fields": {"job": job.id}})
                    return await terminate(process)
                for _ in range(max(1, int(HEARTBEAT_S / CANCEL_POLL_S))):
                    if (await asyncio.to_thread(self._store.get, job.id)).cancel_requested:
                        return await terminate(process)
                    await asyncio.sleep(CANCEL_POLL_S)
            except Exception:  # noqa: BLE001 - silence would have the job taken for lost
                logger.exception("heartbeat stumbled")
                await asyncio.sleep(CANCEL_POLL_S)

    def _conclude(self, job: Job, outcome: dict[str, Any]) -> None:
        if "result" in outcome:
            self._end(job, State.SUCCEEDED, result=outcome["result"], progress=1.0)
        elif self._store.get(job.id).cancel_requested:
            self._end(job, State.CANCELLED)
        elif "error" in outcome:
            self._end(job, State.FAILED, error=Problem(**outcome["error"]))
        else:
            logger.error("job's process died", extra={"fields": {"job": job.id}})
            self._store.requeue(job, held_by=self._name)

    def _end(self, job: Job, state: State, **changes: Any) -> None:
        if not self._store.finish(job.id, state, only=(State.RUNNING,), held_by=self._name, **changes):
            return  # another runner's by now, and so is what lies in its folder
        if state is not State.FAILED:
            shutil.rmtree(self._settings.work_folder / job.id, ignore_errors=True)
        logger.info("job ended", extra={"fields": {"job": job.id, "state": state.value}})


def _counted(error: BaseException) -> Counted:
    """As what an attempt counts that broke on our side: as nothing when we were told to stop, as a loss when no table,
    disk or process could be had. What the table refuses to hold is the job's own fault.
    """
    if not isinstance(error, Exception):
        return "nothing"
    is_ours = isinstance(error, OSError | sa.exc.SQLAlchemyError) and not isinstance(error, sa.exc.DataError)
    return "loss" if is_ours else "attempt"


def _cannot_begin(error: BaseException) -> ServiceError:
    if is_full(error):
        return to_service_error(error)
    cause = getattr(error, "strerror", None) or type(error).__name__  # without the path, which is the machine's own
    message = (
        f"The work could not begin, however often it was tried ({cause}). See that the service can write to its work "
        "folder and start processes, then resume the job."
    )
    return Unavailable(message, reason="CANNOT_BEGIN", values={"cause": cause})
