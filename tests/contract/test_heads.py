"""Both contracts of talking heads on a real server: a batch head that talks and films, and a live one of 30 frames."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.common.v1 import info_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc

from services.common.jobs.store import JobStore
from services.render import engines
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings

HEADS = Path(__file__).resolve().parents[1] / "heads"
Config, Live = render_pb2.StreamingRenderConfig, render_pb2.StreamingRenderRequest
Supply = render_pb2.SupplyGenerationRequest
Call = Callable[..., Any]


class Stub(render_pb2_grpc.RenderServiceStub):
    """The service's calls, and in `jobs` those about its jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)


RATE, SECONDS, LONGEST_S = 22_050, 2.5, 120
FRAMES = round(30 * SECONDS)


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests do not see the engines of this folder."""
    monkeypatch.setattr(engines, "__path__", list(engines.__path__))


@pytest.fixture
def avatar(tmp_path: Path) -> Callable[..., str]:
    """Put an avatar into storage, and say how its engine behaves."""

    def put(engine: str, **behaviour: Any) -> str:
        folder = tmp_path / "storage" / "avatars" / engine.title()
        folder.mkdir(parents=True, exist_ok=True)
        side = {"cards": 128, "brisk": 96}[engine]
        manifest = {"engine": engine, "width": side, "height": side, "fps": 30, engine: behaviour}
        (folder / "avatar.json").write_text(json.dumps(manifest))
        return folder.name

    return put


@pytest.fixture
def settings(tmp_path: Path) -> RenderSettings:
    return RenderSettings(
        port=0, storage_url=(tmp_path / "storage").as_uri(), database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work", starter_avatars=tmp_path / "none", prepare_idle_loops=False,
        engine_folder=HEADS, visible_label=False,
    )  # fmt: skip


@pytest.fixture
def call(serving: Any, settings: RenderSettings) -> Call:
    """Run one coroutine function with a stub of a fresh service."""

    def run(work: Callable[[Any], Awaitable[Any]], **changes: Any) -> Any:
        chosen = settings.model_copy(update=changes)

        async def serve() -> Any:
            async with serving(RenderServicer(chosen), chosen) as channel:
                return await asyncio.wait_for(work(Stub(channel)), LONGEST_S)

        return asyncio.run(serve())

    return run


def steps(rate: int = RATE) -> bytes:
    """A tone that is loud in every other half second."""
    at = np.arange(round(SECONDS * rate)) / rate
    loud = np.where((2 * at).astype(int) % 2 == 0, 0.8, 0.1)
    return (np.sin(2 * np.pi * 200 * at) * loud * 32_000).astype("<i2").tobytes()


def live(avatar: str, **config: Any) -> list[Live]:
    pcm = steps()
    pieces = [pcm[at : at + 8192] for at in range(0, len(pcm), 8192)]
    options = {"avatar": avatar, "sample_rate_hertz": RATE} | config
    return [Live(config=Config(**options)), *(Live(audio=piece) for piece in pieces)]


def told(replies: list[render_pb2.StreamingRenderResponse], kind: str) -> list[Any]:
    return [getattr(reply, kind) for reply in replies if reply.WhichOneof("response") == kind]


def shown(data: bytes) -> tuple[np.ndarray, np.ndarray, float]:
    """Frames (N, H, W, 3), their seconds, and the seconds of sound."""
    with av.open(io.BytesIO(data)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    with av.open(io.BytesIO(data)) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    return np.array([each for _, each in frames]), np.array([at for at, _ in frames]), heard


def check_cards(data: bytes) -> np.ndarray:
    """A film in which every card shows what is heard with it."""
    frames, at, heard = shown(data)
    assert len(frames) == FRAMES
    assert at - at[0] == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)
    assert heard == pytest.approx(SECONDS, abs=0.05)
    is_loud = frames[:, 128 // 2, 64].mean(axis=1) > 150
    middles = [round(30 * (half / 2 + 0.25)) for half in range(5)]
    assert is_loud[middles].tolist() == [True, False, True, False, True]
    return frames


def replies_of(call: Call, messages: list[Live]) -> list[render_pb2.StreamingRenderResponse]:
    async def work(stub: Any) -> list[render_pb2.StreamingRenderResponse]:
        return [reply async for reply in stub.StreamingRender(messages)]

    return call(work)


def test_it_says_whether_it_can_be_live(call: Call, avatar: Callable[..., str]) -> None:
    info = call(lambda stub: stub.GetInfo(render_pb2.GetInfoRequest())).info
    able = {engine.name: info_pb2.CAPABILITY_STREAMING in engine.capabilities for engine in info.engines}
    assert able == {"portrait": True, "cards": False, "brisk": True}


def test_a_batch_head_talks_turn_by_turn(call: Call, avatar: Callable[..., str], settings: RenderSettings) -> None:
    replies = replies_of(call, live(avatar("cards", seconds=0.8)))
    (header,), fragments, (end,) = (told(replies, kind) for kind in ("header", "fragment", "end"))
    assert (header.width, header.height, header.fps) == (128, 128, 30)
    assert end.frame_count == FRAMES
    check_cards(header.init_segment + b"".join(fragment.data for fragment in fragments))
    kinds = [reply.WhichOneof("response") for reply in replies]
    progress = told(replies, "progress")
    assert kinds == ["header", *["progress"] * len(progress), *["fragment"] * len(fragments), "end"]
    assert list(dict.fromkeys(each.stage for each in progress)) == ["listen", "load", "shuffling", "dealing"]
    shares = [each.progress for each in progress]
    assert shares == sorted(shares)
    assert progress[2].eta.ToTimedelta().total_seconds() == pytest.approx(0.8)
    assert not progress[0].HasField("eta")
    assert not list(settings.work_folder.glob("clip-*"))


def test_a_batch_head_that_is_shown_smaller(call: Call, avatar: Callable[..., str]) -> None:
    (header,) = told(replies_of(call, live(avatar("cards"), size=64)), "header")
    assert (header.width, header.height) == (64, 64)


def test_nothing_said_is_nothing_rendered(call: Call, avatar: Callable[..., str]) -> None:
    replies = replies_of(call, live(avatar("cards"))[:1])
    assert [reply.WhichOneof("response") for reply in replies] == ["header", "progress", "end"]


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "services.render.clip" in one.cmdline()]


def test_whoever_goes_away_ends_the_engine_and_lets_the_next_one_in(
    call: Call, avatar: Callable[..., str], settings: RenderSettings
) -> None:
    async def work(stub: Any) -> list[str]:
        stream = stub.StreamingRender(live(avatar("cards", seconds=100)))
        async for reply in stream:
            if reply.progress.stage == "shuffling":
                break
        assert len(children()) == 1
        waiting = stub.StreamingRender(live("Cards"))
        stages = []
        async for reply in waiting:
            stages.append(reply.progress.stage)
            if stages[-1] == "queue":
                avatar("cards", seconds=0.2)
                stream.cancel()
        return stages

    stages = call(work)
    assert stages.index("queue") < stages.index("shuffling") < len(stages) - 1
    assert not children()
    assert not list(settings.work_folder.glob("clip-*"))


WRONG = [
    ({"fails": True}, grpc.StatusCode.UNAVAILABLE, "CARDS_WRONG"),
    ({"share": 0.0}, grpc.StatusCode.INTERNAL, "NO_CLIP"),
    ({"share": 0.5}, grpc.StatusCode.INTERNAL, "CLIP_TOO_SHORT"),
]


@pytest.mark.parametrize(("behaviour", "code", "reason"), WRONG)
def test_an_engine_that_fails_is_told(
    call: Call, avatar: Callable[..., str], behaviour: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        replies_of(call, live(avatar("cards", **behaviour)))
    info = error_details_pb2.ErrorInfo()
    assert next(detail for detail in rpc_status.from_call(failure.value).details if detail.Is(info.DESCRIPTOR)).Unpack(
        info
    )
    assert (failure.value.code(), info.reason) == (code, reason)


def test_parameters_are_the_engines_own(call: Call, avatar: Callable[..., str]) -> None:
    red = info_pb2.ParameterValue(name="red", integer=200)
    replies = replies_of(call, live(avatar("cards"), parameters=[red]))
    film = told(replies, "header")[0].init_segment + b"".join(each.data for each in told(replies, "fragment"))
    assert check_cards(film)[0, 5, 5, 0] == pytest.approx(200, abs=12)
    for wrong in (info_pb2.ParameterValue(name="blue", integer=1), info_pb2.ParameterValue(name="red", integer=300)):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            replies_of(call, live("Cards", parameters=[wrong])[:1])
        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_live_head_keeps_its_own_time(call: Call, avatar: Callable[..., str]) -> None:
    expression = render_pb2.Expression(mouth_amplitude=1.5)  # which it cannot be told: it is given the neutral one
    replies = replies_of(call, live(avatar("brisk"), start_frame_index=12, expression=expression))
    (header,), fragments, (end,) = (told(replies, kind) for kind in ("header", "fragment", "end"))
    frames, at, heard = shown(header.init_segment + b"".join(fragment.data for fragment in fragments))
    assert (header.fps, end.frame_count, end.next_frame_index) == (30, FRAMES, (12 + FRAMES) % 60)
    assert at - at[0] == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)
    assert heard == pytest.approx(SECONDS, abs=0.05)
    greys = frames[:, 48, 48].mean(axis=1)
    assert greys == pytest.approx(40 + 3 * ((12 + np.arange(FRAMES)) % 60), abs=4)
    indices = [index for fragment in fragments for index in fragment.idle_frame_indices]
    assert indices == [(12 + index) % 60 for index in range(FRAMES)]


async def filmed(stub: Any, avatar: str, **options: Any) -> jobs_pb2.Job:
    """A video that is being made."""
    request = render_pb2.CreateGenerationRequest(avatar=avatar, **options)
    job = (await stub.CreateGeneration(request)).job
    supply = [Supply(config=render_pb2.SupplyConfig(id=job.id)), Supply(data=brought_speech())]
    return (await stub.SupplyGeneration([*supply, Supply(end=render_pb2.SupplyEnd())])).job


def brought_speech() -> bytes:
    """The tone as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams((1, 2, RATE, 0, "NONE", ""))
        target.writeframes(steps())
    return file.getvalue()


