"""Jobs, called as their callers call them: the same of every service that has some."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import time
import wave
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from visavis.common.v1 import info_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc

from basics.problem import Problem
from services.common.errors import Conflict
from services.common.jobs import calls, runner
from services.common.jobs.servicer import JobKind
from services.common.jobs.store import Job, JobStore, State
from services.common.recordings import Recordings
from services.common.server import Service
from services.common.settings import ServiceSettings
from services.common.storage import Storage
from services.render.film.generations import Generations
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings
from services.train.trainings import Trainings

NAME = "Ada 测试"
RATE = 16_000
SERVICE = "visavis.jobs.v1.JobService"
Stub = jobs_pb2_grpc.JobServiceStub
Work = Callable[[grpc.aio.Channel], Awaitable[Any]]
MISSING, CONFLICT = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION


class Host(ABC):
    """A service that has jobs."""

    kind: str
    jobs: type[JobKind]
    service: type[Service]
    settings: ServiceSettings
    stage: str  # that a job is in for long
    file: int  # that a job of this kind has
    stored_at: str  # where that file lies in storage, below the folder of the job
    refused_file: int  # that it never has

    def __init__(self, serving: Any) -> None:
        self._serving = serving
        self.storage = Storage(self.settings.storage_url, self.settings.work_folder / "cache")
        self.store = JobStore(self.settings.database_url)

    def run(self, work: Work) -> Any:
        """Do something with a channel to a fresh service."""

        async def serve() -> Any:
            async with self._serving(self.service(self.settings), self.settings) as channel:
                return await work(channel)

        return asyncio.run(serve())

    @abstractmethod
    async def begin(self, channel: grpc.aio.Channel, *, is_long: bool = False) -> jobs_pb2.Job:
        """A job that can begin: a short one, or one that does not end by itself while a test lasts."""

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """Of a job as the service would note it."""

    def put(self, state: State, **changes: Any) -> Job:
        """A job in some state, which nobody works on."""
        job = self.store.create(self.kind, self.spec, waiting=True)
        self.store.update(job.id, state=state, **changes)
        return self.store.get(job.id)

    def children(self) -> list[psutil.Process]:
        """The processes that work on jobs."""
        module = f"{self.service.__module__.rpartition('.')[0]}.job"
        return [one for one in psutil.Process().children() if module in one.cmdline()]


class Trainer(Host):
    """Trains avatars."""

    kind, jobs, service, stage = "training", Trainings, TrainServicer, "track"
    file, stored_at, refused_file = jobs_pb2.JOB_FILE_PREVIEW, "trainings/{}/preview.jpg", jobs_pb2.JOB_FILE_VIDEO

    def __init__(self, serving: Any, tmp_path: Path, clip: Path) -> None:
        self.settings = TrainSettings(**folders(tmp_path), devices=["cpu"], threads=1)
        super().__init__(serving)
        facts = {"duration_s": 12.0, "width": 256, "height": 256, "fps": 25.0, "warnings": []}
        self._recording_id, self._count = Recordings(self.storage).add(clip, facts), 0

    @property
    def spec(self) -> dict[str, Any]:
        return {"name": "Nora", "engine": "portrait", "voice": "", "recording_id": self._recording_id, "device": "cpu"}

    async def begin(self, channel: grpc.aio.Channel, *, is_long: bool = False) -> jobs_pb2.Job:
        self._count += 1
        value, consent = info_pb2.ParameterValue, media_pb2.Consent(given_by="Ada L.")
        tiny = [value(name="steps", integer=100_000 if is_long else 8), value(name="size", integer=192)]
        request = train_pb2.CreateTrainingRequest(
            recording_id=self._recording_id, name=f"{NAME} {self._count}", consent=consent,
            parameters=[*tiny, value(name="loop_seconds", integer=2)],
        )  # fmt: skip
        return (await train_pb2_grpc.TrainServiceStub(channel).CreateTraining(request)).job


class Renderer(Host):
    """Makes videos."""

    kind, jobs, service, stage = "generation", Generations, RenderServicer, "render"
    file, stored_at, refused_file = jobs_pb2.JOB_FILE_VIDEO, "generations/{}/video.mp4", jobs_pb2.JOB_FILE_PREVIEW

    def __init__(self, serving: Any, tmp_path: Path, avatar: Path) -> None:
        shutil.copytree(avatar, tmp_path / "storage" / "avatars" / NAME)
        self.settings = RenderSettings(
            **folders(tmp_path), starter_avatars=tmp_path / "none", prepare_idle_loops=False, job_devices=["cpu"]
        )
        super().__init__(serving)

    @property
    def spec(self) -> dict[str, Any]:
        return {"avatar": NAME, "size": 0, "device": "cpu"}

    async def begin(self, channel: grpc.aio.Channel, *, is_long: bool = False) -> jobs_pb2.Job:
        stub = render_pb2_grpc.RenderServiceStub(channel)
        job = (await stub.CreateGeneration(render_pb2.CreateGenerationRequest(avatar=NAME))).job
        at = np.arange((240 if is_long else 1) * RATE // 2) / RATE
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setparams((1, 2, RATE, 0, "NONE", ""))
            wav.writeframes((np.sin(2 * np.pi * 140 * at) * 12_000).astype("<i2").tobytes())
        data = file.getvalue()
        supply = render_pb2.SupplyGenerationRequest
        messages = [supply(config=render_pb2.SupplyConfig(id=job.id))]
        messages += [supply(data=data[start : start + 2**18]) for start in range(0, len(data), 2**18)]
        return (await stub.SupplyGeneration([*messages, supply(end=render_pb2.SupplyEnd())])).job


def folders(tmp_path: Path) -> dict[str, Any]:
    return {
        "port": 0, "storage_url": (tmp_path / "storage").as_uri(), "work_folder": tmp_path / "work",
        "database_url": f"sqlite:///{tmp_path / 'jobs.sqlite'}",
    }  # fmt: skip


@pytest.fixture(params=["train", "render"])
def host(request: pytest.FixtureRequest, serving: Any, tmp_path: Path) -> AsyncIterator[Host]:
    """A service that has jobs, not running yet."""
    if request.param == "train":
        made: Host = Trainer(serving, tmp_path, request.getfixturevalue("demo_clip"))
    else:
        made = Renderer(serving, tmp_path, request.getfixturevalue("tiny_avatar"))
    yield made
    made.store.close()


async def refused(awaited: Any) -> tuple[grpc.StatusCode, str, str]:
    """The status, reason and field of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        if hasattr(awaited, "__aiter__"):
            async for _ in awaited:
                pass
        else:
            await awaited
    status = rpc_status.from_call(failure.value)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    return failure.value.code(), info.reason, field


