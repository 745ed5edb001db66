"""Idle loops that replies can follow unseen: drawn by the avatar's engine, labelled, and finely coded."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from pathlib import Path

from services.common.storage import Storage
from services.render.avatars import FOLDER, Avatars
from services.render.cast import Cast
from services.render.encoding import Format, MovieFile
from services.render.engine import Performer
from services.render.overlay import drawing
from services.render.provenance import metadata
from services.render.settings import RenderSettings


class IdleLoops:
    """Makes each avatar's loop when it is first asked for, and keeps it in storage beside the avatar."""

    def __init__(self, avatars: Avatars, cast: Cast, storage: Storage, settings: RenderSettings) -> None:
        self._avatars, self._cast, self._storage, self._settings = avatars, cast, storage, settings
        self._label = settings.label_text if settings.visible_label else ""
        self._lock = threading.Lock()  # one at a time: whoever speaks meanwhile needs the processor more

    def key(self, avatar: str, stored: str) -> str:
        """Where the loop lies in storage; `stored` is what training left, for engines that draw none. Blocks."""
        name, manifest = self._avatars.find(avatar, "name")
        made_of = [str(manifest.get("created_at")), self._label, str(self._settings.idle_crf)]
        digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
        key = f"{FOLDER}/{name}/idle-{digest}.mp4"
        with self._lock:
            if self._storage.exists(key):
                return key
            data = self._film(self._cast.performer(name, 0, self._settings.device), name)
            if not data:
                return stored
            self._storage.write(key, data)
        return key

    def _film(self, performer: Performer, name: str) -> bytes:
        """The loop as a file; empty if the engine draws none."""
        width, height, fps = performer.width, performer.height, performer.fps
        settings = self._settings
        draw = drawing([], width, height, label_text=self._label)
        with tempfile.TemporaryDirectory(dir=settings.work_folder, prefix="idle-") as folder:
            path = Path(folder) / "idle.mp4"
            video = Format(width, height, fps, settings.idle_crf, settings.file_preset, settings.threads)
            movie = MovieFile(path, video, metadata(name), has_sound=False)
            try:
                for picture in performer.idle():
                    movie.show(draw(picture, 0.0))
                if not movie.frame_count:
                    return b""
                movie.close()
                return path.read_bytes()
            finally:
                movie.discard()
