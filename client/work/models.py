"""The models of the installation, as the service that keeps them tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from visavis.models.v1 import models_pb2

from client.wire.errors import translate
from client.wire.files import MOST_FILE_NAME, chunks, size_of
from client.wire.services import Services
from client.work import jobs
from client.work.jobs import Job

TIMEOUT_S = 10
READ_TIMEOUT_S = 600  # all of a model is read
IMPORT_TIMEOUT_S = 3600
_STATES = {
    models_pb2.MODEL_STATE_MISSING: "missing",
    models_pb2.MODEL_STATE_BEGUN: "begun",
    models_pb2.MODEL_STATE_WHOLE: "whole",
    models_pb2.MODEL_STATE_DAMAGED: "damaged",
}


@dataclass(frozen=True)
class Model:
    """What engines load, and how it stands: "missing", "begun", "whole" or "damaged"."""

    name: str
    purpose: str
    size_bytes: int
    licence: str
    languages: tuple[str, ...]  # BCP 47; none where language does not matter
    homepage: str
    state: str
    begun_bytes: int  # of an unfinished pull
    is_recommended: bool
    job_id: str | None  # of the job that fetches it


def all_models(services: Services, language: str = "") -> list[Model]:
    """The models that are known, what they are for told in a language (BCP 47)."""
    with translate():
        reply = services.models.ListModels(models_pb2.ListModelsRequest(language=language), timeout=TIMEOUT_S)
    return [_model(model) for model in reply.models]


def _model(message: models_pb2.Model) -> Model:
    return Model(
        name=message.name,
        purpose=message.purpose,
        size_bytes=message.size_bytes,
        licence=message.licence,
        languages=tuple(message.languages),
        homepage=message.homepage,
        state=_STATES[message.state],
        begun_bytes=message.begun_bytes,
        is_recommended=message.is_recommended,
        job_id=message.job_id or None,
    )


def pull(services: Services, name: str) -> Job:
    """Begin to fetch a model, or the job that does already.

    Raises:
        CallError: there is no such model.
    """
    with translate():
        reply = services.models.PullModel(models_pb2.PullModelRequest(name=name), timeout=TIMEOUT_S)
    return jobs.from_message(reply.job)


@dataclass(frozen=True)
class Imported:
    """A model of which an import took something."""

    name: str
    missing_files: tuple[str, ...]  # none when it is whole


def bring(services: Services, files: Iterable[tuple[str, IO[bytes]]]) -> list[Imported]:
    """Bring files at hand, by name and seekable; the models of which they were.

    Raises:
        CallError: nothing in them is needed, they are damaged, or there is no room.
    """
    with translate():
        reply = services.models.ImportModels(_import(files), timeout=IMPORT_TIMEOUT_S)
    return [Imported(model.name, tuple(model.missing_files)) for model in reply.models]


def _import(files: Iterable[tuple[str, IO[bytes]]]) -> Iterator[models_pb2.ImportModelsRequest]:
    for name, file in files:
        told = models_pb2.ImportedFile(name=name[-MOST_FILE_NAME:], size_bytes=size_of(file))
        yield models_pb2.ImportModelsRequest(file=told)
        for data in chunks(file):
            yield models_pb2.ImportModelsRequest(data=data)


def verify(services: Services, name: str) -> list[str]:
    """Read all of a model; its files that are missing or wrong.

    Raises:
        CallError: there is no such model, or it is not here.
    """
    with translate():
        reply = services.models.VerifyModel(models_pb2.VerifyModelRequest(name=name), timeout=READ_TIMEOUT_S)
    return list(reply.wrong_files)


def remove(services: Services, name: str) -> int:
    """Delete a model, and what an unfinished pull has of it; how many bytes that frees.

    Raises:
        CallError: there is no such model, or it is being fetched.
    """
    with translate():
        reply = services.models.RemoveModel(models_pb2.RemoveModelRequest(name=name), timeout=TIMEOUT_S)
    return reply.freed_bytes
