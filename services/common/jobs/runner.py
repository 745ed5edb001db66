"""The local job runner: one child process per job, one slot per device, jobs taken from the durable table."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from services.common.jobs.store import Job, JobStore, State

logger = logging.getLogger(__name__)

POLL_S = 0.3
HEARTBEAT_S = 2.0
LOST_AFTER_S = 15.0  # a runner silent for so long is taken for dead
MAX_ATTEMPTS = 3  # a job that kills its process again and again is given up
TERMINATE_GRACE_S = 5.0
CRASHED = {
    "reason": "CRASHED",
    "message": "The work stopped unexpectedly, more than once. The service's log has the details.",
    "field": "",
    "values": {},
}


class LocalRunner:
    """Runs the jobs of one kind.

    Args:
        kind: which jobs to take.
        module: what a child runs, `python -m module`; see `child.py`.
        devices: one job at a time runs on each.
        input_timeout_s: a job whose input has not arrived after so long fails.
    """

    def __init__(
        self,
        store: JobStore,
        kind: str,
        module: str,
        devices: list[str],
        work_folder: Path,
        input_timeout_s: float = 1800,
    ) -> None:
        self._store, self._kind, self._module = store, kind, module
        self._devices, self._work_folder = devices, work_folder
        self._input_timeout_s = input_timeout_s
        self._name = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self._loops: list[asyncio.Task] = []

    def start(self) -> None:
        """Begin taking jobs, in the running event loop."""
        self._loops = [asyncio.create_task(self._slot(device)) for device in self._devices]
        self._loops.append(asyncio.create_task(self._sweep()))

    async def close(self) -> None:
        """Stop taking jobs; those that run are queued again and go on from their checkpoint later."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def _slot(self, device: str) -> None:
        while True:
            job = await asyncio.to_thread(self._store.claim, self._kind, device, self._name)
            if job is None:
                await asyncio.sleep(POLL_S)
            else:
                await self._run(job)

    async def _sweep(self) -> None:
        while True:
            for job_id in await asyncio.to_thread(self._store.requeue_lost, self._kind, LOST_AFTER_S):
                logger.warning("lost job queued again", extra={"fields": {"job": job_id}})
            await asyncio.to_thread(self._fail_abandoned)
            await asyncio.sleep(HEARTBEAT_S)

    def _fail_abandoned(self) -> None:
        message = "The speech for this video never arrived. Ask for it again."
        error = {"reason": "INPUT_MISSING", "message": message, "field": "", "values": {}}
        for job in self._store.active(self._kind):
            if job.state is State.WAITING and time.time() - job.heartbeat_at > self._input_timeout_s:
                self._end(job, State.FAILED, error=error)

    async def _run(self, job: Job) -> None:
        logger.info("job starts", extra={"fields": {"job": job.id, "device": job.device, "attempt": job.attempt}})
        if job.attempt > MAX_ATTEMPTS:
            self._end(job, State.FAILED, error=CRASHED)
            return
        try:
            process = await self._spawn(job)
        except OSError:
            logger.exception("job could not be started", extra={"fields": {"job": job.id}})
            self._store.requeue(job.id)
            await asyncio.sleep(HEARTBEAT_S)
            return
        watcher = asyncio.create_task(self._watch_over(job, process))
        try:
            outcome = await self._follow(job, process)
            await process.wait()
            self._conclude(job, outcome)
        except asyncio.CancelledError:
            await _terminate(process)
            self._store.requeue(job.id)
            raise
        finally:
            watcher.cancel()

    async def _spawn(self, job: Job) -> asyncio.subprocess.Process:
        folder = self._work_folder / job.id
        folder.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        task = {"id": job.id, "spec": job.spec, "device": job.device, "work_folder": str(folder)}
        process.stdin.write(json.dumps(task).encode() + b"\n")  # stdin stays open: its end tells the child to die
        await process.stdin.drain()
        return process

    async def _follow(self, job: Job, process: asyncio.subprocess.Process) -> dict[str, Any]:
        best = job.progress
        outcome: dict[str, Any] = {}
        async for line in process.stdout:
            message = json.loads(line)
            if "progress" not in message:
                outcome = message
                continue
            update = message["progress"]
            best = max(best, update.pop("progress", 0.0))
            changes = {"stage": update.pop("stage", ""), "progress": best, "eta_s": update.pop("eta_s", None)}
            await asyncio.to_thread(self._store.update, job.id, only=(State.RUNNING,), details=update, **changes)
        return outcome

    async def _watch_over(self, job: Job, process: asyncio.subprocess.Process) -> None:
        while True:
            await asyncio.to_thread(self._store.update, job.id, heartbeat_at=time.time())
            for _ in range(int(HEARTBEAT_S / POLL_S)):
                if (await asyncio.to_thread(self._store.get, job.id)).cancel_requested:
                    await _terminate(process)
                    return
                await asyncio.sleep(POLL_S)

    def _conclude(self, job: Job, outcome: dict[str, Any]) -> None:
        if "result" in outcome:
            self._end(job, State.SUCCEEDED, result=outcome["result"], progress=1.0)
        elif self._store.get(job.id).cancel_requested:
            self._end(job, State.CANCELLED)
        elif "error" in outcome:
            self._end(job, State.FAILED, error=outcome["error"])
        else:
            logger.error("job's process died", extra={"fields": {"job": job.id}})
            self._store.requeue(job.id)

    def _end(self, job: Job, state: State, **changes: Any) -> None:
        self._store.update(job.id, state=state, ended_at=time.time(), eta_s=None, **changes)
        logger.info("job ended", extra={"fields": {"job": job.id, "state": state.value}})


async def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), TERMINATE_GRACE_S)
        except TimeoutError:
            process.kill()
