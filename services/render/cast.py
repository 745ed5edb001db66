"""The avatars that are loaded, shared by everything that renders."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict

from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.common.hosting import Engines
from services.common.storage import Storage
from services.render import engines
from services.render.avatars import Avatars
from services.render.engine import Performer, RenderEngine
from services.render.settings import RenderSettings


class Cast:
    """Loads avatars with the engine that each was trained with, and keeps the latest few."""

    def __init__(self, avatars: Avatars, hosted: Engines[RenderEngine], settings: RenderSettings) -> None:
        self._avatars, self._engines, self._settings = avatars, hosted, settings
        self._loaded: OrderedDict[tuple[str, ...], Performer] = OrderedDict()
        self._lock = threading.Lock()  # loading one at a time keeps the peak of memory low

    def engine(self, name: str) -> RenderEngine:
        """The loaded engine that made an avatar.

        Raises:
            Unsupported: this installation does not have it.
        """
        try:
            return self._engines.keep(name)
        except (InvalidInput, Unavailable) as error:
            message = f"The engine '{name}' that made this avatar is not installed here."
            message = f"{message} {error.values.get('remedy', '')}".strip()
            raise Unsupported(message, reason="ENGINE_MISSING", field="avatar", values={"engine": name}) from error

    def performer(self, avatar: str, size: int, device: str) -> Performer:
        """An avatar ready to speak at a size (0: its own) on a device. Blocks while it loads.

        Raises:
            NotFound: there is no such avatar.
            InvalidInput: the size is odd or out of bounds.
        """
        check_size(size, self._settings.max_size)
        name, manifest = self._avatars.find(avatar)
        key = (name, str(manifest.get("created_at")), str(size), device)  # one trained anew is another
        with self._lock:
            if key not in self._loaded:
                folder = self._avatars.folder(name)
                self._loaded[key] = self.engine(manifest["engine"]).open(folder, size=size, device=device)
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._settings.loaded_avatars:
                self._loaded.popitem(last=False)
            return self._loaded[key]

    def forget(self, avatar: str) -> None:
        """Drop what is loaded of an avatar."""
        with self._lock:
            for key in [key for key in self._loaded if key[0] == avatar]:
                del self._loaded[key]

    def close(self) -> None:
        """Release the avatars."""
        self._loaded.clear()


def open_avatar(settings: str, avatar: str, size: int, device: str) -> Performer:
    """An avatar for a process of its own, which is told the service's settings as JSON; raises as `Cast.performer`."""
    chosen = RenderSettings(**json.loads(settings))
    storage = Storage(chosen.storage_url, chosen.work_folder / "cache")
    hosted: Engines[RenderEngine] = Engines(engines, "render", chosen)
    return Cast(Avatars(storage), hosted, chosen).performer(avatar, size, device)


def check_size(size: int, most: int) -> None:
    """Raises:
    InvalidInput: neither 0 nor an even number of pixels that can be encoded.
    """
    if size and (size % 2 or not 64 <= size <= most):
        message = f"The size must be an even number from 64 to {most}."
        raise InvalidInput(message, reason="BAD_SIZE", field="size", values={"max": str(most)})
