"""Trainings and generations as one kind of thing."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2

from client import jobs
from client.errors import CallError


@pytest.mark.parametrize(("job_id", "kind"), [("training-5f0c", "training"), ("generation-1-2", "generation")])
def test_kind_of(job_id: str, kind: str) -> None:
    assert jobs.kind_of(job_id) == kind


@pytest.mark.parametrize("job_id", ["", "video-1", "../training-1", "Training-1", "-1"])
def test_an_id_of_no_kind_is_not_found(job_id: str) -> None:
    with pytest.raises(CallError) as caught:
        jobs.kind_of(job_id)
    assert (caught.value.reason, caught.value.field) == ("JOB_NOT_FOUND", "id")


def test_a_running_training() -> None:
    row = job_pb2.Job(id="training-1", state=job_pb2.JOB_STATE_RUNNING, stage="face", progress=0.25, step_index=5)
    row.eta.FromMilliseconds(90_500)
    row.loss = 0.0
    job = jobs.from_training(train_pb2.Training(job=row, avatar="Ann"))
    assert (job.kind, job.state, job.stage, job.subject) == ("training", "running", "face", "Ann")
    assert (job.eta_s, job.loss, job.result, job.error) == (90.5, 0.0, None, None)
    assert not job.is_final


def test_unknown_times_are_none_not_zero() -> None:
    job = jobs.from_training(train_pb2.Training(job=job_pb2.Job(id="training-1", state=job_pb2.JOB_STATE_QUEUED)))
    assert (job.eta_s, job.loss) == (None, None)
    assert "preview_url" not in job.as_dict()


def test_a_training_that_succeeded_tells_its_metrics() -> None:
    training = train_pb2.Training(
        job=job_pb2.Job(id="training-1", state=job_pb2.JOB_STATE_SUCCEEDED, progress=1), avatar="Ann"
    )
    training.report.update({"metrics": {"psnr": 33.5}, "baselines": {}})
    expected = {"avatar": "Ann", "kind": "video", "voice": None, "metrics": {"psnr": 33.5}}
    assert jobs.from_training(training).result == expected
    training.report.update({"kind": "photo", "metrics": {}})
    assert jobs.from_training(training).result == expected | {"kind": "photo", "metrics": {}}


def test_a_generation_offers_the_files_it_has(make) -> None:
    made = make.generation(job_pb2.JOB_STATE_SUCCEEDED)
    made.files.append(render_pb2.GENERATION_FILE_VIDEO)
    result = jobs.from_generation(made).result
    assert result == {"video_url": "/api/v1/jobs/generation-1/video", "subtitles_url": None, "duration_s": 0.0}
    made.files.append(render_pb2.GENERATION_FILE_SUBTITLES)
    assert jobs.from_generation(made).result["subtitles_url"] == "/api/v1/jobs/generation-1/subtitles"


def test_a_failure_keeps_reason_and_field(make) -> None:
    failed = make.generation(job_pb2.JOB_STATE_FAILED)
    failed.job.error.CopyFrom(job_pb2.Error(reason="SILENT", message="Nothing is said.", values={"second": "3"}))
    job = jobs.from_generation(failed)
    assert job.is_final
    assert job.error == {"code": "SILENT", "message": "Nothing is said.", "field": None, "values": {"second": "3"}}


def test_watching_ends_with_the_job(rooms, make) -> None:
    running = make.generation(job_pb2.JOB_STATE_RUNNING, progress=0.5)
    rooms.painter.snapshots = [running, make.generation(job_pb2.JOB_STATE_SUCCEEDED, progress=1)]
    seen = [(job.state, job.progress) for job in jobs.watch(rooms.services, "generation-1")]
    assert seen == [("running", 0.5), ("succeeded", 1.0)]


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_watch_that_breaks_off_goes_on(rooms, make, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.01)
    rooms.painter.snapshots = [make.generation(job_pb2.JOB_STATE_RUNNING), make.generation(job_pb2.JOB_STATE_SUCCEEDED)]
    rooms.painter.breaks = [status, status]
    assert [job.state for job in jobs.watch(rooms.services, "generation-1")][-1] == "succeeded"


def test_a_service_that_stays_away_ends_the_watch(rooms, make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.01)
    monkeypatch.setattr(jobs, "LOST_FOR_S", 0.0)
    rooms.painter.snapshots = [make.generation(job_pb2.JOB_STATE_RUNNING)]
    rooms.painter.breaks = [grpc.StatusCode.UNAVAILABLE]
    with pytest.raises(CallError, match="cannot be reached"):
        list(jobs.watch(rooms.services, "generation-1"))


def test_closing_the_watch_ends_the_call(rooms, make) -> None:
    rooms.painter.snapshots = [make.generation(job_pb2.JOB_STATE_RUNNING)]
    snapshots = jobs.watch(rooms.services, "generation-1")
    assert next(snapshots).state == "running"
    snapshots.close()
    assert rooms.painter.ended.wait(60), "the service still sends to a reader that left"


def test_both_kinds_are_deleted_and_resumed_where_they_are(rooms) -> None:
    for job_id in ("generation-1", "training-1"):
        jobs.delete(rooms.services, job_id)
    assert (rooms.painter.deleted, rooms.trainer.deleted) == (["generation-1"], ["training-1"])
    assert jobs.resume(rooms.services, "generation-1").state == "queued"
    with pytest.raises(CallError) as caught:
        jobs.resume(rooms.services, "training-1")
    assert caught.value.reason == "CANNOT_RESUME"


def test_a_job_tells_whether_it_can_be_resumed(make) -> None:
    failed = make.generation(job_pb2.JOB_STATE_FAILED)
    assert jobs.from_generation(failed).as_dict()["can_resume"] is False
    failed.job.can_resume = True
    assert jobs.from_generation(failed).as_dict()["can_resume"] is True


def _created(job_id: str, second: int) -> job_pb2.Job:
    return job_pb2.Job(id=job_id, state=job_pb2.JOB_STATE_QUEUED, create_time=Timestamp(seconds=second))


def test_pages_of_both_kinds_tell_every_job_once_newest_first(rooms) -> None:
    seconds = {"training": (12, 11, 10, 9, 8, 2), "generation": (7, 6, 5, 4, 3, 1)}
    rooms.trainer.trainings = [train_pb2.Training(job=_created(f"training-{n}", n)) for n in seconds["training"]]
    rooms.painter.generations = [
        render_pb2.Generation(job=_created(f"generation-{n}", n)) for n in seconds["generation"]
    ]
    pages, token = [], ""
    while not pages or token:
        listing = jobs.list_jobs(rooms.services, 5, token)
        pages.append([int(job.id.partition("-")[2]) for job in listing.jobs])
        token = listing.next_page_token
    assert pages == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


def test_jobs_of_the_same_millisecond_stand_in_the_order_that_page_tokens_hold(rooms) -> None:
    training, generation = _created("training-1", 7), _created("generation-1", 7)
    training.create_time.nanos, generation.create_time.nanos = 100_000, 900_000
    rooms.trainer.trainings = [train_pb2.Training(job=training)]
    rooms.painter.generations = [render_pb2.Generation(job=generation)]
    assert [job.id for job in jobs.list_jobs(rooms.services).jobs] == ["generation-1", "training-1"]


def test_one_service_that_is_down_hides_only_its_own_jobs(rooms, make) -> None:
    rooms.painter.generations = [make.generation(job_pb2.JOB_STATE_RUNNING)]
    rooms.trainer.is_down = True
    listing = jobs.list_jobs(rooms.services)
    assert ([job.id for job in listing.jobs], listing.missing) == (["generation-1"], ["train"])
