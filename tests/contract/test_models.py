"""Models through the service that keeps them, called as its callers call it: jobs fetch them from a real web server."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.models.v1 import models_pb2, models_pb2_grpc

from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings
from tests.model_server import ModelServer, running_model_server
from tests.unit.models.conftest import CONTENTS, until, write_catalogue

WHOLE, MISSING = models_pb2.MODEL_STATE_WHOLE, models_pb2.MODEL_STATE_MISSING
SIZE = sum(map(len, CONTENTS.values()))
LONGEST_S = 120  # only ends what would hang


class Stub(models_pb2_grpc.ModelServiceStub):
    """The calls about models, and in `jobs` those about jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)

    async def pull(self, name: str = "little") -> jobs_pb2.Job:
        return (await self.PullModel(models_pb2.PullModelRequest(name=name))).job

    async def model(self, language: str = "") -> models_pb2.Model:
        listed = await self.ListModels(models_pb2.ListModelsRequest(language=language))
        return next(one for one in listed.models if one.name == "little")

    async def end_of(self, job: jobs_pb2.Job) -> jobs_pb2.Job:
        async for reply in self.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job.id), timeout=LONGEST_S):
            job = reply.job
        return job


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server that has the model `little`."""
    with running_model_server() as says:
        says.files = {f"/owner/name/resolve/main/{path}": data for path, data in CONTENTS.items()}
        yield says


@pytest.fixture
def folder(tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models."""
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path / "models"))
    monkeypatch.setenv("VISAVIS_MODELS_CATALOGUE", str(write_catalogue(tmp_path / "own.toml")))
    monkeypatch.setenv("VISAVIS_MODELS_HUGGINGFACE_URL", server.url)
    return tmp_path / "models"


