"""Recordings of the older two-step routes: saved under an id that nobody can guess, used in the next request."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from pathlib import Path
from typing import IO

from gateway.refusal import Refusal
from gateway.sweeping import delete_older_than

_ID = re.compile(r"[A-Za-z0-9_-]{32}")


class Recordings:
    """Recordings in a folder, one file each, deleted after `keep_hours`.

    A recording is found by its id alone. The one exception serves scripts that know nothing of ids: `latest_of_scripts`
    is the last one saved by a caller on this machine that is no browser, and only such a caller may use it.
    """

    def __init__(self, folder: Path, keep_hours: float) -> None:
        self._folder, self._keep_hours = folder, keep_hours
        self._lock = threading.Lock()
        self.latest_of_scripts = ""
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, source: IO[bytes], *, by_script: bool) -> str:
        """Keep a recording; returns its id."""
        audio_id = secrets.token_urlsafe(24)
        with self._path(audio_id).open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
        if by_script:
            with self._lock:
                self.latest_of_scripts = audio_id
        return audio_id

    def sweep(self) -> None:
        """Forget the recordings that are kept too long."""
        delete_older_than(self._folder, self._keep_hours)

    def find(self, audio_id: str) -> Path:
        """The file of a recording.

        Raises:
            Refusal: there is none, or no longer.
        """
        path = self._path(audio_id) if _ID.fullmatch(audio_id) else None
        if path is None or not path.is_file():
            message = "There is no such recording, or it has expired. Send it to /save_audio first."
            raise Refusal(message, reason="AUDIO_NOT_FOUND", field="audio_id", status=404)
        return path

    def choose(self, *, given: str, cookie: str, is_script: bool) -> Path:
        """The caller's recording: the one named, else the one of its cookie, else that of this machine's scripts."""
        return self.find(given or cookie or (self.latest_of_scripts if is_script else ""))

    def _path(self, audio_id: str) -> Path:
        # Whatever the container, the older routes call it WAV; the services look inside.
        return self._folder / f"{audio_id}.wav"
