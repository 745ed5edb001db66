"""`avatars/` in storage: the one owner of its paths and of its manifest.

`avatars/<name>/` holds what an engine left, and `avatar.json`, which is written last and deleted first. What a training
shows while there is no avatar yet, the latest preview, lies in `trainings/<id>/`; it shows the person too, and goes
with the avatar.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from services.common import pages
from services.common.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from services.common.names import checked_name
from services.common.shelf import Shelf
from services.common.storage import Storage

FOLDER, MANIFEST = "avatars", "avatar.json"
TRACES, PREVIEW, TRANSCRIPT = "trainings", "preview.jpg", "transcript.vtt"
STATEMENT = "A synthetic likeness made with consent. What it is made to say, the person did not say."
_TRAINING_ID = re.compile(rb'"training_id":\s*"(training-[0-9a-f]+)"')

Moment = Annotated[datetime | None, BeforeValidator(lambda given: given or None)]
Pixels = Annotated[int, Field(ge=0, le=16_384)]


class File(Enum):
    """A file of an avatar, by the names that it may have."""

    THUMBNAIL = ("thumbnail.jpg", "thumbnail.png")
    IDLE = ("idle.mp4",)
    COMPARISON = ("comparison.jpg", "comparison.png")
    TRANSCRIPT = (TRANSCRIPT,)
    REPORT = ("report.html",)


class Consent(BaseModel):
    """Who allowed it, and when."""

    given_by: str = ""
    time: Moment = None


class Manifest(BaseModel):
    """What of an avatar.json the house itself relies on. What it lacks in older ones has a default."""

    engine: str = Field(min_length=1)
    size: Pixels = 0
    width: Pixels | None = None
    height: Pixels | None = None
    fps: float = Field(25, gt=0, le=1000)
    voice: str = ""
    consent: Consent = Consent()
    created_at: Moment = None


@dataclass(frozen=True)
class Avatar:
    """An avatar in storage.

    Attributes:
        name: as it is stored.
        manifest: what the house relies on.
        card: the whole avatar.json, most of which only readers of its report know.
    """

    name: str
    manifest: Manifest
    card: dict[str, Any]

    @property
    def edition(self) -> str:
        """Tells it from one of the same name that was trained before or after it."""
        return str(self.card.get("created_at"))


@dataclass(frozen=True)
class Origin:
    """Where an avatar comes from: what training writes into the manifest that the engine left.

    Attributes:
        version: of the engine.
        voice: its name, or empty.
        consent: given_by and time.
        provenance: of the recording; what is not known of it is left out.
        parameters: with which the engine trained, by name.
        report: what the engine tells of the avatar; of it, `metrics` and `baselines` are told at the top too.
    """

    training_id: str
    engine: str
    version: str
    voice: str
    consent: dict[str, str]
    provenance: dict[str, Any]
    parameters: dict[str, Any]
    report: dict[str, Any]


class Avatars:
    """Finds, keeps and forgets avatars, and what shows of them before there are any."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._shelf = Shelf(storage, FOLDER, MANIFEST)

    def names(self, after: str | None = None) -> list[str]:
        """Of all behind one, in order, damaged ones and those that are being stored too."""
        return [*pages.after(self._shelf.names(), after)]

    def find(self, name: str, field: str = "avatar") -> Avatar:
        """An avatar that can be used.

        Raises:
            NotFound: there is none of that name.
            Conflict: its files are damaged.
        """
        name = self.spelled(name, field)
        try:
            card = self._shelf.read(name)
            return Avatar(name, Manifest.model_validate(card), card)
        except FileNotFoundError as error:
            raise _missing(field) from error
        except ValueError as error:
            raise _damaged(name, field) from error

    @staticmethod
    def spelled(name: str, field: str) -> str:
        """A name as it would be stored.

        Raises:
            NotFound: nothing can have that name.
        """
        try:
            return checked_name(name, field)
        except InvalidInput as error:
            raise _missing(field) from error

    def is_taken(self, name: str) -> bool:
        """Whether there is an avatar of that name, damaged or not."""
        return self._storage.exists(f"{FOLDER}/{name}/{MANIFEST}")

    def made_by(self, training_id: str, name: str) -> Avatar | None:
        """The avatar of that name, if it is this training's."""
        try:
            avatar = self.find(name)
        except (NotFound, Conflict):
            return None
        return avatar if avatar.card.get("training_id") == training_id else None

    def folder(self, name: str) -> Path:
        """An avatar's files on this machine."""
        return self._storage.local_folder(f"{FOLDER}/{name}", MANIFEST)

    def file(self, name: str, file: File) -> str:
        """The storage key of one of an avatar's files; empty when it has none."""
        keys = (f"{FOLDER}/{name}/{one}" for one in file.value)
        return next((key for key in keys if self._storage.exists(key)), "")

    def loop(self, name: str, digest: str) -> str:
        """The storage key of the idle loop that is drawn as a digest says."""
        return f"{FOLDER}/{name}/idle-{digest}.mp4"

    def keep(self, name: str, folder: Path) -> None:
        """Store what is complete.

        Raises:
            AlreadyExists: the name is taken.
            StorageFull: there is no room for it.
        """
        if self.is_taken(name):
            raise name_taken()
        self._storage.delete_folder(f"{FOLDER}/{name}")  # the rest of an attempt that was killed while storing
        self._storage.require_space(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
        self._storage.put_folder(folder, f"{FOLDER}/{name}", MANIFEST)

    def forget(self, name: str) -> None:
        """Forget an avatar, damaged or not, and what its training showed.

        Raises:
            NotFound: there is none of that name.
        """
        name = self.known(name)
        key = f"{FOLDER}/{name}/{MANIFEST}"
        manifest = self._storage.read(key) if self._storage.exists(key) else b""
        if training := _TRAINING_ID.search(manifest):  # of a damaged one, too, as far as it can be read
            self.forget_traces(training[1].decode())
        self._storage.delete_folder(f"{FOLDER}/{name}", MANIFEST)

    def known(self, name: str) -> str:
        """The name, as it is stored, of an avatar that can be forgotten, damaged or not.

        Raises:
            NotFound: there is none of that name.
        """
        try:
            return self.find(name, "name").name
        except Conflict:
            return self.spelled(name, "name")

    def traces(self) -> list[str]:
        """The ids of the trainings that show something."""
        return self._storage.folders(TRACES)

    def preview(self, training_id: str) -> str:
        """The storage key of the latest preview of a training, whether there is one or not."""
        return f"{TRACES}/{training_id}/{PREVIEW}"

    def show(self, training_id: str, picture: bytes) -> None:
        """Put a new preview (JPEG) in the place of the latest one."""
        self._storage.write(self.preview(training_id), picture)

    def forget_traces(self, training_id: str) -> None:
        """Forget what a training showed."""
        self._storage.delete_folder(f"{TRACES}/{training_id}")


def complete(folder: Path, origin: Origin) -> dict[str, Any]:
    """Write where an avatar comes from into the manifest that its engine left in a local folder; returns all of it."""
    path = folder / MANIFEST
    own = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    card: dict[str, Any] = _finite(
        own
        | asdict(origin)
        | {
            "metrics": origin.report.get("metrics", {}),
            "baselines": origin.report.get("baselines", {}),
            "visavis": version("visavis"),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "statement": STATEMENT,
        }
    )
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
    return card


def name_taken() -> AlreadyExists:
    """The error for a name that an avatar has, or will have."""
    message = "There is an avatar of that name already, or one in the making. Choose another name."
    return AlreadyExists(message, reason="NAME_TAKEN", field="name")


def _finite(value: Any) -> Any:
    """JSON as everyone can read it: numbers that are none become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _missing(field: str) -> NotFound:
    message = "There is no avatar of that name. Choose one from the list, or train it first."
    return NotFound(message, reason="AVATAR_NOT_FOUND", field=field)


def _damaged(name: str, field: str) -> Conflict:
    message = f"The files of the avatar '{name}' are damaged. Delete it and train it again."
    return Conflict(message, reason="AVATAR_DAMAGED", field=field, values={"name": name})
