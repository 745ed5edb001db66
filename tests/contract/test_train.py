"""The training service, called as its callers call it: from an uploaded clip to an avatar in storage."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.common.v1 import info_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc

from basics.problem import Problem
from services.common import tidying
from services.common.jobs import calls
from services.common.jobs.store import JobStore, State
from services.common.recordings import Recordings
from services.common.storage import Storage
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings

Upload = train_pb2.UploadRecordingRequest
Call = Callable[..., Any]
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NAME = "Ada 测试 🎬"
TINY = [
    info_pb2.ParameterValue(name="steps", integer=8),
    info_pb2.ParameterValue(name="size", integer=192),
    info_pb2.ParameterValue(name="loop_seconds", integer=2),  # a whole number is a number too
]
SLOW = [info_pb2.ParameterValue(name="steps", integer=100_000), info_pb2.ParameterValue(name="minutes", number=60)]


class Stub(train_pb2_grpc.TrainServiceStub):
    """The service's calls, and in `jobs` those about its jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        port=0,
        storage_url=(tmp_path / "storage").as_uri(),
        database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work",
        devices=["cpu"],
        threads=1,
    )


@pytest.fixture
def storage(settings: TrainSettings) -> Storage:
    return Storage(settings.storage_url, settings.work_folder / "cache")


@pytest.fixture
def call(serving: Any, settings: TrainSettings) -> Call:
    """Run one coroutine function with a stub of a fresh service."""

    def run(work: Callable[[Stub], Awaitable[Any]], **changes: Any) -> Any:
        chosen = settings.model_copy(update=changes)

        async def serve() -> Any:
            async with serving(TrainServicer(chosen), chosen) as channel:
                return await work(Stub(channel))

        return asyncio.run(serve())

    return run


@pytest.fixture
def recording_id(storage: Storage, demo_clip: Path) -> str:
    """A recording that has passed the check."""
    facts = {"duration_s": 12.0, "width": 256, "height": 256, "fps": 25.0, "warnings": []}
    return Recordings(storage).add(demo_clip, facts)


def upload(data: bytes) -> list[Upload]:
    pieces = [data[at : at + 500_000] for at in range(0, len(data), 500_000)]
    config = train_pb2.RecordingConfig(file_name="clip.mp4")
    return [Upload(config=config), *(Upload(data=piece) for piece in pieces)]


def wanted(recording_id: str, /, **changes: Any) -> train_pb2.CreateTrainingRequest:
    consent = media_pb2.Consent(given_by="Ada L.")
    options = {"recording_id": recording_id, "name": NAME, "consent": consent, "parameters": TINY} | changes
    return train_pb2.CreateTrainingRequest(**options)


