"""The rendering service with one avatar, for benchmarks that call it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc

from portrait.arrays import Samples
from portrait.media.video import SAMPLE_RATE
from services.common.audio import to_pcm
from services.common.server import Server
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings

Stub: TypeAlias = "render_pb2_grpc.RenderServiceAsyncStub"

PIECE_S = 0.2


@contextlib.asynccontextmanager
async def serving(avatar: Path, **changes: Any) -> AsyncIterator[Stub]:
    """A stub of a real server, for as long as the block lasts; `changes` are settings."""
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder) / "storage"
        shutil.copytree(avatar, storage / "avatars" / avatar.name)
        settings = RenderSettings(
            port=0, storage_url=storage.as_uri(), database_url=f"sqlite:///{folder}/jobs.sqlite",
            work_folder=Path(folder) / "work", starter_avatars=Path(folder) / "none", prepare_idle_loops=False,
            **changes,
        )  # fmt: skip
        server = Server(RenderServicer(settings), settings)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                yield render_pb2_grpc.RenderServiceStub(channel)
        finally:
            await server.stop()


@dataclass
class Rendered:
    """A whole reply."""

    init: bytes = b""
    fragments: list[render_pb2.MediaFragment] = field(default_factory=list)
    next_frame_index: int = 0

    @property
    def data(self) -> bytes:
        """Its MP4."""
        return self.init + b"".join(fragment.data for fragment in self.fragments)


async def render(stub: Stub, avatar: str, speech: Samples, *, start: int = 0, size: int = 0) -> Rendered:
    """Have speech at 16 kHz rendered live from a frame of the idle loop on."""

    async def messages() -> AsyncIterator[render_pb2.StreamingRenderRequest]:
        config = render_pb2.StreamingRenderConfig(
            avatar=avatar, sample_rate_hertz=SAMPLE_RATE, size=size, start_frame_index=start
        )
        yield render_pb2.StreamingRenderRequest(config=config)
        step = round(PIECE_S * SAMPLE_RATE)
        for at in range(0, len(speech), step):
            yield render_pb2.StreamingRenderRequest(audio=to_pcm(speech[at : at + step]))

    rendered = Rendered()
    async for reply in stub.StreamingRender(messages()):
        kind = reply.WhichOneof("response")
        if kind == "header":
            rendered.init = reply.header.init_segment
        elif kind == "fragment":
            rendered.fragments.append(reply.fragment)
        else:
            rendered.next_frame_index = reply.end.next_frame_index
    return rendered