async def watched(stub: Any, job_id: str) -> Any:
    async for reply in stub.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job_id)):
        yield reply.job


async def video_of(stub: Any, job_id: str) -> bytes:
    request = jobs_pb2.ReadJobFileRequest(id=job_id, file=jobs_pb2.JOB_FILE_VIDEO)
    return b"".join([reply.data async for reply in stub.jobs.ReadJobFile(request)])


def test_both_make_files(call: Call, avatar: Callable[..., str]) -> None:
    async def work(stub: Any) -> dict[str, Any]:
        films = {}
        for name in (avatar("cards", seconds=1.2), avatar("brisk")):
            job = await filmed(stub, name)
            seen = [(one.stage, one.progress) async for one in watched(stub, job.id)]
            films[name] = await video_of(stub, job.id), seen
        return films

    films = call(work)
    check_cards(films["Cards"][0])
    stages = [stage for stage, _ in films["Cards"][1]]
    assert "shuffling" in stages
    shares = [share for _, share in films["Cards"][1]]
    assert shares == sorted(shares)
    frames, at, heard = shown(films["Brisk"][0])
    assert (len(frames), heard) == (FRAMES, pytest.approx(SECONDS, abs=0.05))
    assert at == pytest.approx(np.arange(FRAMES) / 30, abs=1e-3)


