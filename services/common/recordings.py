"""The recordings that passed the check, kept only until an avatar has been made of them.

`recordings/<id>/` in storage holds the file as it came and, last, `recording.json`. `train` adds and forgets them: a
training that succeeds forgets its recording at once; others are forgotten after some days, so that a failed or
cancelled training can be repeated. Until then `tts` and `asr` work on a recording by its id, which cannot be guessed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from services.common import tidying
from services.common.errors import Conflict, InvalidInput, NotFound
from services.common.files import receive_file, too_large
from services.common.shelf import parsed
from services.common.storage import Storage

FOLDER, MANIFEST, FILE = "recordings", "recording.json", "recording"
_ID = re.compile(r"recording-[0-9a-f]{32}")


class _Facts(BaseModel):
    """What of a manifest the house itself relies on."""

    kind: str = "video"
    duration_s: float = Field(ge=0, le=1e6)
    width: int
    height: int
    sha256: str
    created_s: float


class Recordings:
    """Keeps, finds and forgets recordings."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._first_seen: dict[str, float] = {}
        self._old = tidying.Lasting()

    def add(self, file: Path, facts: dict[str, Any]) -> str:
        """Keep a recording and what was found out about it; returns its id."""
        self._storage.require_space(file.stat().st_size)
        recording_id = f"recording-{uuid.uuid4().hex}"
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        folder = f"{FOLDER}/{recording_id}"
        self._storage.put_file(file, _file(recording_id))
        manifest = facts | {"sha256": digest, "created_s": time.time()}
        self._storage.write(f"{folder}/{MANIFEST}", json.dumps(manifest).encode())
        return recording_id

    def find(self, recording_id: str) -> dict[str, Any]:
        """What is known about a recording.

        Raises:
            NotFound: there is none of that id, or no longer.
            Conflict: its files are damaged.
        """
        folder = f"{FOLDER}/{recording_id}"
        try:
            if not _ID.fullmatch(recording_id):
                raise FileNotFoundError
            facts = parsed(self._storage.read(f"{folder}/{MANIFEST}"))
            _Facts.model_validate(facts)
        except FileNotFoundError as error:
            message = "There is no such recording any more. Upload it again."
            raise NotFound(message, reason="RECORDING_NOT_FOUND", field="recording_id") from error
        except ValueError as error:
            raise _damaged() from error
        if not self._storage.exists(_file(recording_id)):
            raise _damaged()
        return facts

    def is_kept(self, recording_id: str) -> bool:
        """Whether there is such a recording."""
        return self._storage.exists(f"{FOLDER}/{recording_id}/{MANIFEST}")

    def local_file(self, recording_id: str) -> Path:
        """A recording on this machine."""
        return self._storage.local_file(_file(recording_id))

    async def brought(
        self, config: Any, messages: AsyncIterator[Any], path: Path, max_bytes: int, field: str, size_bytes: int = 0
    ) -> Path:
        """The recording that an upload is about: the one that its config names, or else the `data` that follows.

        Args:
            config: has a `recording_id`, empty where the file itself comes.
            path: where it is put, unless it lies on this machine already.
            field: what the caller calls the file.

        Raises:
            NotFound, Conflict: as `find`.
            InvalidInput: nothing came, not all of it, more than `max_bytes`, or a recording is named and brought.
        """
        if not config.recording_id:
            with path.open("wb") as file:
                await receive_file(messages, file, max_bytes, field, size_bytes)
            return path
        async for _ in messages:
            message = "Name a recording that is stored, or bring one: not both."
            raise InvalidInput(message, reason="RECORDING_OR_DATA", field="recording_id")
        return await asyncio.to_thread(self._fetched, config.recording_id, path, max_bytes, field)

    def _fetched(self, recording_id: str, path: Path, max_bytes: int, field: str) -> Path:
        self.find(recording_id)
        if self._storage.size(_file(recording_id)) > max_bytes:
            raise too_large(max_bytes, field)
        return self._storage.fetched(_file(recording_id), path)

    def forget(self, recording_id: str) -> None:
        """Forget a recording."""
        self._storage.delete_folder(f"{FOLDER}/{recording_id}", MANIFEST)

    def expire(self, older_than_s: float, in_use: set[str]) -> int:
        """Forget what has not been used for so long; returns how many."""
        unused = [recording_id for recording_id in self._storage.folders(FOLDER) if recording_id not in in_use]
        old = [recording_id for recording_id in unused if self._age(recording_id) > older_than_s]
        forgotten = self._old.among(old, tidying.CERTAIN_AFTER_S)
        for recording_id in forgotten:
            self.forget(recording_id)
        return len(forgotten)

    def _age(self, recording_id: str) -> float:
        try:
            return time.time() - float(self.find(recording_id)["created_s"])
        except (NotFound, Conflict):
            # Arriving just now, damaged, or left by an upload that was killed.
            return time.time() - self._first_seen.setdefault(recording_id, time.time())


def _file(recording_id: str) -> str:
    return f"{FOLDER}/{recording_id}/{FILE}"


def _damaged() -> Conflict:
    message = "The files of this recording are damaged. Upload it again."
    return Conflict(message, reason="RECORDING_DAMAGED", field="recording_id")
