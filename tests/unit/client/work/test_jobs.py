"""Trainings and generations as one kind of thing."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2
from visavis.common.v1 import error_pb2
from visavis.jobs.v1 import jobs_pb2

from basics.problem import Problem
from client.wire.errors import CallError
from client.work import jobs


@pytest.mark.parametrize(
    ("job_id", "kind"), [("training-5f0c", "training"), ("generation-1-2", "generation"), ("model-1", "model")]
)
def test_kind_of(job_id: str, kind: str) -> None:
    assert jobs.kind_of(job_id) == kind


@pytest.mark.parametrize("job_id", ["", "video-1", "../training-1", "Training-1", "-1"])
def test_an_id_of_no_kind_is_not_found(job_id: str) -> None:
    with pytest.raises(CallError) as caught:
        jobs.kind_of(job_id)
    assert (caught.value.reason, caught.value.field) == ("JOB_NOT_FOUND", "id")


def test_a_running_training(make) -> None:
    row = make.training(jobs_pb2.JOB_STATE_RUNNING, stage="face", progress=0.25, step_index=5, loss=0.0)
    row.eta.FromMilliseconds(90_500)
    job = jobs.from_message(row)
    assert (job.kind, job.state, job.stage, job.subject) == ("training", "running", "face", "Ann")
    assert (job.eta_s, job.loss, job.result, job.error) == (90.5, 0.0, None, None)
    assert not job.is_final


def test_unknown_times_are_none_not_zero(make) -> None:
    job = jobs.from_message(make.training(jobs_pb2.JOB_STATE_QUEUED))
    assert (job.eta_s, job.loss) == (None, None)


def test_a_training_that_succeeded_tells_its_metrics(make) -> None:
    made = make.training(jobs_pb2.JOB_STATE_SUCCEEDED, progress=1)
    made.training.report.update({"metrics": {"psnr": 33.5}, "baselines": {}})
    expected = jobs.TrainingResult("Ann", "video", None, {"psnr": 33.5})
    assert jobs.from_message(made).result == expected
    made.training.report.update({"kind": "photo", "metrics": {}})
    assert jobs.from_message(made).result == replace(expected, kind="photo", metrics={})


def test_a_generation_offers_the_files_it_has(make) -> None:
    made = make.generation(jobs_pb2.JOB_STATE_SUCCEEDED, files=[jobs_pb2.JOB_FILE_VIDEO])
    made.generation.duration.seconds = 2
    assert jobs.from_message(made).result == jobs.GenerationResult(2.0, has_subtitles=False)
    made.files.append(jobs_pb2.JOB_FILE_SUBTITLES)
    assert jobs.from_message(made).result == jobs.GenerationResult(2.0, has_subtitles=True)


def test_a_pull_is_about_a_model() -> None:
    pull, done = jobs_pb2.Pull(model="whisper-base"), jobs_pb2.JOB_STATE_SUCCEEDED
    job = jobs.from_message(jobs_pb2.Job(id="model-1", state=done, pull=pull))
    assert (job.kind, job.subject, job.result) == ("model", "whisper-base", jobs.PullResult("whisper-base"))


def test_a_failure_and_warnings_keep_reason_and_field(make) -> None:
    silent = error_pb2.Error(reason="SILENT", message="Nothing is said.", field="audio", values={"second": "3"})
    job = jobs.from_message(make.generation(jobs_pb2.JOB_STATE_FAILED, error=silent, warnings=[silent]))
    expected = Problem("SILENT", "Nothing is said.", "audio", {"second": "3"})
    assert (job.is_final, job.error, job.warnings) == (True, expected, (expected,))


def test_watching_ends_with_the_job(rooms, make) -> None:
    running = make.generation(jobs_pb2.JOB_STATE_RUNNING, progress=0.5)
    rooms.painter.jobs.snapshots = [running, make.generation(jobs_pb2.JOB_STATE_SUCCEEDED, progress=1)]
    seen = [(job.state, job.progress) for job in jobs.watch(rooms.services, "generation-1")]
    assert seen == [("running", 0.5), ("succeeded", 1.0)]


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_watch_that_breaks_off_goes_on(rooms, make, monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.01)
    rooms.painter.jobs.snapshots = [
        make.generation(jobs_pb2.JOB_STATE_RUNNING),
        make.generation(jobs_pb2.JOB_STATE_SUCCEEDED),
    ]
    rooms.painter.jobs.breaks = [status, status]
    assert [job.state for job in jobs.watch(rooms.services, "generation-1")][-1] == "succeeded"


def test_a_service_that_stays_away_ends_the_watch(rooms, make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RETRY_S", 0.01)
    monkeypatch.setattr(jobs, "LOST_FOR_S", 0.0)
    rooms.painter.jobs.snapshots = [make.generation(jobs_pb2.JOB_STATE_RUNNING)]
    rooms.painter.jobs.breaks = [grpc.StatusCode.UNAVAILABLE]
    with pytest.raises(CallError, match="cannot be reached"):
        list(jobs.watch(rooms.services, "generation-1"))


def test_closing_the_watch_ends_the_call(rooms, make) -> None:
    rooms.painter.jobs.snapshots = [make.generation(jobs_pb2.JOB_STATE_RUNNING)]
    snapshots = jobs.watch(rooms.services, "generation-1")
    assert next(snapshots).state == "running"
    snapshots.close()
    assert rooms.painter.jobs.ended.wait(60), "the service still sends to a reader that left"


def test_both_kinds_are_deleted_and_resumed_where_they_are(rooms) -> None:
    rooms.trainer.jobs.refusal = (code_pb2.FAILED_PRECONDITION, "CANNOT_RESUME", "Only a job that has failed…")
    for job_id in ("generation-1", "training-1"):
        jobs.delete(rooms.services, job_id)
    assert (rooms.painter.jobs.deleted, rooms.trainer.jobs.deleted) == (["generation-1"], ["training-1"])
    assert jobs.resume(rooms.services, "generation-1").state == "queued"
    with pytest.raises(CallError) as caught:
        jobs.resume(rooms.services, "training-1")
    assert caught.value.reason == "CANNOT_RESUME"


def test_a_job_tells_whether_it_can_be_resumed(make) -> None:
    failed = make.generation(jobs_pb2.JOB_STATE_FAILED)
    assert not jobs.from_message(failed).can_resume
    failed.can_resume = True
    assert jobs.from_message(failed).can_resume


def _created(job_id: str, second: int) -> jobs_pb2.Job:
    return jobs_pb2.Job(id=job_id, state=jobs_pb2.JOB_STATE_QUEUED, create_time=Timestamp(seconds=second))


def test_pages_of_both_kinds_tell_every_job_once_newest_first(rooms) -> None:
    seconds = {"training": (12, 11, 10, 9, 8, 2), "generation": (7, 6, 5, 4, 3, 1)}
    rooms.trainer.jobs.all = [_created(f"training-{n}", n) for n in seconds["training"]]
    rooms.painter.jobs.all = [_created(f"generation-{n}", n) for n in seconds["generation"]]
    pages, token = [], ""
    while not pages or token:
        listing = jobs.list_jobs(rooms.services, 5, token)
        pages.append([int(job.id.partition("-")[2]) for job in listing.jobs])
        token = listing.next_page_token
    assert pages == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


def test_jobs_of_the_same_millisecond_stand_in_the_order_that_page_tokens_hold(rooms) -> None:
    training, generation = _created("training-1", 7), _created("generation-1", 7)
    training.create_time.nanos, generation.create_time.nanos = 100_000, 900_000
    rooms.trainer.jobs.all = [training]
    rooms.painter.jobs.all = [generation]
    assert [job.id for job in jobs.list_jobs(rooms.services).jobs] == ["generation-1", "training-1"]


def test_one_service_that_is_down_hides_only_its_own_jobs(rooms, make) -> None:
    rooms.painter.jobs.all = [make.generation(jobs_pb2.JOB_STATE_RUNNING)]
    rooms.trainer.jobs.is_down = True
    listing = jobs.list_jobs(rooms.services)
    assert ([job.id for job in listing.jobs], listing.missing) == (["generation-1"], ["train"])
