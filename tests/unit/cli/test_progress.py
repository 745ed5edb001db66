"""A job as it is shown, over a real wire that breaks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import grpc
import pytest
from rich.console import Console
from visavis.common.v1 import error_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc

from cli import progress
from cli.train import train
from client.wire.files import Download
from client.wire.services import Services
from client.wire.settings import ClientSettings
from client.work import jobs

RUNNING, SUCCEEDED = jobs_pb2.JOB_STATE_RUNNING, jobs_pb2.JOB_STATE_SUCCEEDED


def _training(state: int, **fields: object) -> jobs_pb2.Job:
    return jobs_pb2.Job(id="training-1", state=state, training=jobs_pb2.Training(avatar="Ann"), **fields)


class Trainer(jobs_pb2_grpc.JobServiceServicer):
    """Sends `snapshots`; breaks off the first calls as a service that restarts does."""

    def __init__(self) -> None:
        self.snapshots: list[jobs_pb2.Job] = []
        self.breaks = 0

    def WatchJob(
        self, request: jobs_pb2.WatchJobRequest, context: grpc.ServicerContext
    ) -> Iterator[jobs_pb2.WatchJobResponse]:
        for training in self.snapshots:
            yield jobs_pb2.WatchJobResponse(job=training)
            if self.breaks:
                self.breaks -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    server = grpc.server(ThreadPoolExecutor(4))
    trainer = Trainer()
    jobs_pb2_grpc.add_JobServiceServicer_to_server(trainer, server)
    trainer.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield trainer
    server.stop(0).wait()


@pytest.fixture
def services(trainer: Trainer) -> Iterator[Services]:
    services = Services(ClientSettings(train_address=f"127.0.0.1:{trainer.port}"))
    yield services
    services.close()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is shown, on no terminal."""
    shown = io.StringIO()
    monkeypatch.setattr(progress, "console", lambda: Console(file=shown, width=100))
    return shown


def test_a_line_per_stage(trainer, services, screen) -> None:
    trainer.snapshots = [
        _training(RUNNING, stage="track", progress=0.01),
        _training(RUNNING, stage="track", progress=0.02),
        _training(RUNNING, stage="face", progress=0.5, step_index=40, step_count=80, loss=0.125),
        _training(SUCCEEDED, stage="face", progress=1),
    ]
    job = progress.follow(services, jobs.from_message(trainer.snapshots[0]))
    assert job.state == "succeeded"
    lines = screen.getvalue().splitlines()
    assert lines[0].split() == ["1%", "running", "track"]
    assert lines[1].split() == ["50%", "running", "face", "40/80", "loss", "0.1250"]
    assert len(lines) == 3


def test_a_restart_of_the_service_is_survived(trainer, services, screen, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.01)
    trainer.snapshots = [_training(RUNNING, progress=0.5), _training(SUCCEEDED, progress=1)]
    trainer.breaks = 2
    assert progress.follow(services, jobs.from_message(trainer.snapshots[0])).state == "succeeded"


def test_a_failed_job_says_why_and_what_is_to_blame(trainer, services, screen) -> None:
    error = error_pb2.Error(reason="NO_FACE", message="No face at second 12.4.", field="recording")
    trainer.snapshots = [_training(jobs_pb2.JOB_STATE_FAILED, error=error)]
    with (
        click.Context(train),
        pytest.raises(click.ClickException, match=r"No face at second 12\.4\. \(VIDEO\)") as caught,
    ):
        progress.follow(services, jobs.from_message(trainer.snapshots[0]))
    assert caught.value.exit_code == 2


def test_ctrl_c_without_a_terminal_leaves_the_job_running(trainer, services, screen, monkeypatch) -> None:
    def interrupted(*_: object) -> Iterator[jobs.Job]:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "watch", interrupted)
    with pytest.raises(click.exceptions.Exit) as caught:
        progress.follow(services, jobs.from_message(_training(RUNNING)))
    assert caught.value.exit_code == 130
    assert "visavis jobs watch training-1" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (0.4, "0 s left"), (59.6, "1 min 00 s left"), (200, "3 min 20 s left")]
)
def test_time_left_in_words(seconds: float | None, words: str) -> None:
    assert progress.remaining(seconds) == words


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        progress.save(Download("video/mp4", 8, "out.mp4", broken()), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []
    progress.save(Download("video/mp4", 8, "out.mp4", iter([b"whole ", b"file"])), tmp_path / "new" / "out.mp4")
    assert (tmp_path / "new" / "out.mp4").read_bytes() == b"whole file"
