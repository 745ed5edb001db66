"""The models of the installation: fetched by jobs, and looked after. `train` is their one writer; the others read them.

It is the service that has jobs, a disk to write and no live answer to give, and of which one replica is enough.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path, PureWindowsPath
from typing import IO

import grpc
from visavis.jobs.v1 import jobs_pb2
from visavis.models.v1 import models_pb2, models_pb2_grpc

from models import catalogue
from models.bringing import Brought, bring
from models.errors import (
    BadArchive,
    InUse,
    ModelError,
    NoSpace,
    NothingNew,
    NotPulled,
    NotThere,
    UnknownModel,
    Unwritable,
    WrongBytes,
)
from models.folder import ModelFolder, State
from services.common import errors
from services.common.disk import require_space
from services.common.files import too_large, upload_folder
from services.common.jobs.servicer import JobKind
from services.common.jobs.store import Job, JobStore
from services.common.limits import too_many
from services.train.settings import TrainSettings

KIND = "model"
MOST_FILES = 1000  # of an import
MOST_NAME_BYTES = 200
_STATES = {
    State.MISSING: models_pb2.MODEL_STATE_MISSING,
    State.BEGUN: models_pb2.MODEL_STATE_BEGUN,
    State.WHOLE: models_pb2.MODEL_STATE_WHOLE,
    State.DAMAGED: models_pb2.MODEL_STATE_DAMAGED,
}
_ERRORS: dict[type[ModelError], type[errors.ServiceError]] = {
    UnknownModel: errors.NotFound,
    NotThere: errors.NotFound,
    NotPulled: errors.Unavailable,
    NoSpace: errors.StorageFull,
    InUse: errors.Conflict,
    NothingNew: errors.InvalidInput,
    WrongBytes: errors.InvalidInput,
    BadArchive: errors.InvalidInput,
}


@contextlib.contextmanager
def told(field: str = "") -> Iterator[None]:
    """What is wrong with a model or its folder, as an error of a service; `field` is the request's."""
    try:
        yield
    except ModelError as error:
        raise _told(error, field) from error
    except OSError as error:
        raise _told(Unwritable.because(error), field) from error


def _told(error: ModelError, field: str) -> errors.ServiceError:
    kind = _ERRORS.get(type(error), errors.Conflict)
    return kind(str(error), reason=error.reason, field=field, values=error.values)


class Pulls(JobKind):
    """What only the jobs that fetch models have."""

    name = KIND

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__()
        self._settings = settings

    def describe(self, job: Job, message: jobs_pb2.Job) -> None:
        """Tell which model it is."""
        message.pull.model = job.spec["model"]

    def can_resume(self, job: Job) -> bool:
        """Whether it has failed lately: what has come is kept beside the models."""
        return job.can_resume(self._settings.keep_failed_days)

    def require_resumable(self, job: Job) -> None:
        """It needs nothing but its sources."""

    def free(self, job: Job) -> None:
        """What has come stays, for the next pull; removing the model frees it."""

    def file(self, job: Job, file: int) -> tuple[str, str]:
        raise errors.NotFound("This job has no such file.", reason="FILE_NOT_FOUND", field="file")


