"""What every engine of every service must do. A new file in `engines/` is tried here by itself.

An engine that needs a key or a model which is not there must say so plainly; all others are served for real.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc
from visavis.llm.v1 import llm_pb2, llm_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from services.asr.engine import AsrEngine
from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.common.engine import Capability, available, import_engine
from services.common.errors import ServiceError
from services.common.server import Server, Service
from services.common.settings import ServiceSettings
from services.llm.engine import LlmEngine
from services.llm.servicer import LlmServicer
from services.llm.settings import LlmSettings
from services.render.engine import RenderEngine
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings
from services.train.engine import TrainEngine
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings
from services.tts.engine import TtsEngine
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from tests import tiny_vits

OUTSIDE = {"grpc", "visavis", "google"}
AVATAR = "Ada"
INVALID, DEADLINE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.DEADLINE_EXCEEDED
PLAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}

REACHED: dict[tuple[str, str], dict[str, str]] = {
    ("asr", "funasr"): {"url": "ws://127.0.0.1:9"},
    ("asr", "openai"): {"base_url": "http://127.0.0.1:9", "model": "none"},
    ("asr", "zhipu"): {"base_url": "http://127.0.0.1:9", "api_key": "none"},
}
"""Settings with which engines on somebody else's server serve, though nobody is there: silence is not sent."""


@dataclass(frozen=True)
class Room:
    """A service, and how a caller works with the engine in it: `opening`, any number of `more`, and its end."""

    contract: type
    settings: type[ServiceSettings]
    servicer: type[Service]
    call: Callable[[grpc.aio.Channel], Any]
    opening: Any
    more: Any = None  # None: one request, answered by a stream
    wrong: list[tuple[list[Any], str]] = field(default_factory=list)
    answered: grpc.StatusCode = grpc.StatusCode.OK  # how a call that is complete ends


def _with_config(room: Room) -> Room:
    orders = [
        ([], "CONFIG_FIRST"),
        ([room.more], "CONFIG_FIRST"),
        ([room.opening, room.opening], "CONFIG_ONCE"),
        ([room.opening, type(room.opening)()], "EMPTY_MESSAGE"),
    ]
    room.wrong.extend(orders)
    return room


Heard, Said = asr_pb2.StreamingRecognizeRequest, tts_pb2.StreamingSynthesizeRequest
Shown, Sent = render_pb2.StreamingRenderRequest, train_pb2.UploadRecordingRequest
QUIET = bytes(3200)  # a tenth of a second at 16 kHz
ASKED = llm_pb2.ReplyRequest(messages=[llm_pb2.Message(role=llm_pb2.ROLE_USER, text="Hello, who are you?")])

ROOMS = {
    "asr": _with_config(
        Room(
            AsrEngine,
            AsrSettings,
            AsrServicer,
            lambda channel: asr_pb2_grpc.AsrServiceStub(channel).StreamingRecognize,
            Heard(config=asr_pb2.StreamingRecognizeConfig(sample_rate_hertz=16_000)),
            Heard(audio=QUIET),
        )
    ),
    "llm": Room(
        LlmEngine,
        LlmSettings,
        LlmServicer,
        lambda channel: llm_pb2_grpc.LlmServiceStub(channel).Reply,
        ASKED,
        wrong=[([llm_pb2.ReplyRequest()], "USER_LAST")],
    ),
    "tts": _with_config(
        Room(
            TtsEngine,
            TtsSettings,
            TtsServicer,
            lambda channel: tts_pb2_grpc.TtsServiceStub(channel).StreamingSynthesize,
            Said(config=tts_pb2.SynthesisConfig()),
            Said(text="One, two, three. "),
        )
    ),
    "render": _with_config(
        Room(
            RenderEngine,
            RenderSettings,
            RenderServicer,
            lambda channel: render_pb2_grpc.RenderServiceStub(channel).StreamingRender,
            Shown(config=render_pb2.StreamingRenderConfig(avatar=AVATAR, sample_rate_hertz=16_000)),
            Shown(audio=QUIET),
        )
    ),
    "train": _with_config(
        Room(
            TrainEngine,
            TrainSettings,
            TrainServicer,
            lambda channel: train_pb2_grpc.TrainServiceStub(channel).UploadRecording,
            Sent(config=train_pb2.RecordingConfig(file_name="clip.mp4")),
            Sent(data=b"no video"),
            answered=INVALID,
        )
    ),
}


def _engines(service: str) -> Any:
    return importlib.import_module(f"services.{service}.engines")


EVERY = [(service, name) for service in ROOMS for name in available(_engines(service))]
every_engine = pytest.mark.parametrize(("service", "name"), EVERY, ids=[f"{service}-{name}" for service, name in EVERY])


# By itself


