"""Idle loops that replies can follow unseen: drawn by the avatar's engine, labelled, and finely coded."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Generator
from pathlib import Path

from services.common.avatars import Avatars
from services.common.errors import NotFound
from services.common.provenance import metadata
from services.common.storage import Storage
from services.common.streams import in_thread
from services.render.avatars.cast import Cast
from services.render.live.turns import Turns
from services.render.settings import RenderSettings
from services.render.video.encoding import Format, MovieFile
from services.render.video.overlay import drawing

logger = logging.getLogger(__name__)


class IdleLoops:
    """Draws each avatar's loop ahead, or when it is first asked for, and keeps it in storage beside the avatar."""

    def __init__(self, avatars: Avatars, cast: Cast, storage: Storage, turns: Turns, settings: RenderSettings) -> None:
        self._avatars, self._cast, self._storage, self._turns = avatars, cast, storage, turns
        self._settings = settings
        self._label = settings.label_text if settings.visible_label else ""
        self._drawing: dict[str, asyncio.Task[None]] = {}  # by where the loop will lie
        self._preparing: asyncio.Task[None] | None = None
        self._is_asked = False  # to look which are missing, since it was looked last

    def prepare(self) -> None:
        """Begin to draw what is missing of all avatars' loops, one after the other."""
        self._is_asked = self._settings.prepare_idle_loops
        if self._is_asked and (self._preparing is None or self._preparing.done()):
            self._preparing = asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        while self._is_asked:
            self._is_asked = False
            for name in await asyncio.to_thread(self._avatars.names):
                await self._prepare_one(name)

    async def _prepare_one(self, name: str) -> None:
        try:
            await self.key(name, "")
        except NotFound:
            pass  # being made, or being forgotten
        except Exception:  # noqa: BLE001 - whoever asks for this one is told; the others need theirs
            logger.exception("an idle loop could not be drawn")

    async def key(self, avatar: str, stored: str) -> str:
        """Where the loop lies in storage; `stored` is what training left, for engines that draw none.

        Raises:
            NotFound: there is no such avatar.
        """
        name, key = await asyncio.to_thread(self._place, avatar)
        if await asyncio.to_thread(self._storage.exists, key):
            return key
        if key not in self._drawing:
            self._drawing[key] = asyncio.create_task(self._draw(name, key))
            self._drawing[key].add_done_callback(lambda _: self._drawing.pop(key))
        await asyncio.shield(self._drawing[key])  # others may wait for it too
        return key if await asyncio.to_thread(self._storage.exists, key) else stored

    async def close(self) -> None:
        """Stop drawing."""
        tasks = [*self._drawing.values(), *([self._preparing] if self._preparing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _place(self, avatar: str) -> tuple[str, str]:
        """The avatar's name as it is stored, and where its loop belongs."""
        found = self._avatars.find(avatar, "name")
        made_of = [found.edition, self._label, str(self._settings.idle_crf)]
        digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
        return found.name, self._avatars.loop(found.name, digest)

    async def _draw(self, name: str, key: str) -> None:
        async with contextlib.aclosing(in_thread(self._film(name, key))) as steps:
            is_drawing = await anext(steps)
            while is_drawing:
                async with self._turns.alone():  # whoever watches a reply needs the processor more
                    is_drawing = await anext(steps)
            await anext(steps, None)

    def _film(self, name: str, key: str) -> Generator[bool, None, None]:
        """Load the avatar, draw the loop picture by picture, store it; tells after each step whether drawing follows.

        Nothing is stored if the engine draws none.
        """
        settings = self._settings
        performer = self._cast.performer(name, 0, settings.device)
        width, height, fps = performer.width, performer.height, performer.fps
        draw = drawing([], width, height, label_text=self._label)
        with tempfile.TemporaryDirectory(dir=settings.work_folder, prefix="idle-") as folder:
            path = Path(folder) / "idle.mp4"
            video = Format(width, height, fps, settings.idle_crf, settings.file_preset, settings.threads)
            movie = MovieFile(path, video, metadata(name), has_sound=False)
            try:
                yield True
                for picture in performer.idle():
                    movie.show(draw(picture, 0.0))
                    yield True
                yield False
                if movie.frame_count:
                    movie.close()
                    self._avatars.find(name)  # or what was forgotten meanwhile would come back
                    self._storage.write(key, path.read_bytes())
            finally:
                movie.discard()
