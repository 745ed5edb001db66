"""The job runner with real child processes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common import errors, tidying
from services.common.jobs import calls, process, runner
from services.common.jobs.runner import LocalRunner
from services.common.jobs.store import Job, JobStore, State
from services.common.settings import ServiceSettings
from tests.postgres import Cluster

CHILD = "tests.unit.common.jobs_child"
LONGEST_S = 120  # only ends what would hang
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(runner, "CANCEL_POLL_S", 0.02)
    monkeypatch.setattr(runner, "TIDY_EVERY_S", 0.02)
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(runner, "LOST_AFTER_S", 600.0)  # a busy machine must not look like a runner that died
    monkeypatch.setattr(calls, "WATCH_POLL_S", 0.01)


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
    assert (job.error.reason, job.error.field) == (reason, field)
    assert "secret" not in job.error.message


def test_a_long_name_of_a_stage_is_cut(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": "ramble"})
        async with running(store, settings):
            return await until(store, job, ended)

    job = asyncio.run(scenario())
    assert (job.state, job.stage) == (State.SUCCEEDED, "a stage with a name that no column can h")


def test_what_the_table_refuses_to_hold_is_not_tried_for_ever(postgres: Cluster, settings: ServiceSettings) -> None:
    store = JobStore(postgres.new_database())

    async def scenario() -> Job:
        job = store.create("training", {"do": "ramble", "loss": "nan"})
        async with running(store, settings):
            return await until(store, job, ended)

    assert asyncio.run(scenario()).error.reason == "CRASHED"
    store.close()


def test_a_job_that_crashes_again_and_again_is_given_up(store: JobStore, settings: ServiceSettings) -> None:
    async def scenario() -> Job:
        job = store.create("training", {"do": "crash"})
        async with running(store, settings):
            return await until(store, job, ended)

    job = asyncio.run(scenario())
    assert (job.state, job.error.reason) == (State.FAILED, "CRASHED")
    assert job.attempt == runner.MAX_ATTEMPTS + 1


def test_a_job_that_was_given_up_goes_on_where_it_was_when_it_is_resumed(
    store: JobStore, settings: ServiceSettings, tmp_path: Path
) -> None:
    async def scenario() -> tuple[Job, bool, Job]:
        job = store.create("training", {"do": "crash until mended", "mended_file": str(tmp_path / "mended")})
        async with running(store, settings):
            failed = await until(store, job, ended)
            await asyncio.sleep(10 * runner.TIDY_EVERY_S)
            is_kept = (settings.work_folder / job.id).is_dir()
            (tmp_path / "mended").touch()
            store.resume(failed)
            return failed, is_kept, await until(store, job, ended)

    failed, is_kept, done = asyncio.run(scenario())
    assert (failed.state, failed.error.reason, is_kept) == (State.FAILED, "CRASHED", True)
    assert (done.state, done.error, done.result) == (State.SUCCEEDED, None, {"attempts": runner.MAX_ATTEMPTS + 1})
    assert not (settings.work_folder / done.id).exists()


def test_what_a_failed_job_had_made_is_freed_in_time_or_when_the_job_is_deleted(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = settings.model_copy(update={"keep_failed_days": 1e-9})

    async def fail(chosen: ServiceSettings) -> Path:
        job = store.create("training", {"do": "fail"})
        async with running(store, chosen):
            await until(store, job, ended)
        return chosen.work_folder / job.id

    kept, local = asyncio.run(fail(settings)), LocalRunner(store, "training", CHILD, ["cpu"], settings)
    assert local.forget_folders() == 0
    assert kept.is_dir()
    local.forget_folder(kept.name)
    assert not kept.exists()
    expired = asyncio.run(fail(soon))
    local = LocalRunner(store, "training", CHILD, ["cpu"], soon)
    assert local.forget_folders() == 0, "the clock may have been set"
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    assert local.forget_folders() == 1
    assert not expired.exists()


def test_a_clock_that_jumps_ahead_deletes_nothing(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, unknown = store.create("training", {}).id, "training-of-another-table"
    store.finish(failed, State.FAILED)
    for job_id in (failed, unknown):
        (settings.work_folder / job_id).mkdir(parents=True)
    local, now, uptime = LocalRunner(store, "training", CHILD, ["cpu"], settings), time.time, time.monotonic
    day_s = 24 * 3600
    monkeypatch.setattr(time, "time", lambda: now() + 8 * day_s)
    assert local.forget_folders() == 0
    monkeypatch.setattr(time, "time", now)
    assert local.forget_folders() == 0
    monkeypatch.setattr(time, "monotonic", lambda: uptime() + day_s)
    monkeypatch.setattr(time, "time", lambda: now() + 8 * day_s)
    assert local.forget_folders() == 0, "it has looked old again only since now"
    monkeypatch.setattr(time, "monotonic", lambda: uptime() + 2 * day_s)
    assert local.forget_folders() == 2


def test_a_job_that_is_announced_begins_at_once(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 10 * LONGEST_S)

    async def scenario() -> list[Job]:
        jobs = []
        async with running(store, settings) as local:
            for _ in range(3):
                await asyncio.sleep(0.2)  # it has looked, found nothing, and rests
                jobs.append(store.create("training", {"do": "succeed"}))
                local.wake()
                await until(store, jobs[-1], ended)
        return [store.get(job.id) for job in jobs]

    assert {job.state for job in asyncio.run(scenario())} == {State.SUCCEEDED}


def test_another_replicas_clock_does_not_matter(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOST_AFTER_S", 2.0)
    job = store.create("training", {"do": "succeed"})
    store.claim("training", "cpu", "another, whose clock is decades behind")

    async def scenario() -> tuple[Job, Job]:
        async with running(store, settings):
            for beat in range(1, 300):
                store.update(job.id, heartbeat_at=float(beat))
                await asyncio.sleep(0.01)
            alive = store.get(job.id)
            return alive, await until(store, job, ended)  # it beats no more

    alive, done = asyncio.run(scenario())
    assert (alive.state, alive.runner) == (State.RUNNING, "another, whose clock is decades behind")
    assert (done.state, done.attempt) == (State.SUCCEEDED, 1), "what was lost is no attempt"


def test_waiting_is_not_over_because_a_clock_was_set(store: JobStore, settings: ServiceSettings) -> None:
    job = store.create("training", {}, waiting=True)
    store.update(job.id, heartbeat_at=time.time() - 1e6)

    async def scenario() -> Job:
        async with running(store, settings, input_timeout_s=600):
            await asyncio.sleep(20 * runner.LOOK_EVERY_S)
            return store.get(job.id)

    assert asyncio.run(scenario()).state is State.WAITING


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


@pytest.mark.parametrize("cause", ["the service stops", "the table fails"])
def test_a_job_is_not_queued_again_before_its_process_has_ended(
    store: JobStore, settings: ServiceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Another slot would begin it at once, and both would write into its folder."""
    pid_file, requeue, follow = tmp_path / "pid", JobStore.requeue, LocalRunner._follow
    was_alive: list[bool] = []

    def looking(self: JobStore, *arguments: Any, **options: Any) -> bool:
        was_alive.append(alive(int(pid_file.read_text())))
        return requeue(self, *arguments, **options)

    async def failing(self: LocalRunner, job: Job, process: Any) -> dict[str, Any]:
        await eventually(lambda: pid_file.exists() and pid_file.read_text())
        raise OSError(errno.EIO, "the table fails")

    monkeypatch.setattr(JobStore, "requeue", looking)
    if cause == "the table fails":
        monkeypatch.setattr(LocalRunner, "_follow", failing)

    async def scenario() -> None:
        job = store.create("training", {"do": "hang", "pid_file": str(pid_file)})
        async with running(store, settings):
            if cause == "the table fails":
                await eventually(lambda: was_alive)
                monkeypatch.setattr(LocalRunner, "_follow", follow)
            else:
                await until(store, job, lambda job: job.stage == "hang")

    asyncio.run(scenario())
    assert was_alive
    assert not any(was_alive)


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

    assert asyncio.run(scenario()).error.reason == "INPUT_MISSING"


