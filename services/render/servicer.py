"""The gRPC face of rendering."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import IO, Any

import grpc
from visavis.jobs.v1 import jobs_pb2
from visavis.render.v1 import render_pb2, render_pb2_grpc

from services.common import hardware, pages
from services.common.audio import from_pcm
from services.common.avatars import Avatars
from services.common.conversion import Converter
from services.common.describe import service_info
from services.common.disk import forget_leftovers, require_space
from services.common.engine import Value
from services.common.errors import Busy, Conflict, InvalidInput, ServiceError
from services.common.files import send_file, too_large
from services.common.hosting import Engines
from services.common.interceptors import to_service_error
from services.common.jobs.runner import LocalRunner
from services.common.jobs.servicer import JobServicer
from services.common.jobs.store import Job, JobStore
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.streams import in_thread
from services.common.tidying import tidy
from services.common.times import duration
from services.render import engines
from services.render.avatars import messages as avatars
from services.render.avatars import starter
from services.render.avatars.cast import Cast
from services.render.avatars.expression import expression_of
from services.render.engine import ClipProgress, Expression, RenderEngine
from services.render.film.generations import KIND, Generations
from services.render.heads import ClipPerformance, Clips, Speech
from services.render.live.idle import IdleLoops
from services.render.live.reply import LiveReply
from services.render.live.turns import Playback, Turns
from services.render.settings import RenderSettings
from services.render.video.encoding import Fragment

TOUCH_EVERY_S = 1.0
EXPIRE_EVERY_S = 600.0
LEFTOVERS = ("speech-*", "idle-*", "clip-*")
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
        self._generations = Generations(self._store, self._storage, self._avatars, self._cast, settings)
        self._converter = Converter()
        devices = hardware.devices(settings.job_devices)
        self._runner = LocalRunner(
            self._store, KIND, "services.render.job", devices, settings, settings.input_timeout_seconds
        )
        self._jobs = JobServicer(self._store, self._storage, settings, {self._generations: self._runner})
        self.beside = [self._jobs]
        self._tidying: asyncio.Task[None] | None = None
        self._free_streams = settings.max_streams
        self._turns = Turns(hardware.processors())
        self._clips = Clips(settings)
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
        return pages.page(((avatar, pages.token(avatar.name)) for avatar in avatars.every(self._avatars, after)), size)

    async def GetAvatar(self, request: render_pb2.GetAvatarRequest, context: object) -> render_pb2.GetAvatarResponse:
        avatar = await asyncio.to_thread(avatars.described, self._avatars, request.name)
        return render_pb2.GetAvatarResponse(avatar=avatar)

    async def DeleteAvatar(
        self, request: render_pb2.DeleteAvatarRequest, context: object
    ) -> render_pb2.DeleteAvatarResponse:
        await asyncio.to_thread(self._delete_avatar, request.name)
        return render_pb2.DeleteAvatarResponse()

    def _delete_avatar(self, name: str) -> None:
        name = self._avatars.known(name)
        if self._generations.uses(name):
            message = "A video of this avatar is being made. Wait for it or cancel it, then delete the avatar."
            raise Conflict(message, reason="AVATAR_IN_USE", field="name")
        self._cast.forget(name)
        self._avatars.forget(name)

    async def ReadAvatarFile(
        self, request: render_pb2.ReadAvatarFileRequest, context: object
    ) -> AsyncIterator[render_pb2.ReadAvatarFileResponse]:
        key, file_name = await asyncio.to_thread(avatars.file_of, self._avatars, request.name, request.file)
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
            reply, values = await asyncio.to_thread(self._open_reply, config)
            watched = Playback(reply.header.fps)
            try:
                yield render_pb2.StreamingRenderResponse(header=reply.header)
                if isinstance(reply.performance, ClipPerformance):
                    speech = Speech(reply.performance.place(self._settings.work_folder), config.sample_rate_hertz,
                                    self._settings.max_speech_seconds)  # fmt: skip
                    async with contextlib.aclosing(
                        self._clip(reply, reply.performance, speech, values, messages)
                    ) as told:
                        async for progress in told:
                            yield progress
                    messages = _again(speech)
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

    async def _clip(
        self,
        reply: LiveReply,
        performance: ClipPerformance,
        speech: Speech,
        values: dict[str, Value],
        messages: AsyncIterator[Any],
    ) -> AsyncGenerator[render_pb2.StreamingRenderResponse, None]:
        """Hear all of a speech and have a clip made of it; yields how far that is."""
        yield _progress(ClipProgress("listen", 0.0))
        with contextlib.closing(speech):
            async for message in messages:
                if message.WhichOneof("request") == "closures":
                    reply.shut(message.closures)
                else:
                    await asyncio.to_thread(speech.push, message.audio)
        if speech.sample_count:
            async with contextlib.aclosing(self._clips.make(performance, speech, values)) as told:
                async for progress in told:
                    yield _progress(progress)

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

    def _open_reply(self, config: render_pb2.StreamingRenderConfig) -> tuple[LiveReply, dict[str, Value]]:
        """A reply that begins, and the values of its engine's parameters."""
        expression = expression_of(config.expression)
        engine = self._avatars.find(config.avatar).manifest.engine
        values = self._cast.parameters(engine, config.parameters)
        if not self._cast.has_expression(engine):
            expression = Expression()
        performer = self._cast.performer(config.avatar, config.size, self._settings.device)
        performer.warm()
        start, rate = config.start_frame_index, config.sample_rate_hertz
        return LiveReply(performer, rate, start, expression, self._settings), values

    # Videos

    async def CreateGeneration(
        self, request: render_pb2.CreateGenerationRequest, context: object
    ) -> render_pb2.CreateGenerationResponse:
        make = self._generations.judge if request.validate_only else self._generations.create
        job = await asyncio.to_thread(make, request)
        self._runner.wake()
        return render_pb2.CreateGenerationResponse(job=await self._described(job) if job else None)

    async def _described(self, job: Job) -> jobs_pb2.Job:
        return await asyncio.to_thread(self._jobs.describe, job)

    async def SupplyGeneration(
        self, request_iterator: AsyncIterator[render_pb2.SupplyGenerationRequest], context: object
    ) -> render_pb2.SupplyGenerationResponse:
        config, messages = await open_stream(request_iterator)
        job = await asyncio.to_thread(self._generations.waiting, config.id)
        try:
            job = await self._supply(messages, job)
            self._runner.wake()
        except _BrokenOff:
            message = "The speech broke off before its end. Bring it again, from its beginning."
            raise InvalidInput(message, reason="SPEECH_BROKEN_OFF", field="end") from None
        except (ServiceError, OSError) as error:  # what keeps the speech from coming also ends the waiting for it
            await asyncio.to_thread(self._generations.fail, job, to_service_error(error).problem)
            raise
        return render_pb2.SupplyGenerationResponse(job=await self._described(job))

    async def _supply(self, messages: AsyncIterator[Any], job: Job) -> Job:
        with tempfile.TemporaryDirectory(dir=self._settings.work_folder, prefix="speech-") as folder:
            speech = Path(folder) / "speech"
            with speech.open("wb") as file:
                await self._receive(messages, file, job)
            heard, longest_s = speech.with_name("heard.wav"), self._settings.max_speech_seconds
            sound = await self._converter.convert(speech, heard, CHECK_RATE, max_seconds=longest_s)
            return await asyncio.to_thread(self._generations.supply, job, speech, sound)

    async def _receive(self, messages: AsyncIterator[Any], file: IO[bytes], job: Job) -> None:
        """Write the speech that comes.

        Raises:
            _BrokenOff: not all of it came.
        """
        size, touched = 0, time.monotonic()
        async for message in messages:
            if message.WhichOneof("request") == "end":
                return
            size += len(message.data)
            if size > self._settings.max_upload_bytes:
                raise too_large(self._settings.max_upload_bytes, "audio")
            require_space(self._settings.work_folder, len(message.data))
            file.write(message.data)
            if time.monotonic() - touched > TOUCH_EVERY_S:
                touched = time.monotonic()
                await asyncio.to_thread(self._generations.touch, job)
        raise _BrokenOff


def _check_rate(rate: int) -> None:
    if rate not in RATES:
        message = f"The sample rate must be from {RATES[0]} to {RATES[-1]} Hz."
        raise InvalidInput(message, reason="SAMPLE_RATE_OUT_OF_RANGE", field="sample_rate_hertz")


def _progress(clip: ClipProgress) -> render_pb2.StreamingRenderResponse:
    eta = duration(clip.eta_s) if clip.eta_s is not None else None
    return render_pb2.StreamingRenderResponse(
        progress=render_pb2.ClipProgress(stage=clip.stage, progress=clip.progress, eta=eta)
    )


async def _again(speech: Speech) -> AsyncIterator[render_pb2.StreamingRenderRequest]:
    for pcm in speech.pieces():
        yield render_pb2.StreamingRenderRequest(audio=pcm)
