"""What a talking head needs of a recording is asked of the engine that the recording is brought for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from visavis.common.v1 import media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc

from services.train import engines
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings

HEADS = Path(__file__).resolve().parents[1] / "heads"
LONGEST_S = 120
Call = Callable[..., Any]


class TrainStub(train_pb2_grpc.TrainServiceStub):
    """The service's calls, and in `jobs` those about its jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests do not see the engines of this folder."""
    monkeypatch.setattr(engines, "__path__", list(engines.__path__))


@pytest.fixture
def trained(serving: Any, tmp_path: Path) -> Call:
    chosen = TrainSettings(
        port=0, storage_url=(tmp_path / "storage").as_uri(), database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work", engine_folder=HEADS,
    )  # fmt: skip

    def run(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def serve() -> Any:
            async with serving(TrainServicer(chosen), chosen) as channel:
                return await asyncio.wait_for(work(TrainStub(channel)), LONGEST_S)

        return asyncio.run(serve())

    return run


def brought(video: bytes, engine: str) -> list[train_pb2.UploadRecordingRequest]:
    config = train_pb2.RecordingConfig(file_name="clip.mp4", engine=engine)
    pieces = [video[at : at + 500_000] for at in range(0, len(video), 500_000)]
    Sent = train_pb2.UploadRecordingRequest
    return [Sent(config=config), *(Sent(data=piece) for piece in pieces)]


def test_an_engine_has_its_own_say_when_a_recording_comes(trained: Call, demo_clip: Path) -> None:
    recording = brought(demo_clip.read_bytes(), "cards")

    async def work(stub: Any) -> Any:
        return (await stub.UploadRecording(recording)).recording

    assert [warning.reason for warning in trained(work).warnings][-1] == "CARDS_FEW"


def test_nobody_brings_a_recording_for_an_engine_that_there_is_not(trained: Call) -> None:
    async def work(stub: Any) -> Any:
        await stub.UploadRecording(brought(b"anything", "none"))

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        trained(work)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_was_brought_for_another_engine_is_looked_at_by_the_one_that_trains(
    trained: Call, demo_clip: Path
) -> None:
    clip = brought(demo_clip.read_bytes(), "brisk")

    async def work(stub: Any) -> Any:
        recording = (await stub.UploadRecording(clip)).recording
        request = train_pb2.CreateTrainingRequest(
            recording_id=recording.id, name="Cards", engine="cards", consent=media_pb2.Consent(given_by="Ada L.")
        )
        job = (await stub.CreateTraining(request)).job
        async for reply in stub.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job.id)):
            training = reply.job
        return training

    training = trained(work)
    assert (training.state, training.training.engine) == (jobs_pb2.JOB_STATE_SUCCEEDED, "cards")