async def refused(awaited: Any) -> tuple[grpc.StatusCode, str, str]:
    """The status, reason and field of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await awaited
    status = rpc_status.from_call(failure.value)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    return failure.value.code(), info.reason, field


async def snapshots(stub: Stub, training_id: str) -> AsyncIterator[jobs_pb2.Job]:
    request = jobs_pb2.WatchJobRequest(id=training_id)
    async for reply in stub.jobs.WatchJob(request, timeout=1800):
        yield reply.job


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


def test_info_describes_every_engine_without_loading_any(call: Call) -> None:
    reply = call(lambda stub: stub.GetInfo(train_pb2.GetInfoRequest()))
    assert reply.info.default_engine == "portrait"
    engine = next(engine for engine in reply.info.engines if engine.name == "portrait")
    quality = next(parameter for parameter in engine.parameters if parameter.name == "quality")
    assert (quality.type, quality.default_value.text) == (info_pb2.PARAMETER_TYPE_TEXT, "standard")
    assert "draft" in quality.choices
    assert quality.help
    assert "device" not in [parameter.name for parameter in engine.parameters]
    assert reply.info.devices[-1] == "cpu"


def test_only_devices_that_trainings_run_on_can_be_asked_for(call: Call, recording_id: str) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        devices = (await stub.GetInfo(train_pb2.GetInfoRequest())).info.devices
        return list(devices), await refused(stub.CreateTraining(wanted(recording_id, device="cpu")))

    assert call(work, devices=["cuda:7"]) == (["cuda:7"], (INVALID, "NO_DEVICE", "device"))


def test_a_clip_becomes_an_avatar(
    call: Call, storage: Storage, settings: TrainSettings, demo_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "WATCH_POLL_S", 0.02)  # every stage is to be seen, on a quick machine too
    clip = demo_clip.read_bytes()

    async def work(stub: Stub) -> tuple[Any, ...]:
        recording = (await stub.UploadRecording(upload(clip))).recording
        request = wanted(recording.id, request_id="once", voice="ada")
        job = (await stub.CreateTraining(request)).job
        again = (await stub.CreateTraining(request)).job
        taken = await refused(stub.CreateTraining(wanted(recording.id)))
        seen = [training async for training in snapshots(stub, job.id)]
        preview = [
            r
            async for r in stub.jobs.ReadJobFile(jobs_pb2.ReadJobFileRequest(id=job.id, file=jobs_pb2.JOB_FILE_PREVIEW))
        ]
        listed = (await stub.jobs.ListJobs(jobs_pb2.ListJobsRequest())).jobs
        return recording, job, again, taken, seen, preview, listed

    recording, job, again, taken, seen, preview, listed = call(work)
    assert recording.duration.ToTimedelta().total_seconds() == pytest.approx(12, abs=0.1)
    assert again.id == job.id
    assert taken == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN", "name")
    last = seen[-1]
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    assert [training.progress for training in seen] == sorted(training.progress for training in seen)
    assert {"track", "motion", "face"} <= {training.stage for training in seen}
    assert MessageToDict(last.training.report)["metrics"]["psnr"] > 10
    assert preview[0].header.content_type == "image/jpeg"
    assert preview[1].data[:2] == b"\xff\xd8"
    assert [training.id for training in listed] == [job.id]
    manifest = json.loads(storage.read(f"avatars/{NAME}/avatar.json"))
    assert manifest["consent"]["given_by"] == "Ada L."
    assert manifest["provenance"]["duration_s"] == pytest.approx(12, abs=0.1)
    assert len(manifest["provenance"]["sha256"]) == 64
    assert (manifest["engine"], manifest["voice"], manifest["size"], manifest["fps"]) == ("portrait", "ada", 192, 25)
    assert manifest["baselines"]["mean_crop"]["psnr"] > 0
    assert storage.exists(f"avatars/{NAME}/comparison.jpg")
    assert storage.read(f"avatars/{NAME}/report.html").startswith(b"<!doctype html>")
    assert not storage.folders("recordings")
    assert not list(settings.work_folder.glob("training-*"))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], (INVALID, "CONFIG_FIRST", "config")),
        ([Upload(data=b"12")], (INVALID, "CONFIG_FIRST", "config")),
        (upload(b"") + upload(b""), (INVALID, "CONFIG_ONCE", "config")),
        (upload(b""), (INVALID, "FILE_EMPTY", "video")),
        (upload(b"no video at all" * 1000), (INVALID, "NOT_A_VIDEO", "video")),
        (upload(bytes(2_000_000)), (INVALID, "FILE_TOO_LARGE", "video")),
    ],
)
def test_uploads_that_cannot_serve_are_refused_and_not_kept(
    call: Call, settings: TrainSettings, storage: Storage, messages: list[Upload], expected: tuple[Any, ...]
) -> None:
    assert call(lambda stub: refused(stub.UploadRecording(messages)), max_upload_bytes=1_500_000) == expected
    assert not storage.folders("recordings")
    assert not list(settings.work_folder.glob("upload-*"))


def test_a_cancelled_upload_leaves_nothing(call: Call, settings: TrainSettings) -> None:
    async def work(stub: Stub) -> None:
        stream = stub.UploadRecording()
        await stream.write(upload(b"")[0])
        await stream.write(Upload(data=b"half a video"))
        await until(lambda: list(settings.work_folder.glob("upload-*")))
        stream.cancel()
        await until(lambda: not list(settings.work_folder.glob("upload-*")))

    call(work)
    assert not list(settings.work_folder.glob("upload-*"))


def test_what_cannot_be_trained_is_refused_beside_its_field(call: Call, storage: Storage, recording_id: str) -> None:
    storage.write("avatars/Taken/avatar.json", b"{}")
    value = info_pb2.ParameterValue
    cases = [
        ({"request_id": "x" * 65}, (INVALID, "BAD_REQUEST_ID", "request_id")),
        ({"name": ""}, (INVALID, "NAME_EMPTY", "name")),
        ({"name": "../up"}, (INVALID, "NAME_FORBIDDEN", "name")),
        ({"name": "x" * 61}, (INVALID, "NAME_TOO_LONG", "name")),
        ({"name": "Taken"}, (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN", "name")),
        ({"name": " Taken "}, (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN", "name")),
        ({"consent": media_pb2.Consent(given_by=" ")}, (INVALID, "CONSENT_MISSING", "consent")),
        ({"consent": media_pb2.Consent(given_by="true")}, (INVALID, "CONSENT_UNCLEAR", "consent")),
        ({"consent": media_pb2.Consent(given_by="A" * 201)}, (INVALID, "TEXT_TOO_LONG", "consent.given_by")),
        ({"engine": "none"}, (INVALID, "NO_ENGINE", "engine")),
        ({"device": "cuda:99"}, (INVALID, "NO_DEVICE", "device")),
        ({"recording_id": "recording-" + "0" * 32}, (MISSING, "RECORDING_NOT_FOUND", "recording_id")),
        ({"recording_id": "../../etc"}, (MISSING, "RECORDING_NOT_FOUND", "recording_id")),
        ({"parameters": [value(name="nope", integer=1)]}, (INVALID, "PARAMETER_UNKNOWN", "params.nope")),
        ({"parameters": [value(name="steps", text="many")]}, (INVALID, "PARAMETER_TYPE", "params.steps")),
        ({"parameters": [value(name="steps")]}, (INVALID, "PARAMETER_TYPE", "params.steps")),
        ({"parameters": [value(name="steps", integer=-1)]}, (INVALID, "PARAMETER_RANGE", "params.steps")),
        ({"parameters": [value(name="size", integer=500)]}, (INVALID, "PARAMETER_RANGE", "params.size")),
        ({"parameters": [value(name="minutes", number=float("nan"))]}, (INVALID, "PARAMETER_RANGE", "params.minutes")),
        ({"parameters": [value(name="quality", text="best")]}, (INVALID, "PARAMETER_CHOICE", "params.quality")),
    ]

    async def work(stub: Stub) -> list[Any]:
        return [await refused(stub.CreateTraining(wanted(recording_id, **changes))) for changes, _ in cases]

    assert call(work) == [expected for _, expected in cases]

    judged = [(changes, expected) for changes, expected in cases if "recording_id" not in changes]

    async def judge(stub: Stub) -> list[Any]:
        requests = [wanted("", validate_only=True, **changes) for changes, _ in judged]
        return [await refused(stub.CreateTraining(request)) for request in requests]

    assert call(judge) == [expected for _, expected in judged], "also before there is a recording"


def test_what_can_be_trained_is_judged_without_a_recording_and_makes_no_job(call: Call, recording_id: str) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        request = {"request_id": "once", "parameters": SLOW}
        well = await stub.CreateTraining(wanted("", validate_only=True, **request))
        before = (await stub.jobs.ListJobs(jobs_pb2.ListJobsRequest())).jobs
        made = (await stub.CreateTraining(wanted(recording_id, **request))).job
        again = (await stub.CreateTraining(wanted("", validate_only=True, **request))).job
        await stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=made.id))
        return well.HasField("job"), list(before), made.id, again.id

    has_job, before, made, again = call(work)
    assert (has_job, before) == (False, [])
    assert again == made


RECORDED = {"duration_s": 12.0, "width": 256, "height": 256, "sha256": "0", "created_s": 1.8e9}


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", "{}", json.dumps(RECORDED | {"duration_s": "long"}), json.dumps(RECORDED | {"created_s": None}),
     json.dumps(RECORDED | {"more": None}).replace("null", "[" * 50_000 + "]" * 50_000)],
)  # fmt: skip
def test_a_damaged_recording_is_refused_and_forgotten_in_time(
    call: Call, storage: Storage, recording_id: str, manifest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    storage.write(f"recordings/{recording_id}/recording.json", manifest.encode())
    answer = call(lambda stub: refused(stub.CreateTraining(wanted(recording_id))))
    assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "RECORDING_DAMAGED", "recording_id")
    recordings = Recordings(storage)
    assert recordings.expire(older_than_s=-1, in_use=set()) == 1
    assert storage.folders("recordings") == []


def test_a_recording_that_has_lost_its_file_is_damaged(call: Call, storage: Storage, recording_id: str) -> None:
    storage.delete_file(f"recordings/{recording_id}/recording")
    answer = call(lambda stub: refused(stub.CreateTraining(wanted(recording_id))))
    assert answer[1:] == ("RECORDING_DAMAGED", "recording_id")


async def last(stub: Stub, training_id: str) -> jobs_pb2.Job:
    return [training async for training in snapshots(stub, training_id)][-1]


def test_what_a_failed_training_kept_goes_with_it(
    call: Call, settings: TrainSettings, storage: Storage, recording_id: str
) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        first, second = failed_training(settings, recording_id), failed_training(settings, recording_id)
        for job_id in (first, second):
            (settings.work_folder / job_id / "engine").mkdir(parents=True)
        await stub.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=first))
        between = storage.folders("recordings"), (settings.work_folder / first).exists()
        await stub.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=second))
        return between, (settings.work_folder / second).exists()

    assert call(work) == (([recording_id], False), False)
    assert not storage.folders("recordings")


def failed_training(settings: TrainSettings, recording_id: str, name: str = "Nora") -> str:
    store = JobStore(settings.database_url)
    spec = {"name": name, "engine": "portrait", "voice": "", "recording_id": recording_id, "device": "cpu"}
    job = store.create("training", spec)
    store.finish(job.id, State.FAILED, error=Problem("CRASHED", "…"))
    store.close()
    return job.id


def test_a_training_that_lacks_what_it_needs_is_not_resumed(
    call: Call, settings: TrainSettings, storage: Storage, recording_id: str
) -> None:
    storage.write("avatars/Taken/avatar.json", b"{}")

    async def resumed(stub: Stub, training_id: str) -> tuple[Any, ...]:
        shown = (await stub.jobs.GetJob(jobs_pb2.GetJobRequest(id=training_id))).job.can_resume
        return shown, *(await refused(stub.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=training_id))))[:2]

    async def work(stub: Stub) -> list[Any]:
        return [
            await resumed(stub, failed_training(settings, recording_id, "Taken")),
            await resumed(stub, failed_training(settings, "recording-" + "0" * 32)),
        ]

    conflict = grpc.StatusCode.FAILED_PRECONDITION
    assert call(work) == [(True, conflict, "NAME_TAKEN_SINCE"), (False, MISSING, "RECORDING_NOT_FOUND")]
    expired = call(lambda stub: resumed(stub, failed_training(settings, recording_id)), keep_failed_days=1e-9)
    assert expired == (False, conflict, "CANNOT_RESUME")


def test_a_recording_is_kept_as_long_as_its_training_can_be_resumed(
    call: Call,
    settings: TrainSettings,
    storage: Storage,
    recording_id: str,
    demo_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    facts = {"duration_s": 12.0, "width": 256, "height": 256, "fps": 25.0, "warnings": []}
    needless = Recordings(storage).add(demo_clip, facts)
    failed_training(settings, recording_id)

    async def work(stub: Stub) -> None:
        await until(lambda: needless not in storage.folders("recordings"))

    call(work, keep_recordings_days=1e-9)
    assert storage.folders("recordings") == [recording_id]


def test_a_full_disk_is_told_plainly_and_leaves_nothing(
    call: Call, settings: TrainSettings, storage: Storage, recording_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))

    async def work(stub: Stub) -> list[Any]:
        return [
            await refused(stub.UploadRecording(upload(b"some bytes"))),
            await refused(stub.CreateTraining(wanted(recording_id))),
        ]

    answers = call(work)
    assert [answer[:2] for answer in answers] == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")] * 2
    assert not list(settings.work_folder.glob("upload-*"))


def test_old_recordings_are_forgotten(
    call: Call, storage: Storage, recording_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)

    async def work(stub: Stub) -> None:
        await until(lambda: not storage.folders("recordings"))

    call(work, keep_recordings_days=1e-9)
    assert not storage.folders("recordings")


def test_a_video_compared_with_itself_is_perfect(call: Call, demo_clip: Path) -> None:
    config = train_pb2.EvaluateRequest(config=train_pb2.EvaluateConfig(page=True))
    data = demo_clip.read_bytes()

    async def work(stub: Stub) -> tuple[Any, ...]:
        both = [train_pb2.EvaluateRequest(true_video=data), train_pb2.EvaluateRequest(generated_video=data)]
        response = await stub.Evaluate([config, *both])
        broken = [both[0], train_pb2.EvaluateRequest(generated_video=b"no video")]
        refusals = [await refused(stub.Evaluate([config, *files])) for files in (broken, both[:1])]
        return response, *refusals

    response, broken, missing = call(work)
    report = MessageToDict(response.report)
    assert (report["kind"], report["frames"], report["warnings"]) == ("self-driven", 300, ["same-file"])
    assert report["metrics"]["psnr"] > 60
    assert report["lag_curve"]["lag_ms"][6] == 0
    assert report["lip_sync"] == {"not_measured": "no-checkpoint"}
    assert response.page.startswith(b"<!doctype html>")
    assert broken == (INVALID, "UNREADABLE_MEDIA", "generated_video")
    assert missing == (INVALID, "FILE_EMPTY", "generated_video")
