"""The avatars in storage, described by the avatar.json that training left."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from google.protobuf.struct_pb2 import Struct
from visavis.common.v1 import media_pb2
from visavis.render.v1 import render_pb2

from services.common.errors import InvalidInput, NotFound
from services.common.names import checked_name
from services.common.storage import Storage
from services.common.times import timestamp

logger = logging.getLogger(__name__)

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


class Avatars:
    """Finds, describes and forgets avatars."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def list(self) -> list[render_pb2.Avatar]:
        """All of them, by name. One whose manifest cannot be read is left out."""
        avatars = []
        for name in self._storage.folders(FOLDER):
            try:
                avatars.append(self.describe(name))
            except NotFound:
                continue  # being made, or being forgotten
            except (ValueError, KeyError, TypeError):
                logger.warning("an avatar's manifest cannot be read")
        return avatars

    def find(self, name: str, field: str = "avatar") -> tuple[str, dict[str, Any]]:
        """An avatar's name as it is stored, and its manifest.

        Raises:
            NotFound: there is none of that name.
        """
        try:
            name = checked_name(name, field)
            return name, json.loads(self._storage.read(f"{FOLDER}/{name}/{MANIFEST}"))
        except (InvalidInput, FileNotFoundError) as error:
            message = "There is no avatar of that name. Choose one from the list, or train it first."
            raise NotFound(message, reason="AVATAR_NOT_FOUND", field=field) from error

    def describe(self, name: str) -> render_pb2.Avatar:
        """An avatar as a message."""
        name, manifest = self.find(name, "name")
        report = Struct()
        report.update({key: value for key, value in manifest.items() if key not in NOT_REPORT})
        size = int(manifest.get("size", 0))
        consent = manifest.get("consent", {})
        return render_pb2.Avatar(
            name=name,
            engine=manifest["engine"],
            width=int(manifest.get("width", size)),
            height=int(manifest.get("height", size)),
            fps=float(manifest.get("fps", 25)),
            voice=manifest.get("voice", ""),
            consent=media_pb2.Consent(given_by=consent.get("given_by", ""), time=timestamp(consent.get("time", ""))),
            create_time=timestamp(manifest.get("created_at", "")),
            report=report,
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

    def delete(self, name: str) -> None:
        """Forget an avatar, and the previews of its training."""
        _, manifest = self.find(name)
        if training_id := manifest.get("training_id"):
            self._storage.delete_folder(f"{TRAININGS}/{checked_name(training_id)}")
        self._storage.delete_folder(f"{FOLDER}/{name}", MANIFEST)

    def _key(self, name: str, kind: int) -> str:
        keys = (f"{FOLDER}/{name}/{file}" for file in FILES.get(kind, ()))
        return next((key for key in keys if self._storage.exists(key)), "")
