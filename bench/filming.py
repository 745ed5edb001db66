"""A video file made as the rendering service makes it, without the service."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from services.render.engine import Performer, Pool
from services.render.engines.portrait import Engine, Settings
from services.render.film.making import Scene
from services.render.settings import RenderSettings


def scene_of(avatar: Path, size: int, device: str, processes: int) -> Scene:
    """An avatar's folder, to be drawn at a size (0: its own) by so many processes."""
    threads = 1 if processes > 1 else RenderSettings().threads
    return Scene(_opened, (str(avatar), size, device, threads), label_text="AI")


def pool_of(processes: int) -> Callable[[Callable[[], object]], Pool]:
    """What opens so many processes for a film."""
    return functools.partial(Engine(Settings()).pool, processes)


def _opened(folder: str, size: int, device: str, threads: int) -> Performer:
    engine = Engine(Settings(threads=threads))
    engine.load()
    return engine.open(Path(folder), size=size, device=device)
