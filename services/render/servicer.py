"""The gRPC face of rendering."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import IO, Any

import grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc

from services.common import hardware, pages
from services.common.audio import from_pcm
from services.common.conversion import Converter
from services.common.describe import service_info
from services.common.disk import forget_leftovers, require_space
from services.common.errors import Busy, Conflict, InvalidInput, ServiceError
from services.common.files import send_file, too_large
from services.common.hosting import Engines
from services.common.interceptors import to_service_error
from services.common.jobs import calls
from services.common.jobs.child import error_dict
from services.common.jobs.runner import LocalRunner
from services.common.jobs.store import Job, JobStore
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.streams import in_thread
from services.common.tidying import tidy
from services.render import engines, starter
from services.render.avatars import Avatars
from services.render.cast import Cast
from services.render.closures import ToldClosures
from services.render.encoding import Fragment
from services.render.engine import RenderEngine
from services.render.expression import expression_of
from services.render.generations import KIND, Extras, Generations, error_from, wrap_pcm
from services.render.idle import IdleLoops
from services.render.live import LiveReply
from services.render.settings import RenderSettings
from services.render.turns import Playback, Turns

TOUCH_EVERY_S = 1.0
EXPIRE_EVERY_S = 600.0
LEFTOVERS = ("speech-*", "idle-*")
RATES = range(8000, 48_001)
CHECK_RATE = 16_000  # at which speech is heard before its job begins


class _BrokenOff(Exception):
    """A stream of speech has ended, but its speech has not."""


class RenderServicer(Service, render_pb2_grpc.RenderServiceServicer):
    """Shows avatars speaking, live and as files."""

    full_name = "visavis.render.v1.RenderService"
    engine_package = engines
    engines: Engines[RenderEngine]

    def __init__(self, settings: RenderSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._storage = Storage(settings.storage_url, settings.work_folder / "cache")
        self._store = JobStore(settings.database_url)
        self._avatars = Avatars(self._storage)
        self._cast = Cast(self._avatars, self.engines, settings)
        self._generations = Generations(self._store, self._storage, self._avatars, settings)
        self._converter = Converter()
        devices = hardware.devices(settings.job_devices)
        self._runner = LocalRunner(
            self._store, KIND, "services.render.job", devices, settings, settings.input_timeout_seconds
        )
        self._tidying: asyncio.Task | None = None
        self._free_streams = settings.max_streams
        self._turns = Turns(hardware.processors())
        self._idle = IdleLoops(self._avatars, self._cast, self._storage, self._turns, settings)

    def register(self, server: grpc.aio.Server) -> None:
        """Add this servicer to the server."""
        render_pb2_grpc.add_RenderServiceServicer_to_server(self, server)

    def load(self) -> None:
        """Load the default engine and bring the demo avatar; avatars are loaded when they are first asked for."""
        self._settings.work_folder.mkdir(parents=True, exist_ok=True)
        starter.install(self._storage, self._settings.starter_avatars)
        super().load()

    async def start(self) -> None:
        """Begin taking jobs, and draw the idle loops that are missing."""
        self._runner.start()
        self._idle.prepare()
        self._tidying = asyncio.create_task(tidy(self._expire, EXPIRE_EVERY_S))

    def _expire(self) -> int:
        left = sum(forget_leftovers(self._settings.work_folder, pattern) for pattern in LEFTOVERS)
        return left + self._generations.expire()

    async def close(self) -> None:
        """Put running jobs back and release the avatars."""
        if self._tidying:
            self._tidying.cancel()
        await self._runner.close()
        await self._idle.close()
        self._cast.close()
        self._store.close()
        await super().close()

    async def GetInfo(self, request: render_pb2.GetInfoRequest, context: object) -> render_pb2.GetInfoResponse:
        devices = hardware.devices(self._settings.job_devices)
        return render_pb2.GetInfoResponse(info=await asyncio.to_thread(service_info, self.engines, devices))

    # Avatars

    async def ListAvatars(
        self, request: render_pb2.ListAvatarsRequest, context: object
    ) -> render_pb2.ListAvatarsResponse:
        self._idle.prepare()  # whoever lists them shows them next
        page = await asyncio.to_thread(self._avatar_page, request)
        return render_pb2.ListAvatarsResponse(avatars=page.entries, next_page_token=page.next_page_token)

    def _avatar_page(self, request: render_pb2.ListAvatarsRequest) -> pages.Page:
        size, after = pages.size_of(request), pages.position(request.page_token, str)
        return pages.page(((avatar, pages.token(avatar.name)) for avatar in self._avatars.list(after)), size)

    async def GetAvatar(self, request: render_pb2.GetAvatarRequest, context: object) -> render_pb2.GetAvatarResponse:
        return render_pb2.GetAvatarResponse(avatar=await asyncio.to_thread(self._avatars.describe, request.name))

    async def DeleteAvatar(
        self, request: render_pb2.DeleteAvatarRequest, context: object
    ) -> render_pb2.DeleteAvatarResponse:
        await asyncio.to_thread(self._delete_avatar, request.name)
        return render_pb2.DeleteAvatarResponse()

    def _delete_avatar(self, name: str) -> None:
        name = self._avatars.stored(name)
        if self._generations.uses(name):
            message = "A video of this avatar is being made. Wait for it or cancel it, then delete the avatar."
            raise Conflict(message, reason="AVATAR_IN_USE", field="name")
        self._cast.forget(name)
        self._avatars.delete(name)

    async def ReadAvatarFile(
        self, request: render_pb2.ReadAvatarFileRequest, context: object
    ) -> AsyncIterator[render_pb2.ReadAvatarFileResponse]:
        key, file_name = await asyncio.to_thread(self._avatars.file, request.name, request.file)
        if request.file == render_pb2.AVATAR_FILE_IDLE:
            key = await self._idle.key(request.name, key)
        async for reply in send_file(self._storage, key, request, render_pb2.ReadAvatarFileResponse, file_name):
            yield reply

    # Live

    async def StreamingRender(
        self, request_iterator: AsyncIterator[render_pb2.StreamingRenderRequest], context: object
    ) -> AsyncIterator[render_pb2.StreamingRenderResponse]:
        config, messages = await open_stream(request_iterator)
        _check_rate(config.sample_rate_hertz)
        with self._stream():
            reply = await asyncio.to_thread(self._open_reply, config)
            watched = Playback(reply.header.fps)
            try:
                yield render_pb2.StreamingRenderResponse(header=reply.header)
                async for message in messages:
                    if message.WhichOneof("request") == "closures":
                        reply.shut(message.closures)
                        continue
                    async for fragment in self._in_turn(reply, reply.push(from_pcm(message.audio)), watched):
                        yield fragment
                async for fragment in self._in_turn(reply, reply.finish(), watched):
                    yield fragment
                yield render_pb2.StreamingRenderResponse(end=reply.end)
            finally:  # in a thread: a reply that was broken off waits for the frame that is just being decoded
                await asyncio.to_thread(reply.close)

    async def _in_turn(
        self, reply: LiveReply, fragments: Generator[Fragment, None, None], watched: Playback
    ) -> AsyncIterator[render_pb2.StreamingRenderResponse]:
        """Fragments as they are made: whoever runs out of pictures first goes first, and nobody runs far ahead."""
        async with contextlib.aclosing(in_thread(fragments)) as ready:
            while True:
                await watched.wait(self._settings.live_ahead_seconds)
                async with self._turns.turn(watched.due_s):
                    fragment = await anext(ready, None)
                if fragment is None:
                    return
                watched.sent(fragment.frame_count)
                yield render_pb2.StreamingRenderResponse(fragment=reply.described(fragment))

    @contextlib.contextmanager
    def _stream(self) -> Iterator[None]:
        if self._free_streams <= 0:
            raise Busy("As many avatars are speaking as this machine can show. Try again in a moment.")
        self._free_streams -= 1
        try:
            yield
        finally:
            self._free_streams += 1

    def _open_reply(self, config: render_pb2.StreamingRenderConfig) -> LiveReply:
        expression = expression_of(config.expression)
        performer = self._cast.performer(config.avatar, config.size, self._settings.device)
        return LiveReply(performer, config.sample_rate_hertz, config.start_frame_index, expression, self._settings)

    # Videos

    async def CreateGeneration(
        self, request: render_pb2.CreateGenerationRequest, context: object
    ) -> render_pb2.CreateGenerationResponse:
        job = await asyncio.to_thread(self._generations.create, request)
        return render_pb2.CreateGenerationResponse(generation=await self._described(job))

    async def _described(self, job: Job) -> render_pb2.Generation:
        return await asyncio.to_thread(self._generations.describe, job)

    async def SupplyGeneration(
        self, request_iterator: AsyncIterator[render_pb2.SupplyGenerationRequest], context: object
    ) -> render_pb2.SupplyGenerationResponse:
        config, messages = await open_stream(request_iterator)
        job = await asyncio.to_thread(self._generations.waiting, config.id)
        try:
            job = await self._supply(messages, job, config.sample_rate_hertz)
            self._runner.wake()
        except _BrokenOff:
            message = "The speech broke off before its end. Bring it again, from its beginning."
            raise InvalidInput(message, reason="SPEECH_BROKEN_OFF", field="end") from None
        except (ServiceError, OSError) as error:  # what keeps the speech from coming also ends the waiting for it
            await asyncio.to_thread(self._generations.fail, job, error_dict(to_service_error(error)))
            raise
        return render_pb2.SupplyGenerationResponse(generation=await self._described(job))

    async def _supply(self, messages: AsyncIterator[Any], job: Job, rate: int) -> Job:
        if rate:
            _check_rate(rate)
        with tempfile.TemporaryDirectory(dir=self._settings.work_folder, prefix="speech-") as folder:
            speech = Path(folder) / "speech"
            with speech.open("wb") as file:
                extras, error = await self._receive(messages, file, rate, job)
            if error:
                return await asyncio.to_thread(self._generations.fail, job, error)
            if rate:
                await asyncio.to_thread(wrap_pcm, speech, rate)
            heard, longest_s = speech.with_name("heard.wav"), self._settings.max_speech_seconds
            sound = await self._converter.convert(speech, heard, CHECK_RATE, max_seconds=longest_s)
            return await asyncio.to_thread(self._generations.supply, job, speech, sound, extras)

    async def _receive(
        self, messages: AsyncIterator[Any], file: IO[bytes], rate: int, job: Job
    ) -> tuple[Extras, dict[str, Any] | None]:
        """Write the speech that comes; returns what comes with it, and the error if the caller cannot bring it.

        Raises:
            _BrokenOff: not all of it came.
        """
        extras, told, size, touched = Extras(), ToldClosures(rate), 0, time.monotonic()
        async for message in messages:
            kind = message.WhichOneof("request")
            if kind == "end":
                return extras, None
            if kind == "error":
                return extras, error_from(message.error)
            if kind == "subtitles":
                extras.subtitles = message.subtitles
                continue
            if kind == "closures":
                extras.closures += told.take(message.closures)
                continue
            told.hear(len(message.data) // 2)
            size += len(message.data)
            if size > self._settings.max_upload_bytes:
                raise too_large(self._settings.max_upload_bytes, "audio")
            require_space(self._settings.work_folder, len(message.data))
            file.write(message.data)
            if time.monotonic() - touched > TOUCH_EVERY_S:
                touched = time.monotonic()
                await asyncio.to_thread(self._generations.touch, job)
        raise _BrokenOff

    async def GetGeneration(
        self, request: render_pb2.GetGenerationRequest, context: object
    ) -> render_pb2.GetGenerationResponse:
        job = await asyncio.to_thread(self._store.get, request.id, KIND)
        return render_pb2.GetGenerationResponse(generation=await self._described(job))

    async def ListGenerations(
        self, request: render_pb2.ListGenerationsRequest, context: object
    ) -> render_pb2.ListGenerationsResponse:
        page = await asyncio.to_thread(calls.page, self._store, KIND, request, self._generations.describe)
        return render_pb2.ListGenerationsResponse(generations=page.entries, next_page_token=page.next_page_token)

    async def CancelGeneration(
        self, request: render_pb2.CancelGenerationRequest, context: object
    ) -> render_pb2.CancelGenerationResponse:
        job = await asyncio.to_thread(calls.cancel, self._store, KIND, request.id)
        return render_pb2.CancelGenerationResponse(generation=await self._described(job))

    async def ResumeGeneration(
        self, request: render_pb2.ResumeGenerationRequest, context: object
    ) -> render_pb2.ResumeGenerationResponse:
        job = await asyncio.to_thread(self._generations.resume, request.id)
        self._runner.wake()
        return render_pb2.ResumeGenerationResponse(generation=await self._described(job))

    async def DeleteGeneration(
        self, request: render_pb2.DeleteGenerationRequest, context: object
    ) -> render_pb2.DeleteGenerationResponse:
        await asyncio.to_thread(self._generations.delete, request.id)
        await asyncio.to_thread(self._runner.forget_folder, request.id)
        return render_pb2.DeleteGenerationResponse()

    async def WatchGeneration(
        self, request: render_pb2.WatchGenerationRequest, context: object
    ) -> AsyncIterator[render_pb2.WatchGenerationResponse]:
        async for job in calls.watch(self._store, KIND, request.id):
            yield render_pb2.WatchGenerationResponse(generation=await self._described(job))

    async def ReadGenerationFile(
        self, request: render_pb2.ReadGenerationFileRequest, context: object
    ) -> AsyncIterator[render_pb2.ReadGenerationFileResponse]:
        key, file_name = await asyncio.to_thread(self._generations.file, request.id, request.file)
        async for reply in send_file(self._storage, key, request, render_pb2.ReadGenerationFileResponse, file_name):
            yield reply


def _check_rate(rate: int) -> None:
    if rate not in RATES:
        message = f"The sample rate must be from {RATES[0]} to {RATES[-1]} Hz."
        raise InvalidInput(message, reason="BAD_SAMPLE_RATE", field="sample_rate_hertz")