def test_a_film_is_never_seen_that_does_not_tell_that_it_waits(
    call: Call, avatar: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever repeats a request that was killed must learn that the recording is to be brought."""
    request = render_pb2.CreateGenerationRequest(avatar=avatar("cards"), request_id="once")

    async def work(stub: Any) -> jobs_pb2.Job:
        with monkeypatch.context() as dying, pytest.raises(grpc.aio.AioRpcError):
            dying.setattr(JobStore, "get", lambda *_: 1 / 0)  # what follows the row is lost
            dying.setattr(JobStore, "update", lambda *_, **__: 1 / 0)
            await stub.CreateGeneration(request)
        return (await stub.CreateGeneration(request)).job

    assert call(work).stage == "input"


def test_a_film_of_a_batch_head_is_cancelled_while_the_clip_is_made(
    call: Call, avatar: Callable[..., str], settings: RenderSettings
) -> None:
    async def work(stub: Any) -> Any:
        job = await filmed(stub, avatar("cards", seconds=100))
        async for one in watched(stub, job.id):
            if one.stage == "shuffling":
                await stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job.id))
        return one.state

    assert call(work) == jobs_pb2.JOB_STATE_CANCELLED
    assert not [one for one in psutil.Process().children() if "services.render.job" in one.cmdline()]


def test_a_film_that_failed_goes_on_from_what_its_engine_has_kept(call: Call, avatar: Callable[..., str]) -> None:
    async def work(stub: Any) -> bytes:
        job = await filmed(stub, avatar("cards", stumbles=True))
        failed = [one async for one in watched(stub, job.id)][-1]
        assert (failed.state, failed.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "CARDS_WRONG")
        await stub.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=job.id))
        assert [one async for one in watched(stub, job.id)][-1].state == jobs_pb2.JOB_STATE_SUCCEEDED
        return await video_of(stub, job.id)

    check_cards(call(work))


def test_what_cannot_be_told_how_lively_to_be_refuses_it(call: Call, avatar: Callable[..., str]) -> None:
    async def work(stub: Any) -> None:
        await filmed(stub, avatar("cards"), expression=render_pb2.Expression(mouth_amplitude=0.7))

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        call(work)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be told how lively to be" in failure.value.details()


def test_idle_loops(call: Call, avatar: Callable[..., str], settings: RenderSettings) -> None:
    async def work(stub: Any) -> tuple[bytes, grpc.StatusCode]:
        async def idle(name: str) -> bytes:
            request = render_pb2.ReadAvatarFileRequest(name=name, file=render_pb2.AVATAR_FILE_IDLE)
            return b"".join([reply.data async for reply in stub.ReadAvatarFile(request)])

        (Path(settings.storage_url.removeprefix("file://")) / "avatars" / avatar("brisk") / "idle.mp4").write_bytes(b"")
        drawn = await idle("Brisk")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await idle(avatar("cards"))
        return drawn, failure.value.code()

    drawn, code = call(work)
    assert code is grpc.StatusCode.NOT_FOUND
    with av.open(io.BytesIO(drawn)) as container:
        assert container.streams.video[0].average_rate == 30
        assert sum(1 for _ in container.decode(video=0)) == 60
