"""Jobs as REST and the command line show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from visavis.common.v1 import error_pb2
from visavis.jobs.v1 import jobs_pb2

from cli import jobs as commands
from gateway.app import create_app
from gateway.settings import GatewaySettings

SILENT = error_pb2.Error(reason="SILENT", message="Nothing is said.", field="audio", values={"second": "3"})
PLAIN = {
    "kind": "generation", "stage": "", "progress": 0.0, "eta_s": None, "error": None, "result": None, "subject": "Ann",
    "title": "", "device": "", "queue": 0, "step": 0, "steps": 0, "loss": None, "can_resume": False,
}  # fmt: skip


@pytest.fixture
def door(rooms, tmp_path: Path) -> FlaskClient:
    return create_app(GatewaySettings(data_folder=tmp_path), rooms.services).test_client()


@pytest.fixture
def jobs(rooms, make) -> list[dict[str, Any]]:
    """Jobs that the services have, newest first, and what is to be shown of each."""
    training = make.training(jobs_pb2.JOB_STATE_RUNNING, 3, progress=0.123456, stage="face", step_index=4, loss=0.5)
    training.preview_index, training.step_count, training.eta.seconds = 7, 9, 90
    training.warnings.append(SILENT)
    made = make.generation(jobs_pb2.JOB_STATE_SUCCEEDED, 2, progress=1, device="cpu")
    made.files.append(jobs_pb2.JOB_FILE_VIDEO)
    made.generation.duration.seconds, made.generation.title = 2, "Hello"
    failed = make.generation(jobs_pb2.JOB_STATE_FAILED, 1, error=SILENT, can_resume=True)
    for second, job in enumerate((failed, made, training), 1):
        job.create_time.seconds = second
    rooms.trainer.jobs.all, rooms.painter.jobs.all = [training], [made, failed]
    problem = {"code": "SILENT", "message": SILENT.message, "field": "audio"}
    video = {"video_url": "/api/v1/jobs/generation-2/video", "subtitles_url": None, "duration_s": 2.0}
    return [
        PLAIN
        | {"id": "training-3", "kind": "training", "state": "running", "created_at": 3.0, "progress": 0.1235}
        | {"stage": "face", "step": 4, "steps": 9, "loss": 0.5, "eta_s": 90.0, "warnings": [problem]}
        | {"preview_url": "/api/v1/jobs/training-3/preview?7"},
        PLAIN
        | {"id": "generation-2", "state": "succeeded", "created_at": 2.0, "progress": 1.0, "device": "cpu"}
        | {"title": "Hello", "result": video},
        PLAIN | {"id": "generation-1", "state": "failed", "created_at": 1.0, "error": problem, "can_resume": True},
    ]


def test_rest_tells_all_that_there_is_to_know(door: FlaskClient, jobs: list[dict[str, Any]]) -> None:
    answer = door.get("/api/v1/jobs").get_json()
    assert answer["missing"] == []
    assert answer["jobs"] == jobs


def test_a_failure_is_told_in_the_readers_language(door: FlaskClient, jobs: list[dict[str, Any]]) -> None:
    (failed,) = [
        job
        for job in door.get("/api/v1/jobs", headers={"Accept-Language": "zh"}).get_json()["jobs"]
        if job["state"] == "failed"
    ]
    assert failed["error"]["code"] == "SILENT"
    assert failed["error"]["message"] != SILENT.message


def test_the_command_line_tells_other_programs_the_same(
    rooms, jobs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "connect", lambda: rooms.services)
    shown = json.loads(CliRunner().invoke(commands.list_jobs, ["--json"]).output)
    for problem in [shown[0]["warnings"][0], shown[2]["error"]]:
        assert problem.pop("values") == {"second": "3"}
    assert shown == jobs
