"""The job runner with real child processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from services.common import errors
from services.common.jobs import calls, process, runner
from services.common.jobs.runner import LocalRunner
from services.common.jobs.store import Job, JobStore, State
from services.common.settings import ServiceSettings

CHILD = "tests.unit.common.jobs_child"
LONGEST_S = 120  # only ends what would hang
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runner, "POLL_S", 0.02)
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(runner, "LOST_AFTER_S", 600.0)  # a busy machine must not look like a runner that died
    monkeypatch.setattr(calls, "WATCH_POLL_S", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(work_folder=tmp_path / "work", storage_url="memory://test")


@contextlib.asynccontextmanager
async def running(store: JobStore, settings: ServiceSettings, **options: Any) -> AsyncIterator[LocalRunner]:
    local = LocalRunner(store, "training", CHILD, ["cpu"], settings, **options)
    local.start()
    try:
        yield local
    finally:
        await local.close()


async def until(store: JobStore, job: Job, condition: Callable[[Job], bool]) -> Job:
    await eventually(lambda: condition(store.get(job.id)))
    return store.get(job.id)


async def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def ended(job: Job) -> bool:
    return job.state.is_final


def test_a_job_runs_and_its_progress_never_falls(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> list[Job]:
        job = store.create("training", {"do": "succeed"})
        async with running(store, settings):
            return [snapshot async for snapshot in calls.watch(store, "training", job.id)]

    seen = asyncio.run(scenario())
    last = seen[-1]
    assert last.state is State.SUCCEEDED
    assert last.result == {"device": "cpu", "url": "memory://test"}
    assert (last.progress, last.stage, last.eta_s) == (1.0, "second", None)
    assert [job.progress for job in seen] == sorted(job.progress for job in seen)
    assert not (settings.work_folder / last.id).exists()


def test_progress_is_kept_when_a_stage_begins_again(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": "hang"})
        store.update(job.id, progress=0.7)
        async with running(store, settings):
            return await until(store, job, lambda job: job.stage == "hang")

    assert asyncio.run(scenario()).progress == 0.7


@pytest.mark.parametrize(("do", "reason", "field"), [("fail", "NO_FACE", "video"), ("break", "INTERNAL", "")])
def test_a_failure_is_told_in_plain_words(
    store: JobStore, settings: ServiceSettings, do: str, reason: str, field: str
) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": do, "secret": "a secret path"})
        async with running(store, settings):
            return await until(store, job, ended)

    job = asyncio.run(scenario())
    assert job.state is State.FAILED
    assert (job.error["reason"], job.error["field"]) == (reason, field)
    assert "secret" not in job.error["message"]


def test_a_job_that_crashes_again_and_again_is_given_up(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": "crash"})
        async with running(store, settings):
            return await until(store, job, ended)

    job = asyncio.run(scenario())
    assert (job.state, job.error["reason"]) == (State.FAILED, "CRASHED")
    assert job.attempt == runner.MAX_ATTEMPTS + 1


@pytest.mark.parametrize("do", ["resume", "lose a helper"])
def test_a_job_that_died_goes_on_in_the_same_work_folder(store: JobStore, settings: ServiceSettings, do: str) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": do})
        async with running(store, settings):
            return await until(store, job, ended)

    assert asyncio.run(scenario()).result == {"resumed": True}


def test_cancelling_a_running_job_ends_its_process_and_cleans_up(
    store: JobStore, settings: ServiceSettings, tmp_path: Path
) -> None:
    pid_file, unwound = tmp_path / "pid", tmp_path / "unwound"

    async def scenario() -> Job:
        spec = {"do": "hang", "pid_file": str(pid_file), "unwound_file": str(unwound)}
        job = store.create("training", spec)
        async with running(store, settings):
            await until(store, job, lambda job: job.stage == "hang")
            calls.cancel(store, "training", job.id)
            return await until(store, job, ended)

    job = asyncio.run(scenario())
    assert job.state is State.CANCELLED
    assert unwound.read_text() == "yes"
    assert not alive(int(pid_file.read_text()))
    assert not (settings.work_folder / job.id).exists()


def test_a_stopping_service_queues_its_jobs_again_without_blame(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": "hang"})
        async with running(store, settings):
            await until(store, job, lambda job: job.stage == "hang")
        return store.get(job.id)

    job = asyncio.run(scenario())
    assert (job.state, job.attempt) == (State.QUEUED, 0)
    assert (settings.work_folder / job.id).is_dir()


def test_a_job_taken_by_another_runner_is_let_go(store: JobStore, settings: ServiceSettings, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    async def scenario() -> Job:
        job = store.create("training", {"do": "hang", "pid_file": str(pid_file)})
        async with running(store, settings):
            await until(store, job, lambda job: job.stage == "hang")
            store.update(job.id, runner="another")
            await eventually(lambda: not alive(int(pid_file.read_text())))
        return store.get(job.id)

    job = asyncio.run(scenario())
    assert (job.state, job.runner) == (State.RUNNING, "another")


def test_a_job_whose_input_never_comes_fails(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {}, waiting=True)
        async with running(store, settings, input_timeout_s=0.2):
            return await until(store, job, ended)

    assert asyncio.run(scenario()).error["reason"] == "INPUT_MISSING"


def test_slots_and_sweep_survive_what_nobody_foresaw(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = {"claim": 1, "requeue_lost": 1}

    def fail_once(name: str) -> Callable[..., Any]:
        real = getattr(JobStore, name)

        def method(self: JobStore, *arguments: Any, **options: Any) -> Any:
            if failures[name]:
                failures[name] -= 1
                raise KeyError("nobody foresaw this")
            return real(self, *arguments, **options)

        return method

    for name in failures:
        monkeypatch.setattr(JobStore, name, fail_once(name))

    async def scenario() -> tuple[Job, Job]:
        job, orphan = store.create("training", {"do": "succeed"}), store.create("training", {}, waiting=True)
        async with running(store, settings, input_timeout_s=0.2):
            return await until(store, job, ended), await until(store, orphan, ended)

    job, orphan = asyncio.run(scenario())
    assert (job.state, orphan.state) == (State.SUCCEEDED, State.FAILED)
    assert {"slot stumbled", "sweep stumbled"} <= {record.message for record in caplog.records}


def test_folders_of_jobs_that_are_gone_are_swept(store: JobStore, settings: ServiceSettings) -> None:
    stale, other = settings.work_folder / "training-gone", settings.work_folder / "generation-x"
    stale.mkdir(parents=True)
    other.mkdir()

    async def scenario() -> None:
        async with running(store, settings):
            await eventually(lambda: not stale.exists())

    asyncio.run(scenario())
    assert other.exists()


PARENT = """
import asyncio, sys
from services.common.jobs.process import spawn
async def main():
    spec = {"do": "hang", "pid_file": sys.argv[1]}
    task = {"id": "x", "spec": spec, "device": "", "work_folder": ".", "settings": {}}
    await spawn("tests.unit.common.jobs_child", task)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(pid_file)], stdout=subprocess.DEVNULL)
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    pid = int(pid_file.read_text())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not alive(pid))


def test_a_call_returns_or_raises_what_the_child_did(tmp_path: Path) -> None:
    settings = {"storage_url": "s"}
    result = asyncio.run(process.call(CHILD, {"do": "succeed"}, settings, tmp_path))
    assert result["url"] == "s"
    with pytest.raises(errors.InvalidInput) as refusal:
        asyncio.run(process.call(CHILD, {"do": "fail"}, settings, tmp_path))
    assert (refusal.value.reason, refusal.value.values) == ("NO_FACE", {"second": "3.0"})
    with pytest.raises(errors.Internal):
        asyncio.run(process.call(CHILD, {"do": "crash"}, settings, tmp_path))


def test_a_call_takes_its_child_with_it_when_cancelled(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    async def scenario() -> None:
        spec = {"do": "hang", "pid_file": str(pid_file)}
        calling = asyncio.create_task(process.call(CHILD, spec, {}, tmp_path))
        await eventually(lambda: pid_file.exists() and pid_file.read_text())
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling

    asyncio.run(scenario())
    assert not alive(int(pid_file.read_text()))


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
