"""The avatars in storage, described by the avatar.json that training left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from google.protobuf.struct_pb2 import Struct
from pydantic import BaseModel, BeforeValidator, Field
from visavis.common.v1 import media_pb2
from visavis.render.v1 import render_pb2

from services.common import limits, pages
from services.common.describe import error_message
from services.common.errors import Conflict, InvalidInput, NotFound
from services.common.names import checked_name
from services.common.shelf import Shelf
from services.common.storage import Storage
from services.common.times import timestamp

FOLDER, MANIFEST = "avatars", "avatar.json"
TRAININGS = "trainings"  # where training keeps its previews, which show the person too
FILES = {
    render_pb2.AVATAR_FILE_THUMBNAIL: ("thumbnail.jpg", "thumbnail.png"),
    render_pb2.AVATAR_FILE_IDLE: ("idle.mp4",),
    render_pb2.AVATAR_FILE_COMPARISON: ("comparison.jpg", "comparison.png"),
    render_pb2.AVATAR_FILE_TRANSCRIPT: ("transcript.vtt",),
    render_pb2.AVATAR_FILE_REPORT: ("report.html",),
}
NOT_REPORT = ("consent", "format")
MOST_REPORT_BYTES = 512 * 1024
_TRAINING_ID = re.compile(rb'"training_id":\s*"(training-[0-9a-f]+)"')

Moment = Annotated[datetime | None, BeforeValidator(lambda given: given or None)]
Pixels = Annotated[int, Field(ge=0, le=16_384)]


class _Consent(BaseModel):
    given_by: str = ""
    time: Moment = None


class _Manifest(BaseModel):
    """What of an avatar.json the house itself relies on; the rest of it is the report card."""

    engine: str = Field(min_length=1)
    size: Pixels = 0
    width: Pixels | None = None
    height: Pixels | None = None
    fps: float = Field(25, gt=0, le=1000)
    voice: str = ""
    consent: _Consent = _Consent()
    created_at: Moment = None


class Avatars:
    """Finds, describes and forgets avatars."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._shelf = Shelf(storage, FOLDER, MANIFEST)

    def list(self, after: str | None = None) -> Iterator[render_pb2.Avatar]:
        """All behind a name, by name, damaged ones too."""
        for name in pages.after(self._shelf.names(), after):
            try:
                yield self.describe(name)
            except NotFound:
                continue  # being made, or being forgotten

    def find(self, name: str, field: str = "avatar") -> tuple[str, dict[str, Any]]:
        """An avatar's name as it is stored, and its manifest.

        Raises:
            NotFound: there is none of that name.
            Conflict: its files are damaged.
        """
        name, manifest, _ = self._read(name, field)
        return name, manifest

    def _read(self, name: str, field: str) -> tuple[str, dict[str, Any], _Manifest]:
        name = self._spelled(name, field)
        try:
            manifest = self._shelf.read(name)
            return name, manifest, _Manifest.model_validate(manifest)
        except FileNotFoundError as error:
            raise _missing(field) from error
        except ValueError as error:
            raise _damaged(name, field) from error

    @staticmethod
    def _spelled(name: str, field: str) -> str:
        try:
            return checked_name(name, field)
        except InvalidInput as error:
            raise _missing(field) from error

    def describe(self, name: str) -> render_pb2.Avatar:
        """An avatar as a message; of a damaged one, its name and what is wrong.

        Raises:
            NotFound: there is none of that name.
        """
        try:
            return self._described(*self._read(name, "name"))
        except Conflict as error:
            return render_pb2.Avatar(name=self._spelled(name, "name"), error=error_message(error))

    def _described(self, name: str, manifest: dict[str, Any], told: _Manifest) -> render_pb2.Avatar:
        return render_pb2.Avatar(
            name=name,
            engine=told.engine,
            width=told.width or told.size,
            height=told.height or told.size,
            fps=told.fps,
            voice=told.voice,
            consent=media_pb2.Consent(given_by=told.consent.given_by, time=_moment(told.consent.time)),
            create_time=_moment(told.created_at),
            report=_report({key: value for key, value in manifest.items() if key not in NOT_REPORT}),
            files=[kind for kind in FILES if self._key(name, kind)],
        )

    def file(self, name: str, kind: int) -> tuple[str, str]:
        """The storage key of one of an avatar's files, and a name to offer when it is saved.

        Raises:
            NotFound: the avatar or the file does not exist.
        """
        name, _ = self.find(name, "name")
        if not (key := self._key(name, kind)):
            raise NotFound("This avatar has no such file.", reason="FILE_NOT_FOUND", field="file")
        return key, f"{name}-{Path(key).name}"

    def folder(self, name: str) -> Path:
        """An avatar's files on this machine."""
        return self._storage.local_folder(f"{FOLDER}/{name}", MANIFEST)

    def stored(self, name: str) -> str:
        """The name, as it is stored, of an avatar that can be forgotten, damaged or not.

        Raises:
            NotFound: there is none of that name.
        """
        return self.describe(name).name

    def delete(self, name: str) -> None:
        """Forget an avatar, damaged or not, and the previews of its training."""
        name = self.stored(name)
        key = f"{FOLDER}/{name}/{MANIFEST}"
        manifest = self._storage.read(key) if self._storage.exists(key) else b""
        if training := _TRAINING_ID.search(manifest):  # of a damaged one, too, as far as it can be read
            self._storage.delete_folder(f"{TRAININGS}/{training[1].decode()}")
        self._storage.delete_folder(f"{FOLDER}/{name}", MANIFEST)

    def _key(self, name: str, kind: int) -> str:
        keys = (f"{FOLDER}/{name}/{file}" for file in FILES.get(kind, ()))
        return next((key for key in keys if self._storage.exists(key)), "")


def _report(card: dict[str, Any]) -> Struct:
    """The report card; of one that no list could carry, what is short in it."""
    report = Struct()
    report.update(card)
    if report.ByteSize() > MOST_REPORT_BYTES:
        report = Struct()
        report.update({key: value for key, value in card.items() if len(str(value)) <= limits.MOST_CHARACTERS})
    return report


def _moment(time: datetime | None) -> Any:
    return timestamp(time.isoformat() if time else "")


def _missing(field: str) -> NotFound:
    message = "There is no avatar of that name. Choose one from the list, or train it first."
    return NotFound(message, reason="AVATAR_NOT_FOUND", field=field)


def _damaged(name: str, field: str) -> Conflict:
    message = f"The files of the avatar '{name}' are damaged. Delete it and train it again."
    return Conflict(message, reason="AVATAR_DAMAGED", field=field, values={"name": name})