@pytest.fixture
def call(serving: Any, folder: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run one coroutine function with a stub of a fresh service."""
    settings = TrainSettings(
        port=0,
        storage_url=(tmp_path / "storage").as_uri(),
        database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work",
        devices=["cpu"],
    )

    def run(work: Callable[[Stub], Awaitable[Any]]) -> Any:
        async def serve() -> Any:
            async with serving(TrainServicer(settings), settings) as channel:
                return await asyncio.wait_for(work(Stub(channel)), LONGEST_S)

        return asyncio.run(serve())

    return run


def brought(*files: tuple[str, int, bytes]) -> Any:
    """The messages of an import: of each file its name, the size that is told, and its bytes in two pieces."""
    Request = models_pb2.ImportModelsRequest
    for name, size, data in files:
        yield Request(file=models_pb2.ImportedFile(name=name, size_bytes=size))
        yield from (Request(data=piece) for piece in (data[:400_000], data[400_000:]) if piece)


def whole(*names: str) -> list[tuple[str, int, bytes]]:
    return [(f"stick\\deep/{name}", len(CONTENTS[name]), CONTENTS[name]) for name in names or CONTENTS]


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


async def until_begun(folder: Path, server: ModelServer) -> None:
    assert await asyncio.to_thread(server.stalled.wait, LONGEST_S)
    await asyncio.to_thread(until, lambda: any(path.stat().st_size > 300_000 for path in folder.rglob("*")))


def test_a_model_is_listed_fetched_verified_and_removed(call: Callable[..., Any], folder: Path) -> None:
    async def work(stub: Stub) -> None:
        before = await stub.model("zh-CN")
        assert (before.state, before.size_bytes, before.licence, before.purpose) == (MISSING, SIZE, "MIT", "Tests.")
        job = await stub.end_of(await stub.pull())
        assert (job.state, job.pull.model, job.progress) == (jobs_pb2.JOB_STATE_SUCCEEDED, "little", 1.0), job.error
        assert job.id.startswith("model-")
        assert (await stub.model()).state == WHOLE
        assert not (await stub.VerifyModel(models_pb2.VerifyModelRequest(name="little"))).wrong_files
        (folder / "little" / "config.json").write_bytes(b'{"layers": 3}')
        found = await stub.VerifyModel(models_pb2.VerifyModelRequest(name="little"))
        assert found.wrong_files == ["config.json"]
        assert (await stub.model()).state == models_pb2.MODEL_STATE_DAMAGED
        assert (await stub.end_of(await stub.pull())).state == jobs_pb2.JOB_STATE_SUCCEEDED
        assert (await stub.RemoveModel(models_pb2.RemoveModelRequest(name="little"))).freed_bytes >= SIZE
        assert (await stub.model()).state == MISSING
        listed = await stub.jobs.ListJobs(jobs_pb2.ListJobsRequest())
        assert [one.pull.model for one in listed.jobs] == ["little", "little"]
        await stub.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=job.id))

    call(work)


def test_a_pull_is_cancelled_and_the_next_goes_on(call: Callable[..., Any], folder: Path, server: ModelServer) -> None:
    server.stall_after = 400_000

    async def work(stub: Stub) -> None:
        job = await stub.pull()
        await until_begun(folder, server)
        assert (await stub.pull()).id == job.id == (await stub.model()).job_id, "one pull for all who ask"
        removing = stub.RemoveModel(models_pb2.RemoveModelRequest(name="little"))
        assert await refused(removing) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_BEING_PULLED", "name")
        await stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job.id))
        assert (await stub.end_of(job)).state == jobs_pb2.JOB_STATE_CANCELLED
        model = await stub.model()
        assert model.state == models_pb2.MODEL_STATE_BEGUN and model.begun_bytes >= 300_000 and not model.job_id
        server.stall_after = None
        assert (await stub.end_of(await stub.pull())).state == jobs_pb2.JOB_STATE_SUCCEEDED
        assert (await stub.model()).state == WHOLE

    call(work)
    asked = [wanted for path, wanted in server.asked if path.endswith("model.bin")]
    assert asked[0] == "" and int(asked[1][6:-1]) >= 300_000


def test_a_service_that_ends_meanwhile_goes_on_when_it_is_back(
    call: Callable[..., Any], folder: Path, server: ModelServer
) -> None:
    server.stall_after = 400_000

    async def begin(stub: Stub) -> jobs_pb2.Job:
        job = await stub.pull()
        await until_begun(folder, server)
        return job

    job = call(begin)
    server.stall_after = None
    assert not (folder / "little").exists()
    assert call(lambda stub: stub.end_of(job)).state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert (folder / "little" / "model.bin").read_bytes() == CONTENTS["model.bin"]


def test_a_pull_that_fails_tells_why_and_can_be_resumed(call: Callable[..., Any], server: ModelServer) -> None:
    files, server.files = server.files, {}

    async def work(stub: Stub) -> None:
        job = await stub.end_of(await stub.pull())
        assert (job.state, job.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "MODEL_NOT_PULLED")
        assert "owner/name does not have it (HTTP 404)" in job.error.message and job.can_resume
        server.files = files
        await stub.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=job.id))
        assert (await stub.end_of(job)).state == jobs_pb2.JOB_STATE_SUCCEEDED

    call(work)


def test_what_is_not_there_is_told_with_the_field(call: Callable[..., Any]) -> None:
    async def work(stub: Stub) -> None:
        unknown = grpc.StatusCode.NOT_FOUND, "MODEL_UNKNOWN", "name"
        assert await refused(stub.PullModel(models_pb2.PullModelRequest(name="nonsense"))) == unknown
        assert await refused(stub.VerifyModel(models_pb2.VerifyModelRequest(name="nonsense"))) == unknown
        assert await refused(stub.RemoveModel(models_pb2.RemoveModelRequest(name=""))) == unknown
        missing = grpc.StatusCode.NOT_FOUND, "MODEL_MISSING", "name"
        assert await refused(stub.VerifyModel(models_pb2.VerifyModelRequest(name="little"))) == missing

    call(work)


def test_a_wrong_catalogue_is_told(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[little]")
    wrong = grpc.StatusCode.FAILED_PRECONDITION, "MODEL_CATALOGUE_WRONG", ""
    assert call(lambda stub: refused(stub.ListModels(models_pb2.ListModelsRequest()))) == wrong


def test_a_folder_that_cannot_be_written_is_told(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path / "file" / "models"))

    async def work(stub: Stub) -> None:
        job = await stub.end_of(await stub.pull())
        assert job.error.reason == "MODEL_FOLDER_UNWRITABLE" and "Not a directory" in job.error.message
        removing = stub.RemoveModel(models_pb2.RemoveModelRequest(name="little"))
        assert (await refused(removing))[1:] == ("MODEL_FOLDER_UNWRITABLE", "name")

    call(work)


def test_files_at_hand_are_taken_and_what_is_missing_is_told(call: Callable[..., Any], folder: Path) -> None:
    async def work(stub: Stub) -> None:
        first = await stub.ImportModels(brought(*whole("model.bin"), ("notes.txt", 5, b"hello")))
        assert [(one.name, list(one.missing_files)) for one in first.models] == [
            ("little", ["config.json", "words/vocabulary.txt"])
        ]
        rest = await stub.ImportModels(brought(*whole("config.json", "words/vocabulary.txt")))
        assert [(one.name, list(one.missing_files)) for one in rest.models] == [("little", [])]
        assert (await stub.model()).state == WHOLE

    call(work)
    assert {path: (folder / "little" / path).read_bytes() for path in CONTENTS} == CONTENTS


def test_an_archive_at_hand_is_looked_into(call: Callable[..., Any], folder: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in CONTENTS.items():
            archive.writestr(f"any/{path}", data)
    data = packed.getvalue()
    call(lambda stub: stub.ImportModels(brought(("little.zip", len(data), data))))
    assert (folder / "little" / "model.bin").read_bytes() == CONTENTS["model.bin"]


@pytest.mark.parametrize("name", ["", "..", "C:\\", "../../model.bin", "a\0b", "\u5b57" * 200])
def test_a_file_may_have_any_name(call: Callable[..., Any], folder: Path, name: str) -> None:
    data = CONTENTS["model.bin"]
    reply = call(lambda stub: stub.ImportModels(brought((name, len(data), data))))
    assert [one.name for one in reply.models] == ["little"]


DATA = CONTENTS["model.bin"]


@pytest.mark.parametrize(
    ("files", "reason", "field"),
    [
        ([("holiday.jpg", 3, b"abc")], "MODEL_NOTHING_NEW", "files"),
        ([("model.bin", len(DATA), bytes(len(DATA)))], "MODEL_WRONG_BYTES", "files"),
        ([("model.zip", 3, b"abc")], "MODEL_BAD_ARCHIVE", "files"),
        ([("model.bin", len(DATA), DATA[:-1])], "FILE_INCOMPLETE", "files"),
        ([("model.bin", len(DATA) - 1, DATA)], "FILE_INCOMPLETE", "files"),
        ([("model.bin", 0, b"")], "FILE_EMPTY", "files"),
        ([], "FILE_EMPTY", "files"),
        ([("model.bin", 2**40, b"")], "FILE_TOO_LARGE", "files"),
        ([("a", 1, b"a")] * 1001, "TOO_MANY_ENTRIES", "files"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_leaves_nothing(
    call: Callable[..., Any], folder: Path, tmp_path: Path, files: list[Any], reason: str, field: str
) -> None:
    async def work(stub: Stub) -> None:
        told = await refused(stub.ImportModels(brought(*files)))
        assert told == (grpc.StatusCode.INVALID_ARGUMENT, reason, field)
        assert (await stub.model()).state == MISSING

    call(work)
    assert not list((tmp_path / "work").glob("upload-*"))


def test_an_import_says_which_file_comes_before_its_bytes(call: Callable[..., Any]) -> None:
    async def work(stub: Stub) -> None:
        for message, reason in [({"data": b"x"}, "FILE_FIRST"), ({}, "EMPTY_MESSAGE")]:
            told = await refused(stub.ImportModels(iter([models_pb2.ImportModelsRequest(**message)])))
            assert told[:2] == (grpc.StatusCode.INVALID_ARGUMENT, reason)

    call(work)
