"""The gRPC face of training. Loads no model: checks, trainings and measurements each have a process of their own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf.struct_pb2 import Struct
from visavis.common.v1 import error_pb2
from visavis.train.v1 import train_pb2, train_pb2_grpc

from services.common import hardware
from services.common.describe import service_info
from services.common.disk import forget_leftovers, require_space
from services.common.engine import Capability
from services.common.errors import InvalidInput, Unsupported
from services.common.files import receive_file, too_large
from services.common.hosting import Engines
from services.common.jobs import process
from services.common.jobs.runner import LocalRunner
from services.common.jobs.servicer import JobServicer
from services.common.jobs.store import JobStore
from services.common.recordings import Recordings
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.tidying import tidy
from services.common.times import duration
from services.train import engines
from services.train.engine import TrainEngine
from services.train.models import ModelServicer, Pulls
from services.train.settings import TrainSettings
from services.train.trainings import KIND, Trainings

PULLING_AT_ONCE = ["net:0", "net:1"]  # devices of their own: a download waits for no training
EXPIRE_EVERY_S = 3600.0
LEFTOVERS = ("upload-*", "evaluation-*")
VIDEOS = ("true_video", "generated_video")


class TrainServicer(Service, train_pb2_grpc.TrainServiceServicer):
    """Turns recordings into avatars."""

    full_name = "visavis.train.v1.TrainService"
    engine_package = engines
    engines: Engines[TrainEngine]

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._storage = Storage(settings.storage_url, settings.work_folder / "cache")
        self._store = JobStore(settings.database_url)
        self._recordings = Recordings(self._storage)
        self._trainings = Trainings(self._store, self._storage, self._recordings, self.engines, settings)
        devices = hardware.devices(settings.devices)
        self._runner = LocalRunner(self._store, KIND, "services.train.job", devices, settings)
        pulls = Pulls(settings)
        self._pulling = LocalRunner(self._store, pulls.name, "services.train.pull", PULLING_AT_ONCE, settings)
        kinds = {self._trainings: self._runner, pulls: self._pulling}
        self._jobs = JobServicer(self._store, self._storage, settings, kinds)
        self.beside = [
            self._jobs,
            ModelServicer(settings, self._store, pulls, self._jobs.describe, self._pulling.wake),
        ]
        self._checks = asyncio.Semaphore(settings.max_checks)
        self._expiring: asyncio.Task[None] | None = None

    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""
        train_pb2_grpc.add_TrainServiceServicer_to_server(self, server)

    def load(self) -> None:
        """Make sure that there is a place to work in."""
        super().load()
        self._settings.work_folder.mkdir(parents=True, exist_ok=True)

    async def start(self) -> None:
        """Begin taking jobs and forgetting what is kept too long."""
        self._runner.start()
        self._pulling.start()
        self._expiring = asyncio.create_task(tidy(self._expire, EXPIRE_EVERY_S))

    def _expire(self) -> int:
        left = sum(forget_leftovers(self._settings.work_folder, pattern) for pattern in LEFTOVERS)
        return left + self._trainings.expire()

    async def close(self) -> None:
        """Put running jobs back; they go on from their checkpoint."""
        if self._expiring:
            self._expiring.cancel()
        await asyncio.gather(self._runner.close(), self._pulling.close())
        self._store.close()
        await super().close()

    async def GetInfo(self, request: train_pb2.GetInfoRequest, context: object) -> train_pb2.GetInfoResponse:
        devices = hardware.devices(self._settings.devices)
        return train_pb2.GetInfoResponse(info=await asyncio.to_thread(service_info, self.engines, devices))

    async def UploadRecording(
        self, request_iterator: AsyncIterator[train_pb2.UploadRecordingRequest], context: object
    ) -> train_pb2.UploadRecordingResponse:
        config, messages = await open_stream(request_iterator)
        engine = config.engine or self.engines.default
        await asyncio.to_thread(self.engines.info, engine)  # nobody brings a recording for one that there is not
        with self._folder("upload-") as folder:
            path = Path(folder) / "recording"
            with path.open("wb") as file:
                limit = self._settings.max_upload_bytes
                await receive_file(self._with_room(messages), file, limit, "video", config.size_bytes)
            facts = await self._call("services.train.ingest", {"path": str(path), "engine": engine}, folder)
            facts["engine"] = engine
            recording_id = await asyncio.to_thread(self._recordings.add, path, facts)
        return train_pb2.UploadRecordingResponse(recording=_recording(recording_id, facts))

    def _folder(self, prefix: str) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self._settings.work_folder, prefix=prefix)

    async def _with_room(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for message in messages:
            require_space(self._settings.work_folder, len(message.data))
            yield message

    async def _call(self, module: str, spec: dict[str, Any], folder: str) -> dict[str, Any]:
        async with self._checks:
            return await process.call(module, spec, self._settings.model_dump(mode="json"), Path(folder))

    async def CreateTraining(
        self, request: train_pb2.CreateTrainingRequest, context: object
    ) -> train_pb2.CreateTrainingResponse:
        make = self._trainings.judge if request.validate_only else self._trainings.create
        job = await asyncio.to_thread(make, request)
        self._runner.wake()
        shown = await asyncio.to_thread(self._jobs.describe, job) if job else None
        return train_pb2.CreateTrainingResponse(job=shown)

    async def Evaluate(
        self, request_iterator: AsyncIterator[train_pb2.EvaluateRequest], context: object
    ) -> train_pb2.EvaluateResponse:
        config, messages = await open_stream(request_iterator)
        engine = await asyncio.to_thread(self._evaluator, config.engine)
        with self._folder("evaluation-") as folder:
            paths = {kind: Path(folder) / kind for kind in VIDEOS}
            with paths[VIDEOS[0]].open("wb") as true, paths[VIDEOS[1]].open("wb") as generated:
                await self._receive_both(messages, dict(zip(VIDEOS, (true, generated), strict=True)))
            page = Path(folder) / "report.html"
            spec = {kind: str(path) for kind, path in paths.items()}
            spec |= {"page": str(page) if config.page else "", "engine": engine}
            told = await self._call("services.train.evaluation", spec, folder)
            shown = await asyncio.to_thread(page.read_bytes) if config.page else b""
        report = Struct()
        report.update(told)
        return train_pb2.EvaluateResponse(report=report, page=shown)

    def _evaluator(self, name: str) -> str:
        """The engine that was asked to measure, or the first that can.

        Raises:
            InvalidInput: there is none of that name.
            Unsupported: it cannot, or none can.
        """
        told = [self.engines.info(name)] if name else [each.info for each in self.engines.describe()]
        able = [info.name for info in told if Capability.EVALUATION in info.capabilities]
        if not able:
            message = "This engine measures no videos. Leave it out, or name one that does."
            raise Unsupported(message, reason="NO_EVALUATION", field="config.engine")
        return able[0]

    async def _receive_both(self, messages: AsyncIterator[Any], files: dict[str, IO[bytes]]) -> None:
        sizes = dict.fromkeys(files, 0)
        async for message in messages:
            kind = message.WhichOneof("request")
            data = getattr(message, kind)
            sizes[kind] += len(data)
            if sizes[kind] > self._settings.max_upload_bytes:
                raise too_large(self._settings.max_upload_bytes, kind)
            require_space(self._settings.work_folder, len(data))
            files[kind].write(data)
        for kind, size in sizes.items():
            if not size:
                raise InvalidInput("This file is empty. Choose another.", reason="FILE_EMPTY", field=kind)


def _recording(recording_id: str, facts: dict[str, Any]) -> train_pb2.Recording:
    return train_pb2.Recording(
        id=recording_id,
        duration=duration(facts["duration_s"]),
        width=facts["width"],
        height=facts["height"],
        fps=facts["fps"],
        is_photo=facts.get("kind") == "photo",
        warnings=[error_pb2.Error(**warning) for warning in facts["warnings"]],
    )