def test_slots_and_sweep_survive_what_nobody_foresaw(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = {"claim": 1, "active": 1}

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
    assert {"slot stumbled", "look stumbled"} <= {record.message for record in caplog.records}


def test_folders_of_jobs_that_are_gone_are_swept_when_they_are_old(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    names = ("training-old", "training-new", "training-going-on", "generation-old")
    stale, *others = (settings.work_folder / name for name in names)
    for folder in (stale, *others):
        folder.mkdir(parents=True)
    (settings.work_folder / "training-going-on" / "checkpoint").touch()
    long_ago = time.time() - (settings.keep_failed_days + 1) * 24 * 3600
    for name in ("training-old", "training-going-on", "generation-old"):
        os.utime(settings.work_folder / name, (long_ago, long_ago))

    async def scenario() -> None:
        async with running(store, settings):
            await eventually(lambda: not stale.exists())

    asyncio.run(scenario())
    assert all(other.exists() for other in others)


def test_a_job_that_cannot_begin_fails_with_the_reason_and_can_be_resumed(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.01)
    settings.work_folder.write_text("a file is in the way")
    job = store.create("training", {"do": "succeed"})

    async def scenario() -> tuple[Job, Job]:
        async with running(store, settings):
            failed = await until(store, job, ended)
            settings.work_folder.unlink()
            assert store.resume(failed)
            return failed, await until(store, job, ended)

    failed, done = asyncio.run(scenario())
    assert (failed.error.reason, failed.losses, failed.attempt) == ("CANNOT_BEGIN", runner.MAX_LOSSES - 1, 1)
    assert failed.error.values["cause"] in failed.error.message
    assert str(settings.work_folder) not in failed.error.message
    assert done.state is State.SUCCEEDED


def test_a_disk_that_stays_full_is_told(
    store: JobStore, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.01)

    async def spawn(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runner, "spawn", spawn)
    job = store.create("training", {"do": "succeed"})

    async def scenario() -> Job:
        async with running(store, settings):
            return await until(store, job, ended)

    assert asyncio.run(scenario()).error.reason == "STORAGE_FULL"


def test_a_job_that_takes_its_service_with_it_is_given_up(store: JobStore, settings: ServiceSettings) -> None:
    job = store.create("training", {"do": "succeed"})
    for _ in range(runner.MAX_LOSSES):
        store.requeue(store.claim("training", "cpu", "a service that was killed"), counts_as="loss")

    async def scenario() -> Job:
        async with running(store, settings):
            return await until(store, job, ended)

    assert asyncio.run(scenario()).error.reason == "CRASHED"


def test_losses_are_forgiven_a_job_that_gets_further(store: JobStore, settings: ServiceSettings) -> None:
    job = store.create("training", {"do": "hang"})
    store.update(job.id, losses=runner.MAX_LOSSES - 1)

    async def losses() -> int:
        store.update(job.id, stage="")
        async with running(store, settings):
            return (await until(store, job, lambda job: job.stage == "hang")).losses

    assert asyncio.run(losses()) == 0
    store.update(job.id, losses=3)
    assert asyncio.run(losses()) == 3, "it came no further than before"


REPLICA = """
import asyncio, sys
from services.common.jobs import runner
from services.common.jobs.store import JobStore
from services.common.settings import ServiceSettings
runner.LOOK_EVERY_S = runner.HEARTBEAT_S = runner.CANCEL_POLL_S = 0.1
runner.LOST_AFTER_S = float(sys.argv[3])
async def main():
    settings = ServiceSettings(work_folder=sys.argv[2], storage_url="memory://test")
    local = runner.LocalRunner(JobStore(sys.argv[1]), "training", "tests.unit.common.jobs_child", ["cpu"], settings)
    local.start()
    await asyncio.sleep(3600)
asyncio.run(main())
"""


@pytest.fixture
def replica(database_url: str, settings: ServiceSettings) -> Iterator[Callable[[float], subprocess.Popen]]:
    """Start a runner as a process; it takes who is silent for so many seconds for dead."""
    started: list[subprocess.Popen] = []

    def start(lost_after_s: float) -> subprocess.Popen:
        arguments = [database_url, str(settings.work_folder), str(lost_after_s)]
        started.append(subprocess.Popen([sys.executable, "-c", REPLICA, *arguments], stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def stop_and_go(pids: list[int], seconds: float) -> None:
    """What a laptop's lid does to processes."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def hanging(store: JobStore, tmp_path: Path) -> tuple[Job, Callable[[], int]]:
    """A job that does not end, and its process."""
    pid_file = tmp_path / "pid"
    job = store.create("training", {"do": "hang", "pid_file": str(pid_file)})
    return job, lambda: int((pid_file.exists() and pid_file.read_text()) or 0)


def test_sleep_is_no_crash(store: JobStore, tmp_path: Path, replica: Callable[[float], subprocess.Popen]) -> None:
    job, pid = hanging(store, tmp_path)
    service = replica(1.0)
    wait_for(lambda: store.get(job.id).stage == "hang")
    child = pid()
    for _ in range(runner.MAX_ATTEMPTS + 1):
        beat = store.get(job.id).heartbeat_at
        stop_and_go([service.pid, child], 1.5)
        wait_for(lambda: store.get(job.id).heartbeat_at > beat)  # noqa: B023
    now = store.get(job.id)
    assert (now.state, now.attempt, pid()) == (State.RUNNING, 1, child)
    assert alive(child)


def test_who_slept_robs_nobody(
    store: JobStore, settings: ServiceSettings, tmp_path: Path, replica: Callable[[float], subprocess.Popen]
) -> None:
    job, _ = hanging(store, tmp_path)

    async def scenario() -> tuple[Job, Job]:
        async with running(store, settings):
            before = await until(store, job, lambda job: job.stage == "hang")
            sleeper = replica(5.0)  # long enough for a busy machine, whose live runners are slow to be heard of
            other = store.create("training", {"do": "succeed"})  # done by the sleeper, who is there then
            await until(store, other, ended)
            await asyncio.to_thread(stop_and_go, [sleeper.pid], 6.0)
            await asyncio.sleep(2.0)
            return before, store.get(job.id)

    before, now = asyncio.run(scenario())
    assert (now.state, now.runner, now.attempt) == (State.RUNNING, before.runner, 1)


def test_services_that_are_killed_again_and_again_do_not_fail_their_job(
    store: JobStore, tmp_path: Path, replica: Callable[[float], subprocess.Popen]
) -> None:
    job, pid = hanging(store, tmp_path)
    children = {0}
    for _ in range(runner.MAX_ATTEMPTS + 1):
        service = replica(0.5)
        wait_for(lambda: pid() not in children)
        children.add(pid())
        service.kill()
        service.wait()
    replica(0.5)
    wait_for(lambda: pid() not in children)
    assert (store.get(job.id).state, store.get(job.id).attempt) == (State.RUNNING, 1)


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
