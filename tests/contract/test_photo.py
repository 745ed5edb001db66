"""A photo through the training service to an avatar, and that avatar speaking through the rendering service."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
from google.protobuf.json_format import MessageToDict
from visavis.common.v1 import info_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc

from services.common.storage import Storage
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings

NAME = "Vera’s photo"
TINY = [info_pb2.ParameterValue(name="size", integer=192), info_pb2.ParameterValue(name="loop_seconds", number=2)]
Upload, Live = train_pb2.UploadRecordingRequest, render_pb2.StreamingRenderRequest


def folders(tmp_path: Path, room: str) -> dict[str, Any]:
    """Settings of a service: storage is shared, the rest its own."""
    return {
        "port": 0, "storage_url": (tmp_path / "storage").as_uri(), "work_folder": tmp_path / room,
        "database_url": f"sqlite:///{tmp_path / room}.sqlite",
    }  # fmt: skip


async def trained(channel: grpc.aio.Channel, photo: bytes) -> tuple[Any, Any]:
    stub, jobs = train_pb2_grpc.TrainServiceStub(channel), jobs_pb2_grpc.JobServiceStub(channel)
    config = train_pb2.RecordingConfig(file_name="vera.png")
    recording = (await stub.UploadRecording([Upload(config=config), Upload(data=photo)])).recording
    request = train_pb2.CreateTrainingRequest(
        recording_id=recording.id, name=NAME, consent=media_pb2.Consent(given_by="Nobody: drawn"), voice="alto",
        parameters=TINY,
    )  # fmt: skip
    job = (await stub.CreateTraining(request)).job
    async for reply in jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job.id), timeout=1800):
        training = reply.job
    return recording, training


async def spoken(stub: render_pb2_grpc.RenderServiceStub, pcm: bytes) -> tuple[Any, bytes]:
    avatar = (await stub.GetAvatar(render_pb2.GetAvatarRequest(name=NAME))).avatar
    config = render_pb2.StreamingRenderConfig(avatar=NAME, sample_rate_hertz=16_000)
    requests = [Live(config=config), *(Live(audio=pcm[at : at + 8192]) for at in range(0, len(pcm), 8192))]
    replies = [r async for r in stub.StreamingRender(requests)]
    return avatar, b"".join(r.header.init_segment + r.fragment.data for r in replies)


def test_a_photo_becomes_an_avatar_that_speaks(serving: Any, tmp_path: Path, demo_photo: Path) -> None:
    train = TrainSettings(**folders(tmp_path, "train"), devices=["cpu"], threads=1)
    render = RenderSettings(**folders(tmp_path, "render"), starter_avatars=tmp_path / "none")
    photo = demo_photo.read_bytes()
    pcm = (np.sin(np.arange(16_000) * 0.055) * 9000).astype("<i2").tobytes()

    async def work() -> tuple[Any, ...]:
        async with serving(TrainServicer(train), train) as channel:
            made = await trained(channel, photo)
        async with serving(RenderServicer(render), render) as channel:
            return *made, *await spoken(render_pb2_grpc.RenderServiceStub(channel), pcm)

    recording, training, avatar, movie = asyncio.run(work())
    assert (recording.is_photo, recording.width, recording.height) == (True, 400, 480)
    assert training.state == jobs_pb2.JOB_STATE_SUCCEEDED, training.error
    report = MessageToDict(training.training.report)
    assert (report["kind"], report["metrics"], report["baselines"]) == ("photo", {}, {})
    assert (avatar.voice, avatar.width) == ("alto", 192)
    assert render_pb2.AVATAR_FILE_IDLE in avatar.files
    manifest = json.loads(Storage(train.storage_url, tmp_path / "cache").read(f"avatars/{NAME}/avatar.json"))
    assert manifest["consent"]["given_by"] == "Nobody: drawn" and manifest["statement"]
    assert manifest["provenance"]["kind"] == "photo" and "duration_s" not in manifest["provenance"]
    with av.open(io.BytesIO(movie)) as container:
        assert json.loads(container.metadata["AIGC"])["Label"] == "1"
        assert len(list(container.decode(video=0))) == 25