@every_engine
def test_it_keeps_the_engines_contract(service: str, name: str) -> None:
    engine_class = import_engine(_engines(service), name)
    assert issubclass(engine_class, ROOMS[service].contract)
    engine = engine_class(engine_class.settings_type())
    info = engine.info()
    assert info.name == name
    assert info.version
    assert info.licence
    assert info.capabilities <= set(Capability)
    assert engine_class.__doc__


@every_engine
def test_its_settings_are_its_own_and_explained(service: str, name: str) -> None:
    settings = import_engine(_engines(service), name).settings_type
    if settings.model_fields:
        assert settings.model_config["env_prefix"] == f"{service}_{name}_".upper()
    assert all(field.description for field in settings.model_fields.values())


@every_engine
def test_it_knows_neither_grpc_nor_generated_code(service: str, name: str) -> None:
    source = Path(importlib.import_module(f"services.{service}.engines.{name}").__file__)
    imported = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & OUTSIDE


@every_engine
def test_the_service_can_be_set_to_it_and_says_so(service: str, name: str) -> None:
    room = ROOMS[service]
    first, *_ = room.servicer.host(room.settings(engine=name)).describe()
    assert (first.info.name, bool(first.info.licence)) == (name, True)
    with pytest.raises(ValueError, match=name):  # the refusal of a name that is none lists it
        room.servicer.host(room.settings(engine="none-such"))


# Served


@dataclass
class Served:
    """A service with one engine, whose calls are made one at a time: what a call leaves behind blocks the next."""

    room: Room
    settings: ServiceSettings

    def run(self, work: Callable[[Served, Any], Awaitable[Any]]) -> Any:
        """Run `work(self, call)` while it is served; skips an engine that plainly lacks its key or model."""

        async def serve() -> Any:
            server = Server(self.room.servicer(self.settings), self.settings)
            try:
                await server.start()
            except ServiceError as error:
                assert error.message
                pytest.skip(f"{error.reason}: {error.message}")
            self.stop = server.stop
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                call = self.room.call(channel)
                try:
                    if lacking := self._lacks(await self._first(call)):
                        pytest.skip(lacking)
                    return await work(self, call)
                finally:
                    await server.stop()

        return asyncio.run(serve())

    async def _first(self, call: Any) -> tuple[grpc.StatusCode, str, str]:
        """How a complete call ends. One that was refused while it wrote, and so cannot say why, is made again."""
        for _ in range(100):
            ended = await self.ended(call, self.whole())
            if ended[:2] != (grpc.StatusCode.INTERNAL, ""):
                break
        return ended

    def _lacks(self, outcome: tuple[grpc.StatusCode, str, str]) -> str:
        """Why the engine cannot serve here, if it cannot. The default one must."""
        status, reason, message = outcome
        if status is self.room.answered:
            return ""
        assert status in PLAIN, outcome
        assert reason not in ("", "INTERNAL", "LOADING", "UNAVAILABLE"), outcome
        assert message
        assert self.settings.engine != self.room.settings().engine, outcome
        return f"{reason}: {message}"

    def whole(self) -> list[Any]:
        """The requests of a complete call."""
        return [self.room.opening] + [self.room.more] * 3 * (self.room.more is not None)

    async def endless(self) -> AsyncIterator[Any]:
        """Requests of a call that never ends."""
        yield self.room.opening
        while True:
            yield self.room.more
            await asyncio.sleep(0.1)

    def make(self, call: Any, requests: Any, **options: Any) -> Any:
        """Begin a call with these requests."""
        return call(requests[0] if self.room.more is None else requests, **options)

    async def ended(self, call: Any, requests: Any, **options: Any) -> tuple[grpc.StatusCode, str, str]:
        """How a call ended: status, reason and message."""
        return await outcome(self.make(call, requests, **({"timeout": 60} | options)))

    async def eventually_serves(self, call: Any) -> None:
        """The one call that may be open is free again, soon."""
        for _ in range(600):
            status, reason, _ = await self.ended(call, self.whole())
            if status is self.room.answered:
                return
            # grpc.aio's client reports INTERNAL, without a reason, when a refusal comes while it writes.
            assert reason == "BUSY" or (status, reason) == (grpc.StatusCode.INTERNAL, "")
            await asyncio.sleep(0.1)
        raise TimeoutError("a call that was left keeps its place")

    async def until_refused(self, call: Any) -> str:
        """Wait until a call is held, or none is taken any more; why the next one is refused: its reason or status."""
        for _ in range(600):
            status, reason, _ = await self.ended(call, self.whole(), timeout=2)
            if status is not self.room.answered and (status, reason) != (grpc.StatusCode.INTERNAL, ""):
                return reason or status.name
            await asyncio.sleep(0.02)
        raise TimeoutError("every call is answered")

    async def until_no_longer_busy(self, call: Any) -> str:
        """How a call ends that is not told to come again."""
        while True:
            told = await self.until_refused(call)
            if told != "BUSY":
                return told