class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """Lists, fetches, takes and removes models.

    Args:
        settings: say where uploads are put down, and how large they may be.
        describe: a job as a message.
        wake: called when a job was queued.
    """

    full_name = "visavis.models.v1.ModelService"

    def __init__(
        self,
        settings: TrainSettings,
        store: JobStore,
        pulls: Pulls,
        describe: Callable[[Job], jobs_pb2.Job],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store, self._pulls, self._describe, self._wake = store, pulls, describe, wake

    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""
        models_pb2_grpc.add_ModelServiceServicer_to_server(self, server)

    async def ListModels(self, request: models_pb2.ListModelsRequest, context: object) -> models_pb2.ListModelsResponse:
        return models_pb2.ListModelsResponse(models=await asyncio.to_thread(self._models, request.language))

    def _models(self, language: str) -> list[models_pb2.Model]:
        with told():
            known = catalogue.load()
        folder, pulling = ModelFolder.here(), self._pulling()
        return [_message(model, language, folder, pulling.get(model.name, "")) for model in known.values()]

    def _pulling(self) -> dict[str, str]:
        """The jobs that have not ended, by the model's name."""
        return {job.spec["model"]: job.id for job in self._store.active(KIND)}

    async def PullModel(self, request: models_pb2.PullModelRequest, context: object) -> models_pb2.PullModelResponse:
        job = await asyncio.to_thread(self._pull, request.name)
        self._wake()
        return models_pb2.PullModelResponse(job=job)

    def _pull(self, name: str) -> jobs_pb2.Job:
        with told("name"):
            model = catalogue.load()[name]
        with self._pulls.lock:
            job_id = self._pulling().get(model.name)
            job = self._store.get(job_id) if job_id else self._store.create(KIND, {"model": model.name})
        return self._describe(job)

    async def ImportModels(
        self, request_iterator: AsyncIterator[models_pb2.ImportModelsRequest], context: object
    ) -> models_pb2.ImportModelsResponse:
        with upload_folder(self._settings.work_folder) as folder:
            await _Receiving(folder, self._settings.max_upload_bytes).all(request_iterator)
            taken = await asyncio.to_thread(_taken, folder)
        models = [models_pb2.ImportedModel(name=one.model.name, missing_files=one.missing) for one in taken]
        return models_pb2.ImportModelsResponse(models=models)

    async def VerifyModel(
        self, request: models_pb2.VerifyModelRequest, context: object
    ) -> models_pb2.VerifyModelResponse:
        return models_pb2.VerifyModelResponse(wrong_files=await asyncio.to_thread(self._verify, request.name))

    def _verify(self, name: str) -> list[str]:
        with told("name"):
            model, folder = catalogue.load()[name], ModelFolder.here()
            if folder.state(model) in (State.MISSING, State.BEGUN):
                folder.get(model)
            return folder.verify(model)

    async def RemoveModel(
        self, request: models_pb2.RemoveModelRequest, context: object
    ) -> models_pb2.RemoveModelResponse:
        return models_pb2.RemoveModelResponse(freed_bytes=await asyncio.to_thread(self._remove, request.name))

    def _remove(self, name: str) -> int:
        with told("name"):
            return ModelFolder.here().remove(catalogue.load()[name])


def _taken(folder: Path) -> list[Brought]:
    with told("files"):
        return bring(folder, catalogue.load().values(), ModelFolder.here())


class _Receiving:
    """Puts the files of an import into a folder, each in one of its own, so that none replaces another.

    Args:
        most: bytes of all of them.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._count, self._bytes, self._left = 0, 0, 0
        self._file: IO[bytes] | None = None

    async def all(self, messages: AsyncIterator[models_pb2.ImportModelsRequest]) -> None:
        """Take everything that comes.

        Raises:
            InvalidInput: files are empty, not whole, too large or too many, or messages come in another order.
            StorageFull: there is no room.
        """
        try:
            async for message in messages:
                match message.WhichOneof("request"):
                    case "file":
                        self._begin(message.file)
                    case "data":
                        self._write(message.data)
                    case _:
                        raise errors.InvalidInput("A message was empty.", reason="EMPTY_MESSAGE")
            self._end()
        finally:
            if self._file:
                self._file.close()

    def _begin(self, told: models_pb2.ImportedFile) -> None:
        if self._file:
            self._end()
        self._count += 1
        self._bytes += told.size_bytes
        if self._count > MOST_FILES:
            raise too_many("files", self._count, MOST_FILES)
        if told.size_bytes <= 0:
            raise errors.InvalidInput("This file is empty. Choose another.", reason="FILE_EMPTY", field="files")
        if self._bytes > self._most:
            raise too_large(self._most, "files")
        require_space(self._folder, told.size_bytes)
        folder = self._folder / f"{self._count:04}"
        folder.mkdir()
        self._left = told.size_bytes
        self._file = (folder / _file_name(told.name)).open("wb")

    def _write(self, data: bytes) -> None:
        if not self._file:
            message = "A file's name and size must come before its bytes."
            raise errors.InvalidInput(message, reason="FILE_FIRST", field="file")
        self._left -= len(data)
        if self._left < 0:
            raise _not_as_told()
        self._file.write(data)

    def _end(self) -> None:
        if not self._file:
            raise errors.InvalidInput("This file is empty. Choose another.", reason="FILE_EMPTY", field="files")
        if self._left:
            raise _not_as_told()
        self._file.close()


def _file_name(told: str) -> str:
    """The last part of a path of either kind, as every disk takes it; archives are known by how it ends."""
    name = PureWindowsPath(told.replace("\0", "")).name.encode()[-MOST_NAME_BYTES:].decode(errors="ignore")
    return name if name.strip(".") else "file"


def _not_as_told() -> errors.InvalidInput:
    message = "Only a part of this file has come. Send it again."
    return errors.InvalidInput(message, reason="FILE_INCOMPLETE", field="files")


def _message(model: catalogue.Model, language: str, folder: ModelFolder, job_id: str) -> models_pb2.Model:
    return models_pb2.Model(
        name=model.name,
        purpose=model.purpose_in(language),
        size_bytes=model.size,
        licence=model.licence,
        languages=model.languages,
        homepage=model.homepage,
        state=_STATES[folder.state(model)],
        begun_bytes=folder.begun_bytes(model),
        is_recommended=model.recommended,
        job_id=job_id,
    )
