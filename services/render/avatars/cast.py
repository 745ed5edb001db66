"""The avatars that are loaded, shared by everything that renders."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from visavis.common.v1 import info_pb2

from services.common import parameters
from services.common.avatars import Avatar, Avatars
from services.common.engine import Capability, Value
from services.common.errors import InvalidInput, Unavailable, Unsupported
from services.common.hosting import Engines
from services.common.storage import Storage
from services.render import engines
from services.render.engine import BatchEngine, LiveEngine, Performer, RenderEngine
from services.render.heads import ClipPerformer
from services.render.settings import RenderSettings

USUAL_SIZE = 512  # pixels, of an avatar that does not tell


class Cast:
    """Loads avatars with the engine that each was trained with, and keeps the latest few."""

    def __init__(self, avatars: Avatars, hosted: Engines[RenderEngine], settings: RenderSettings) -> None:
        self._avatars, self._engines, self._settings = avatars, hosted, settings
        self._loaded: OrderedDict[tuple[str, ...], Performer] = OrderedDict()
        self._lock = threading.Lock()  # loading one at a time keeps the peak of memory low

    def engine(self, name: str, *, loaded: bool = True) -> RenderEngine:
        """The engine that made an avatar.

        Raises:
            Unsupported: this installation does not have it.
        """
        try:
            return self._engines.keep(name) if loaded else self._engines.unloaded(name)
        except (InvalidInput, Unavailable) as error:
            message = f"The engine '{name}' that made this avatar is not installed here."
            message = f"{message} {error.values.get('remedy', '')}".strip()
            raise Unsupported(message, reason="ENGINE_MISSING", field="avatar", values={"engine": name}) from error

    def has_expression(self, engine: str) -> bool:
        """Whether an engine can be told how lively to be; raises as `engine`."""
        self.engine(engine, loaded=False)
        return Capability.EXPRESSION in self._engines.info(engine).capabilities

    def parameters(self, engine: str, values: Iterable[info_pb2.ParameterValue]) -> dict[str, Value]:
        """What a caller set of an engine's parameters; raises as `engine`.

        Raises:
            InvalidInput: it has no such parameter, or not with such a value.
        """
        self.engine(engine, loaded=False)
        return parameters.check(values, self._engines.parameters(engine))

    def performer(self, avatar: str, size: int, device: str) -> Performer:
        """An avatar ready to speak at a size (0: its own) on a device. Blocks while it loads.

        Raises:
            NotFound: there is no such avatar.
            InvalidInput: the size is odd or out of bounds.
        """
        check_size(size, self._settings.max_size)
        found = self._avatars.find(avatar)
        key = (found.name, found.edition, str(size), device)
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = self._open(found, size, device)
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._settings.loaded_avatars:
                self._loaded.popitem(last=False)
            return self._loaded[key]

    def _open(self, avatar: Avatar, size: int, device: str) -> Performer:
        told = avatar.manifest
        engine = self.engine(told.engine, loaded=False)
        if isinstance(engine, BatchEngine):  # the processes that make its clips load it
            own = (told.width or told.size, told.height or told.size)
            width, height = ((size or length or USUAL_SIZE) // 2 * 2 for length in own)
            return ClipPerformer(avatar.name, width, height, told.fps)
        live = cast(LiveEngine, self.engine(told.engine))
        return live.open(self._avatars.folder(avatar.name), size=size, device=device)

    def fetch(self, avatar: str) -> Avatar:
        """Have an avatar's files on this machine; raises as `performer`."""
        found = self._avatars.find(avatar)
        self._avatars.folder(found.name)
        return found

    def batch(self, avatar: str) -> tuple[str, Path, BatchEngine]:
        """The name of an avatar's engine, which is a batch engine, the avatar's folder, and the engine, loaded."""
        found = self._avatars.find(avatar)
        name = found.manifest.engine
        return name, self._avatars.folder(found.name), cast(BatchEngine, self.engine(name))

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
    return open_cast(RenderSettings(**json.loads(settings))).performer(avatar, size, device)


def open_cast(settings: RenderSettings) -> Cast:
    """The avatars for a process that is not the service's."""
    storage = Storage(settings.storage_url, settings.work_folder / "cache")
    hosted: Engines[RenderEngine] = Engines(engines, "render", settings)
    return Cast(Avatars(storage), hosted, settings)


def check_size(size: int, most: int) -> None:
    """Raises:
    InvalidInput: neither 0 nor an even number of pixels that can be encoded.
    """
    if size and (size % 2 or not 64 <= size <= most):
        message = f"The size must be an even number from 64 to {most}."
        raise InvalidInput(message, reason="BAD_SIZE", field="size", values={"max": str(most)})