async def outcome(made: Any) -> tuple[grpc.StatusCode, str, str]:
    """Status, reason and message of a call that has been made."""
    try:
        if hasattr(made, "read"):
            while await made.read() is not grpc.aio.EOF:
                pass
        else:
            await made
    except grpc.aio.AioRpcError as error:
        info, status = error_details_pb2.ErrorInfo(), rpc_status.from_call(error)
        if status:
            status.details[0].Unpack(info)
        return error.code(), info.reason, error.details() or ""
    return grpc.StatusCode.OK, "", ""


@pytest.fixture
def served(service: str, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Served:
    """The engine in its service, with a storage of its own and, for `render`, an avatar that it can show."""
    storage = tmp_path / "storage"
    if service == "render":
        if name != "portrait":
            pytest.skip("only the built-in engine can make its own avatar for a test")
        shutil.copytree(request.getfixturevalue("tiny_avatar"), storage / "avatars" / AVATAR)
    given = REACHED.get((service, name), {})
    if (service, name) == ("tts", "piper"):
        given = {"voice": str(tiny_vits.write(tmp_path / "voice")), "threads": "1"}
    if (service, name) == ("tts", "natural"):
        environment = request.getfixturevalue("monkeypatch")
        environment.setenv("TTS_PIPER_VOICE", str(tiny_vits.write(tmp_path / "voice")))
        environment.setenv("TTS_PIPER_THREADS", "1")
    if (service, name) == ("tts", "kokoro"):
        given = {"model": str(tiny_vits.write_kokoro(tmp_path / "voice")), "threads": "1"}
    settings = ROOMS[service].settings(
        port=0,
        engine=name,
        engines={name: given},
        max_concurrent_calls=1,
        storage_url=storage.as_uri(),
        database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work",
    )
    return Served(ROOMS[service], settings)


@every_engine
def test_it_serves_or_says_plainly_what_it_lacks(served: Served) -> None:
    async def work(served: Served, call: Any) -> None:
        await served.eventually_serves(call)

    with contextlib.suppress(pytest.skip.Exception):  # the checks before the skipping are the point here
        served.run(work)


@every_engine
def test_requests_out_of_order_are_refused(served: Served) -> None:
    async def work(served: Served, call: Any) -> list[tuple[grpc.StatusCode, str]]:
        answers = []
        for requests, _ in served.room.wrong:
            answers.append((await served.ended(call, requests))[:2])
            await served.eventually_serves(call)
        return answers

    assert served.run(work) == [(INVALID, reason) for _, reason in served.room.wrong]


@every_engine
def test_a_caller_who_leaves_frees_the_engine(served: Served) -> None:
    async def work(served: Served, call: Any) -> None:
        for _ in range(3):
            left = served.make(call, served.whole() if served.room.more is None else served.endless())
            if hasattr(left, "read"):
                await left.read()
            if served.room.more is not None:  # else it may have ended already
                assert await served.until_refused(call) == "BUSY"
            left.cancel()
            await served.eventually_serves(call)

    served.run(work)


@every_engine
def test_a_deadline_ends_the_call_and_frees_the_engine(served: Served) -> None:
    if served.room.more is None:
        pytest.skip("a reply ends by itself; test_llm holds one open")

    async def work(served: Served, call: Any) -> tuple[grpc.StatusCode, str]:
        made = served.make(call, served.endless(), timeout=0.5)
        code, reason, _ = await outcome(made)
        await served.eventually_serves(call)
        return code, reason

    # A client of grpc.aio tells INTERNAL when the deadline falls into one of its writes; a service would give a reason.
    assert served.run(work) in ((DEADLINE, ""), (grpc.StatusCode.INTERNAL, ""))


@every_engine
def test_a_call_in_flight_ends_well_while_the_service_drains(served: Served) -> None:
    async def work(served: Served, call: Any) -> tuple[grpc.StatusCode, str]:
        draining = asyncio.Event()

        async def requests() -> AsyncIterator[Any]:
            first, *rest = served.whole()
            yield first
            await draining.wait()
            for request in rest:
                yield request

        if served.room.more is None:
            made = served.make(call, served.whole())
            await made.read()
        else:
            made = served.make(call, requests())
            assert await served.until_refused(call) == "BUSY"
        stopping = asyncio.create_task(served.stop())
        late = await served.until_no_longer_busy(call)
        draining.set()
        code, *_ = await outcome(made)
        await stopping
        return code, late

    code, late = served.run(work)
    assert code is served.room.answered
    assert late in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")  # the last: gRPC ended it, just then