async def snapshots(stub: Stub, job_id: str) -> AsyncIterator[jobs_pb2.Job]:
    async for reply in stub.WatchJob(jobs_pb2.WatchJobRequest(id=job_id), timeout=1800):
        yield reply.job


async def last(stub: Stub, job_id: str) -> jobs_pb2.Job:
    return [job async for job in snapshots(stub, job_id)][-1]


async def until_it_works(host: Host, stub: Stub, job_id: str) -> jobs_pb2.Job:
    """A job in the middle of its work."""
    async for job in snapshots(stub, job_id):
        if (job.state, job.stage) == (jobs_pb2.JOB_STATE_RUNNING, host.stage):
            return job
    raise AssertionError("it ended before")


def test_what_is_not_there_is_not_found_by_any_call(host: Host) -> None:
    other = host.store.create({"training": "generation", "generation": "training"}[host.kind], {})

    async def work(channel: grpc.aio.Channel) -> set[Any]:
        stub, answers = Stub(channel), set()
        for job_id in (f"{host.kind}-none", other.id, "../x", ""):
            calls = [
                stub.GetJob(jobs_pb2.GetJobRequest(id=job_id)),
                stub.WatchJob(jobs_pb2.WatchJobRequest(id=job_id)),
                stub.CancelJob(jobs_pb2.CancelJobRequest(id=job_id)),
                stub.ResumeJob(jobs_pb2.ResumeJobRequest(id=job_id)),
                stub.DeleteJob(jobs_pb2.DeleteJobRequest(id=job_id)),
                stub.ReadJobFile(jobs_pb2.ReadJobFileRequest(id=job_id, file=host.file)),
            ]
            answers |= {await refused(call) for call in calls}
        assert not (await stub.ListJobs(jobs_pb2.ListJobsRequest())).jobs
        return answers

    assert host.run(work) == {(MISSING, "JOB_NOT_FOUND", "id")}
    assert host.store.get(other.id).state is State.QUEUED


