"""A training service that is killed or put to sleep in the middle of a training: the training goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from visavis.common.v1 import info_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc

from client.wire.files import chunks
from services.common.storage import Storage

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
LONGEST_S = 900  # only ends what would hang
ASLEEP_S = 17  # longer than a silent runner is taken for alive
ENDLESS = [info_pb2.ParameterValue(name="minutes", number=60), info_pb2.ParameterValue(name="steps", integer=100_000)]
PARAMETERS = [
    info_pb2.ParameterValue(name="minutes", number=0.75),  # more than twice the time of a checkpoint
    info_pb2.ParameterValue(name="size", integer=192),
    info_pb2.ParameterValue(name="loop_seconds", number=2),
]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen, train_pb2_grpc.TrainServiceStub]]]:
    """Start the service as a process; all of them share storage, table and work folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TRAIN_PORT": str(port),
        "TRAIN_DEVICES": '["cpu"]',
        "VISAVIS_STORAGE_URL": (tmp_path / "storage").as_uri(),
        "VISAVIS_DATABASE_URL": f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        "VISAVIS_WORK_FOLDER": str(tmp_path / "work"),
    }
    started: list[subprocess.Popen] = []

    def run() -> tuple[subprocess.Popen, train_pb2_grpc.TrainServiceStub]:
        log = (tmp_path / f"service-{len(started)}.log").open("wb")
        command = [sys.executable, "-m", "services.train"]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_reconnect_backoff_ms", 1000)])
        stub: Any = train_pb2_grpc.TrainServiceStub(channel)
        stub.jobs = jobs_pb2_grpc.JobServiceStub(channel)
        wait_for(lambda: answers(stub))
        return started[-1], stub

    yield run
    for process in started:
        process.terminate()
        process.wait(LONGEST_S)


def answers(stub: Any) -> bool:
    try:
        return bool(stub.GetInfo(train_pb2.GetInfoRequest(), timeout=2))
    except grpc.RpcError:
        return False


def now(stub: Any, job_id: str) -> jobs_pb2.Job:
    return stub.jobs.GetJob(jobs_pb2.GetJobRequest(id=job_id), timeout=60).job


def ended(stub: Any, job_id: str) -> bool:
    return now(stub, job_id).state not in (jobs_pb2.JOB_STATE_QUEUED, jobs_pb2.JOB_STATE_RUNNING)


def wait_for(condition: Callable[[], Any], seconds: float = LONGEST_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def has_died(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def written_at(path: Path) -> int | None:
    """When a file was written; None when it is gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def requests(clip: Path) -> Iterator[train_pb2.UploadRecordingRequest]:
    yield train_pb2.UploadRecordingRequest(config=train_pb2.RecordingConfig(file_name="clip.mp4"))
    with clip.open("rb") as file:
        yield from (train_pb2.UploadRecordingRequest(data=data) for data in chunks(file))


def asked_for(stub: Any, clip: Path, parameters: list[info_pb2.ParameterValue]) -> str:
    """A training; its id."""
    recording = stub.UploadRecording(requests(clip), timeout=LONGEST_S).recording
    request = train_pb2.CreateTrainingRequest(
        recording_id=recording.id,
        name="Nora",
        consent=media_pb2.Consent(given_by="Nora"),
        parameters=parameters,
    )
    return stub.CreateTraining(request, timeout=60).job.id


def test_a_service_that_sleeps_again_and_again_goes_on(start: Any, demo_clip: Path, tmp_path: Path) -> None:
    service, stub = start()
    job_id = asked_for(stub, demo_clip, ENDLESS)
    wait_for(lambda: now(stub, job_id).stage == "track")
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    service, stub = start()
    wait_for(lambda: psutil.Process(service.pid).children())
    family = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
    for _ in range(3):
        for process in family:
            process.suspend()
        time.sleep(ASLEEP_S)
        for process in family[::-1]:
            process.resume()
        time.sleep(5)  # more than enough for whoever wakes to mistake the others for dead
    job = now(stub, job_id)
    assert job.state == jobs_pb2.JOB_STATE_RUNNING, job.error
    assert family[1] in psutil.Process(service.pid).children(), "it is still the same process"
    stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id), timeout=60)
    wait_for(lambda: ended(stub, job_id))
    stub.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=job_id), timeout=60)
    assert not (tmp_path / "work" / job_id).exists()


def test_a_killed_service_goes_on_from_the_checkpoint(start: Any, demo_clip: Path, tmp_path: Path) -> None:
    service, stub = start()
    job_id = asked_for(stub, demo_clip, PARAMETERS)
    work = tmp_path / "work" / job_id / "engine"
    wait_for(lambda: (work / "face-checkpoint.safetensors").exists() or ended(stub, job_id))
    before = now(stub, job_id)
    assert before.state == jobs_pb2.JOB_STATE_RUNNING, before.error
    motion_done = written_at(work / "motion.done")
    assert motion_done
    (child,) = psutil.Process(service.pid).children()

    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    wait_for(lambda: has_died(child), 10)  # by itself it would go on for longer

    _, stub = start()
    seen = []
    for reply in stub.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job_id), timeout=LONGEST_S):
        seen.append(reply.job)
        assert written_at(work / "motion.done") in (motion_done, None)  # no stage was done twice
    assert seen[-1].state == jobs_pb2.JOB_STATE_SUCCEEDED, seen[-1].error
    assert min(job.progress for job in seen) >= before.progress
    resumed = [job.step_index for job in seen if job.stage == "face" and job.state == jobs_pb2.JOB_STATE_RUNNING]
    assert resumed[-1] > before.step_index
    storage = Storage((tmp_path / "storage").as_uri(), tmp_path)
    assert storage.exists("avatars/Nora/avatar.json")
    assert not storage.folders("recordings")
    wait_for(lambda: not work.parent.exists())  # it is taken away once the end has been told
