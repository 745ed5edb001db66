"""A video file made as the rendering service makes it, without the service."""

from __future__ import annotations

from pathlib import Path

from services.render.engine import Performer
from services.render.engines.portrait import Engine
from services.render.film import Scene
from services.render.settings import RenderSettings


def scene_of(avatar: Path, size: int, device: str, processes: int) -> Scene:
    """An avatar's folder, to be drawn at a size (0: its own) by so many processes."""
    threads = 1 if processes > 1 else RenderSettings().threads
    return Scene(_opened, (str(avatar), size, device, threads), label_text="AI")


def _opened(folder: str, size: int, device: str, threads: int) -> Performer:
    engine = Engine(RenderSettings(threads=threads))
    engine.load()
    return engine.open(Path(folder), size=size, device=device)