def test_it_is_served_and_bounded_as_everything_else(host: Host) -> None:
    async def work(channel: grpc.aio.Channel) -> tuple[Any, ...]:
        check = health_pb2.HealthCheckRequest(service=SERVICE)
        health = await health_pb2_grpc.HealthStub(channel).Check(check)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        async for reply in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked])):
            names = {one.name for one in reply.list_services_response.service}
        return health.status, names, await refused(Stub(channel).GetJob(jobs_pb2.GetJobRequest(id="x" * 201)))

    status, names, answer = host.run(work)
    assert status == health_pb2.HealthCheckResponse.SERVING
    assert {SERVICE, host.service.full_name} < names
    assert answer == (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG", "id")


def test_they_come_in_pages(host: Host) -> None:
    made = [host.put(State.CANCELLED).id for _ in range(5)]

    async def work(channel: grpc.aio.Channel) -> list[list[str]]:
        pages, token = [], ""
        while not pages or token:
            reply = await Stub(channel).ListJobs(jobs_pb2.ListJobsRequest(page_size=2, page_token=token))
            pages.append([job.id for job in reply.jobs])
            token = reply.next_page_token
            assert not token or token == reply.jobs[-1].page_token
        return pages

    pages = host.run(work)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [job_id for page in pages for job_id in page] == made[::-1]


def test_warnings_and_why_it_failed_are_told(host: Host) -> None:
    quiet, silent = Problem("QUIET", "Rather quiet.", values={"level": "-40"}), Problem("SILENT", "Nothing.", "audio")
    job = host.put(State.FAILED, warnings=(quiet,), error=silent)

    async def work(channel: grpc.aio.Channel) -> jobs_pb2.Job:
        return (await Stub(channel).GetJob(jobs_pb2.GetJobRequest(id=job.id))).job

    told = host.run(work)
    assert [(one.reason, dict(one.values)) for one in told.warnings] == [("QUIET", {"level": "-40"})]
    assert (told.error.reason, told.error.field) == ("SILENT", "audio")
    assert told.WhichOneof("kind") == host.kind


def test_its_files_are_read_whole_or_in_part(host: Host) -> None:
    job = host.put(State.SUCCEEDED, result={"files": ["video.mp4"], "duration_s": 1.0, "report": {}})
    host.storage.write(host.stored_at.format(job.id), b"0123456789")
    request = jobs_pb2.ReadJobFileRequest

    async def work(channel: grpc.aio.Channel) -> tuple[Any, ...]:
        read = Stub(channel).ReadJobFile
        whole = [reply async for reply in read(request(id=job.id, file=host.file))]
        part = [reply async for reply in read(request(id=job.id, file=host.file, offset_bytes=3, limit_bytes=4))]
        others = (host.refused_file, jobs_pb2.JOB_FILE_UNSPECIFIED)
        return whole, part, {await refused(read(request(id=job.id, file=file))) for file in others}

    whole, part, refusals = host.run(work)
    assert whole[0].header.size_bytes == part[0].header.size_bytes == 10
    assert (whole[0].header.content_type, whole[0].header.file_name) != ("", "")
    assert [b"".join(reply.data for reply in replies) for replies in (whole, part)] == [b"0123456789", b"3456"]
    assert refusals == {(MISSING, "FILE_NOT_FOUND", "file")}


def test_one_that_was_given_up_is_resumed_then_forgotten(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_ATTEMPTS", 0)

    async def work(channel: grpc.aio.Channel) -> tuple[Any, ...]:
        stub, job = Stub(channel), await host.begin(channel)
        resume, delete = jobs_pb2.ResumeJobRequest(id=job.id), jobs_pb2.DeleteJobRequest(id=job.id)
        failed = await last(stub, job.id)
        monkeypatch.setattr(runner, "MAX_ATTEMPTS", 3)
        resumed = (await stub.ResumeJob(resume)).job
        early = await refused(stub.DeleteJob(delete))
        done = await last(stub, job.id)
        late = await refused(stub.ResumeJob(resume))
        await stub.DeleteJob(delete)
        return failed, resumed, early, done, late, await refused(stub.DeleteJob(delete))

    failed, resumed, early, done, late, gone = host.run(work)
    assert (failed.state, failed.error.reason, failed.can_resume) == (jobs_pb2.JOB_STATE_FAILED, "CRASHED", True)
    assert (resumed.can_resume, resumed.HasField("error")) == (False, False)
    assert early == (CONFLICT, "JOB_NOT_ENDED", "id")
    assert done.state == jobs_pb2.JOB_STATE_SUCCEEDED, done.error
    assert late == (CONFLICT, "CANNOT_RESUME", "id")
    assert gone == (MISSING, "JOB_NOT_FOUND", "id")
    assert host.storage.folders("avatars"), "what was made of it or shown in it stays"
    assert not host.storage.folders(f"{host.kind}s")
    assert not list(host.settings.work_folder.glob(f"{host.kind}-*"))


def test_while_one_is_deleted_no_replica_resumes_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    job, answers = host.put(State.FAILED, ended_at=time.time()), []

    def free(kind: JobKind, job: Job) -> None:
        with pytest.raises(Conflict) as conflict:
            calls.failed(host.store, host.kind, job.id, keep_days=7)
        answers.append(conflict.value.reason)

    monkeypatch.setattr(host.jobs, "free", free)

    async def work(channel: grpc.aio.Channel) -> Any:
        assert calls.failed(host.store, host.kind, job.id, keep_days=7)
        await Stub(channel).DeleteJob(jobs_pb2.DeleteJobRequest(id=job.id))
        return await refused(Stub(channel).GetJob(jobs_pb2.GetJobRequest(id=job.id)))

    assert host.run(work) == (MISSING, "JOB_NOT_FOUND", "id")
    assert answers == ["CANNOT_RESUME"]


def test_one_works_the_others_wait_and_all_can_be_cancelled(host: Host) -> None:
    async def work(channel: grpc.aio.Channel) -> tuple[Any, ...]:
        stub, cancel = Stub(channel), jobs_pb2.CancelJobRequest
        first = await host.begin(channel, is_long=True)
        await until_it_works(host, stub, first.id)
        waiting = [await host.begin(channel, is_long=True) for _ in range(2)]
        ended = [(await stub.CancelJob(cancel(id=job.id))).job for job in waiting]
        await stub.CancelJob(cancel(id=first.id))
        stopped = await last(stub, first.id)
        return waiting, ended, stopped, (await stub.CancelJob(cancel(id=first.id))).job

    waiting, ended, stopped, again = host.run(work)
    assert [(job.state, job.queue_index) for job in waiting] == [(jobs_pb2.JOB_STATE_QUEUED, at) for at in (0, 1)]
    assert {job.state for job in (*ended, stopped, again)} == {jobs_pb2.JOB_STATE_CANCELLED}
    assert not list(host.settings.work_folder.glob(f"{host.kind}-*"))
    assert not host.children()


def test_who_stops_watching_stops_nothing(host: Host) -> None:
    async def work(channel: grpc.aio.Channel) -> tuple[Any, ...]:
        stub, job = Stub(channel), await host.begin(channel, is_long=True)
        await until_it_works(host, stub, job.id)
        watching = stub.WatchJob(jobs_pb2.WatchJobRequest(id=job.id))
        await watching.read()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching.code()
        deadline = await refused(stub.WatchJob(jobs_pb2.WatchJobRequest(id=job.id), timeout=0.5))
        return deadline[0], (await stub.GetJob(jobs_pb2.GetJobRequest(id=job.id))).job, len(host.children())

    code, job, count = host.run(work)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (job.state, count) == (jobs_pb2.JOB_STATE_RUNNING, 1)


def test_a_service_that_drains_puts_its_job_back_and_the_next_goes_on(host: Host) -> None:
    async def begin(channel: grpc.aio.Channel) -> jobs_pb2.Job:
        job = await host.begin(channel, is_long=True)
        return await until_it_works(host, Stub(channel), job.id)

    async def end(channel: grpc.aio.Channel) -> jobs_pb2.Job:
        stub = Stub(channel)
        async for job in snapshots(stub, begun.id):
            if job.progress > begun.progress:
                await stub.CancelJob(jobs_pb2.CancelJobRequest(id=begun.id))
        return job

    begun = host.run(begin)
    row = host.store.get(begun.id)
    assert (row.state, row.attempt, row.losses, host.children()) == (State.QUEUED, 0, 0, [])
    assert (host.settings.work_folder / begun.id).is_dir(), "what it has made by then is kept"
    ended = host.run(end)
    assert (ended.state, ended.progress > begun.progress) == (jobs_pb2.JOB_STATE_CANCELLED, True)
