"""The rendering service, called as its callers call it, with a really trained avatar."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import threading
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.common.v1 import media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc

from services.common import tidying
from services.common.jobs import runner
from services.common.jobs.store import JobStore, State
from services.common.server import Server
from services.common.storage import Storage
from services.render import servicer
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings

Config, Live = render_pb2.StreamingRenderConfig, render_pb2.StreamingRenderRequest
Supply = render_pb2.SupplyGenerationRequest
Closures, Closure = media_pb2.LipClosures, media_pb2.LipClosure
NAME = "Ada 测试"
Call = Callable[..., Any]
LONGEST_S = 300  # only ends what would hang


class Stub(render_pb2_grpc.RenderServiceStub):
    """The service's calls, and in `jobs` those about its jobs."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.jobs = jobs_pb2_grpc.JobServiceStub(channel)


@pytest.fixture
def settings(tmp_path: Path, tiny_avatar: Path) -> RenderSettings:
    storage = tmp_path / "storage"
    shutil.copytree(tiny_avatar, storage / "avatars" / NAME)
    return RenderSettings(
        port=0,
        storage_url=storage.as_uri(),
        database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work",
        max_streams=2,
        drain_seconds=120,
        starter_avatars=tmp_path / "none",
        prepare_idle_loops=False,
    )


@pytest.fixture
def call(serving: Any, settings: RenderSettings) -> Call:
    """Run one coroutine function with a stub of a fresh service."""

    def run(work: Callable[[Stub], Awaitable[Any]], **changes: Any) -> Any:
        chosen = settings.model_copy(update=changes)

        async def serve() -> Any:
            async with serving(RenderServicer(chosen), chosen) as channel:
                return await work(Stub(channel))

        return asyncio.run(serve())

    return run


def tone(seconds: float, rate: int) -> bytes:
    """Something voiced, as PCM."""
    at = np.arange(round(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * 140 * at) * (0.5 + 0.4 * np.sin(2 * np.pi * 3 * at))
    return (wave * 12_000).astype("<i2").tobytes()


def live(pcm: bytes, **config: Any) -> list[Live]:
    options = {"avatar": NAME, "sample_rate_hertz": 16_000} | config
    pieces = [pcm[at : at + 8192] for at in range(0, len(pcm), 8192)]
    return [Live(config=Config(**options)), *(Live(audio=piece) for piece in pieces)]


def shut(*spans: tuple[int, int]) -> Closures:
    """Closures as first sample and samples."""
    return Closures(closures=[Closure(sample_index=start, sample_count=count) for start, count in spans])


async def refused(awaited: Any) -> tuple[grpc.StatusCode, str, str]:
    """The status, reason and field of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        if hasattr(awaited, "__aiter__"):
            async for _ in awaited:
                pass
        else:
            await awaited
    status = rpc_status.from_call(failure.value)
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(request)
    field = request.field_violations[0].field if request.field_violations else ""
    return failure.value.code(), info.reason, field


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


# Live


def test_speech_becomes_fragments_on_one_clock(call: Call) -> None:
    async def work(stub: Stub) -> list[render_pb2.StreamingRenderResponse]:
        return [reply async for reply in stub.StreamingRender(live(tone(2.0, 22_050), sample_rate_hertz=22_050))]

    replies = call(work)
    header, *fragments, end = (getattr(reply, reply.WhichOneof("response")) for reply in replies)
    assert [reply.WhichOneof("response") for reply in replies[:: len(replies) - 1]] == ["header", "end"]
    assert header.media_type.startswith('video/mp4; codecs="avc1.')
    assert (header.width, header.fps) == (header.height, 25.0)
    starts = [fragment.frame_index for fragment in fragments]
    assert starts == list(np.cumsum([0, *(fragment.frame_count for fragment in fragments)]))[:-1]
    assert fragments[0].frame_count <= 5
    assert max(fragment.frame_count for fragment in fragments) <= 10
    assert all(fragment.encoding_duration.ToNanoseconds() > 0 for fragment in fragments)
    assert end.frame_count in (50, 51)
    video, sound = decoded(header.init_segment + b"".join(fragment.data for fragment in fragments))
    assert len(video) == end.frame_count
    assert sound == pytest.approx(end.frame_count / 25, abs=0.03)


def decoded(data: bytes) -> tuple[list[float], float]:
    """Times of the pictures, and the seconds of sound."""
    with av.open(io.BytesIO(data)) as container:
        pictures = [frame.time for frame in container.decode(video=0)]
    with av.open(io.BytesIO(data)) as container:
        sound = sum(frame.samples for frame in container.decode(audio=0) if frame.time >= 0) / 48_000
    return pictures, sound


def test_what_is_made_says_that_it_is_synthetic(call: Call) -> None:
    async def work(stub: Stub) -> bytes:
        return b"".join(
            [r.header.init_segment + r.fragment.data async for r in stub.StreamingRender(live(tone(0.5, 16_000)))]
        )

    with av.open(io.BytesIO(call(work))) as container:
        label = json.loads(container.metadata["AIGC"])
        assert label["Label"] == "1"
        assert label["ProduceID"]
        assert "Synthetic" in container.metadata["comment"]


def test_every_reply_ends_in_the_idle_loop(call: Call, tiny_avatar: Path) -> None:
    async def work(stub: Stub) -> list[render_pb2.StreamingRenderEnd]:
        ends = []
        for start in (0, 7, 10**9):
            replies = [r async for r in stub.StreamingRender(live(tone(0.4, 16_000), start_frame_index=start))]
            ends.append(replies[-1].end)
        return ends

    ends = call(work)
    assert [end.frame_count for end in ends] == [10, 10, 10]
    frames = json.loads((tiny_avatar / "avatar.json").read_text())["idle_frames"]
    assert all(0 <= end.next_frame_index < frames for end in ends)


def test_fragments_tell_where_the_idle_loop_goes_on(call: Call, tiny_avatar: Path) -> None:
    async def work(stub: Stub) -> list[render_pb2.StreamingRenderResponse]:
        return [r async for r in stub.StreamingRender(live(tone(0.8, 16_000), start_frame_index=3))]

    *replies, last = call(work)
    fragments = [reply.fragment for reply in replies if reply.WhichOneof("response") == "fragment"]
    assert [len(fragment.idle_frame_indices) for fragment in fragments] == [each.frame_count for each in fragments]
    frames = json.loads((tiny_avatar / "avatar.json").read_text())["idle_frames"]
    alike = [index for fragment in fragments for index in fragment.idle_frame_indices]
    assert all(0 <= index < frames for index in alike)
    assert (alike[-1] + 1) % frames == last.end.next_frame_index


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to come true; what it then is."""
    deadline = time.monotonic() + LONGEST_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return found


def loops(folder: Path) -> list[Path]:
    """The idle loops of an avatar."""
    return list(folder.glob("idle-*.mp4"))


def drawing(work_folder: Path) -> list[Path]:
    """Where idle loops are being drawn."""
    return list(work_folder.glob("idle-*"))


def test_idle_loops_are_drawn_before_anybody_asks_for_them(call: Call, settings: RenderSettings) -> None:
    avatars = Path(settings.storage_url.removeprefix("file://")) / "avatars"

    async def work(stub: Stub) -> bytes:
        await until(lambda: drawing(settings.work_folder))  # so it is known by now which are to be drawn
        shutil.copytree(avatars / NAME, avatars / "Bea", ignore=shutil.ignore_patterns("idle-*"))  # one is trained
        await stub.ListAvatars(render_pb2.ListAvatarsRequest())
        (drawn,) = await until(lambda: loops(avatars / "Bea"))
        drawn.write_bytes(b"as it was drawn")
        request = render_pb2.ReadAvatarFileRequest(name="Bea", file=render_pb2.AVATAR_FILE_IDLE)
        return b"".join([piece.data async for piece in stub.ReadAvatarFile(request)])

    assert call(work, prepare_idle_loops=True) == b"as it was drawn"


def test_nothing_of_an_avatar_comes_back_that_was_forgotten_while_its_loop_was_drawn(
    call: Call, settings: RenderSettings
) -> None:
    folder = Path(settings.storage_url.removeprefix("file://")) / "avatars" / NAME

    async def work(stub: Stub) -> None:
        await until(lambda: drawing(settings.work_folder))
        await stub.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=NAME))
        await until(lambda: not drawing(settings.work_folder))

    call(work, prepare_idle_loops=True)
    assert not list(folder.rglob("*"))


def test_the_idle_loop_looks_like_the_replies(call: Call, tiny_avatar: Path) -> None:
    async def work(stub: Stub) -> list[bytes]:
        request = render_pb2.ReadAvatarFileRequest(name=NAME, file=render_pb2.AVATAR_FILE_IDLE)
        return [b"".join([piece.data async for piece in stub.ReadAvatarFile(request)]) for _ in range(2)]

    labelled, again = call(work)
    (plain, _) = call(work, visible_label=False)
    assert labelled == again
    frames = json.loads((tiny_avatar / "avatar.json").read_text())["idle_frames"]
    first = []
    for data in (labelled, plain):
        with av.open(io.BytesIO(data)) as container:
            assert not container.streams.audio
            assert json.loads(container.metadata["AIGC"])["Label"] == "1"
            pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
            assert len(pictures) == frames
            first.append(pictures[0])
    apart = np.abs(first[0] - first[1]).max(axis=2)
    half = len(apart) // 2
    assert apart[:half, :half].max() > 100, "the label stands in the upper left corner"
    assert apart[half:].max() < 30


def test_size_is_honoured_and_silence_ends_politely(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, Any]:
        sized = [r async for r in stub.StreamingRender(live(tone(0.2, 16_000), size=96))]
        nothing = [r async for r in stub.StreamingRender(live(b""))]
        return sized, nothing

    sized, nothing = call(work)
    assert (sized[0].header.width, sized[0].header.height) == (96, 96)
    assert [r.WhichOneof("response") for r in nothing] == ["header", "end"]
    assert nothing[-1].end.frame_count == 0


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], (INVALID, "CONFIG_FIRST", "config")),
        ([Live(audio=b"12")], (INVALID, "CONFIG_FIRST", "config")),
        (live(b"") + live(b""), (INVALID, "CONFIG_ONCE", "config")),
        (live(b"123"), (INVALID, "PCM_ODD_LENGTH", "audio")),
        (live(b"", sample_rate_hertz=4000), (INVALID, "SAMPLE_RATE_OUT_OF_RANGE", "sample_rate_hertz")),
        (live(b"", expression={"mouth_amplitude": 1.6}), (INVALID, "NUMBER_OUT_OF_RANGE", "mouth_amplitude")),
        (live(b"", expression={"head_motion": -0.1}), (INVALID, "NUMBER_OUT_OF_RANGE", "head_motion")),
        (live(b"", expression={"head_motion": float("nan")}), (INVALID, "NUMBER_OUT_OF_RANGE", "head_motion")),
        (live(b"", size=97), (INVALID, "BAD_SIZE", "size")),
        (live(b"", size=99_998), (INVALID, "BAD_SIZE", "size")),
        ([*live(b""), Live(closures=shut((-1, 5)))], (INVALID, "BAD_CLOSURE", "closures")),
        ([*live(b""), Live(closures=shut((0, 0)))], (INVALID, "BAD_CLOSURE", "closures")),
        ([*live(b""), Live(closures=shut((0, 50), (49, 5)))], (INVALID, "BAD_CLOSURE", "closures")),
        ([*live(b""), *[Live(closures=shut((9, 5)))] * 2], (INVALID, "BAD_CLOSURE", "closures")),
        (
            [*live(b""), Live(closures=shut(*((at, 1) for at in range(1001))))],
            (INVALID, "TOO_MANY_CLOSURES", "closures"),
        ),
        (live(b"", avatar="nobody"), (MISSING, "AVATAR_NOT_FOUND", "avatar")),
        (live(b"", avatar="../../etc"), (MISSING, "AVATAR_NOT_FOUND", "avatar")),
        (live(b"", avatar=""), (MISSING, "AVATAR_NOT_FOUND", "avatar")),
    ],
)
def test_what_cannot_be_rendered_is_refused(call: Call, messages: list[Live], expected: tuple[Any, ...]) -> None:
    assert call(lambda stub: refused(stub.StreamingRender(messages))) == expected


def pictures(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


CLOSED = (16_000, 1_280)  # frames 25 and 26 of 40 ms, at 16 kHz


def babble(seconds: float) -> bytes:
    """What opens the mouth three times a second, widest in frames 25 and 26, as PCM at 16 kHz."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    wave = 0.15 * (1 + np.sin(2 * np.pi * 3 * at)) * np.sign(np.sin(2 * np.pi * 140 * at))
    return (wave * 32_767).astype("<i2").tobytes()


def changed(heard: bytes, told: bytes) -> list[float]:
    """How far each picture is from what it was without closures."""
    return [float(np.abs(one - other).mean()) for one, other in zip(pictures(heard), pictures(told), strict=True)]


def test_the_mouth_is_drawn_otherwise_where_it_is_told_to_be_shut(call: Call) -> None:
    async def work(stub: Stub, messages: list[Live]) -> bytes:
        replies = [reply async for reply in stub.StreamingRender(messages)]
        return b"".join(reply.header.init_segment + reply.fragment.data for reply in replies)

    config, *audio = live(babble(2.0))
    heard = call(lambda stub: work(stub, [config, *audio]))
    told = call(lambda stub: work(stub, [config, Live(closures=shut(CLOSED)), *audio]))
    apart = changed(heard, told)
    assert min(apart[25:27]) > 3 * max(apart[:24])


def test_cancel_and_deadline_free_the_stream(call: Call, eventually: Any) -> None:
    async def endless() -> AsyncIterator[Live]:
        yield live(b"")[0]
        while True:
            yield Live(audio=tone(0.5, 16_000))
            await asyncio.sleep(0.2)

    async def whole(stub: Stub) -> list[Any]:
        return [r async for r in stub.StreamingRender(live(tone(0.2, 16_000)))]

    async def work(stub: Stub) -> None:
        for _ in range(2):  # one stream at a time: one that stayed would block the next
            stream = stub.StreamingRender(endless())
            async for reply in stream:
                if reply.WhichOneof("response") == "fragment":
                    break
            stream.cancel()
            assert (await eventually(lambda: whole(stub)))[-1].HasField("end")
            code, reason, _ = await refused(stub.StreamingRender(endless(), timeout=1.0))
            assert (code, reason) in ((grpc.StatusCode.DEADLINE_EXCEEDED, ""), (grpc.StatusCode.INTERNAL, ""))
            assert (await eventually(lambda: whole(stub)))[-1].HasField("end")

    call(work, max_streams=1)


def test_more_streams_than_the_machine_can_show_are_turned_away(call: Call) -> None:
    async def held(released: asyncio.Event) -> AsyncIterator[Live]:
        yield live(b"")[0]
        await released.wait()

    async def work(stub: Stub) -> tuple[Any, ...]:
        released = asyncio.Event()
        streams = [stub.StreamingRender(held(released)) for _ in range(2)]
        for stream in streams:
            await stream.read()
        answer = await refused(stub.StreamingRender(live(b"")))
        released.set()
        for stream in streams:
            assert (await stream.read()).HasField("end")
        return answer

    assert call(work)[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY")


# Avatars


def test_avatars_are_listed_described_read_and_forgotten(call: Call, settings: RenderSettings) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        listed = (await stub.ListAvatars(render_pb2.ListAvatarsRequest())).avatars
        found = (await stub.GetAvatar(render_pb2.GetAvatarRequest(name=NAME))).avatar
        request = render_pb2.ReadAvatarFileRequest(
            name=NAME, file=render_pb2.AVATAR_FILE_THUMBNAIL, offset_bytes=2, limit_bytes=5
        )
        part = [reply async for reply in stub.ReadAvatarFile(request)]
        await stub.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=NAME))
        return listed, found, part, await refused(stub.GetAvatar(render_pb2.GetAvatarRequest(name=NAME)))

    listed, found, part, gone = call(work)
    assert [avatar.name for avatar in listed] == [NAME]
    assert (found.engine, found.width, found.fps) == ("portrait", found.height, 25.0)
    assert found.report["metrics"]["psnr"] > 0
    assert render_pb2.AVATAR_FILE_IDLE in found.files
    header, *data = part
    assert header.header.content_type == "image/jpeg"
    assert sum(len(piece.data) for piece in data) == 5
    assert gone == (MISSING, "AVATAR_NOT_FOUND", "name")


def put_avatar(settings: RenderSettings, name: str, manifest: str | None, *, age_s: float = 0) -> None:
    """An avatar's folder as some earlier day left it."""
    folder = Path(settings.storage_url.removeprefix("file://")) / "avatars" / name
    folder.mkdir(parents=True)
    (folder / "thumbnail.jpg").write_bytes(b"a picture")
    if manifest is not None:
        (folder / "avatar.json").write_text(manifest)
    for file in folder.iterdir():
        os.utime(file, (time.time() - age_s,) * 2)


def test_avatars_come_in_pages_small_whatever_was_stored(call: Call, settings: RenderSettings) -> None:
    consent = {"given_by": "Ada L. " * 57_000, "time": "2026-11-20T00:00:00+00:00"}
    stored = {"engine": "portrait", "size": 256, "consent": consent, "report": {"curve": [0.5] * 20_000}}
    names = [f"avatar {number:02}" for number in range(12)]
    for name in names:
        put_avatar(settings, name, json.dumps(stored))

    async def work(stub: Stub) -> list[list[render_pb2.Avatar]]:
        pages, token = [], ""
        while not pages or token:
            reply = await stub.ListAvatars(render_pb2.ListAvatarsRequest(page_size=5, page_token=token))
            pages.append(list(reply.avatars))
            token = reply.next_page_token
        return pages

    pages = call(work, prepare_idle_loops=False)
    avatars = [avatar for page in pages for avatar in page]
    assert [avatar.name for avatar in avatars if not avatar.HasField("error")] == sorted([*names, NAME])
    assert max(len(page) for page in pages) <= 5
    assert all(sum(avatar.ByteSize() for avatar in page) < 3 * 2**20 for page in pages)
    assert avatars[-1].consent.given_by == ("Ada L. " * 57_000)[:199] + "…"


CARD = {"engine": "portrait", "size": 256, "created_at": "2026-11-20T00:00:00+00:00", "training_id": "training-0f1e"}
DAMAGES = {
    "truncated": json.dumps(CARD | {"more": 1})[:-4],
    "empty": "",
    "list": "[]",
    "no engine": "{}",
    "wrong type": json.dumps(CARD | {"fps": {"is": "a dict"}}),
    "wrong consent": json.dumps(CARD | {"consent": ["Ada"]}),
    "no moment": json.dumps(CARD | {"created_at": "yesterday"}),
    "huge": json.dumps(CARD | {"size": 10**30}),
    "nested": json.dumps(CARD | {"report": None}).replace("null", '{"a":' * 40 + "1" + "}" * 40),
    "no manifest": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_avatar_is_listed_refused_and_can_be_deleted(
    call: Call, settings: RenderSettings, damage: str
) -> None:
    put_avatar(settings, "damaged", DAMAGES[damage], age_s=3600)
    storage = Path(settings.storage_url.removeprefix("file://"))
    preview = storage / "trainings" / CARD["training_id"] / "preview.jpg"
    preview.parent.mkdir(parents=True)
    preview.write_bytes(b"a face")
    is_known = CARD["training_id"] in (DAMAGES[damage] or "")

    async def work(stub: Stub) -> tuple[Any, ...]:
        before = (await stub.ListAvatars(render_pb2.ListAvatarsRequest())).avatars
        one = (await stub.GetAvatar(render_pb2.GetAvatarRequest(name="damaged"))).avatar
        file = render_pb2.ReadAvatarFileRequest(name="damaged", file=render_pb2.AVATAR_FILE_THUMBNAIL)
        refusals = [
            await refused(stub.ReadAvatarFile(file)),
            await refused(stub.CreateGeneration(render_pb2.CreateGenerationRequest(avatar="damaged"))),
            await refused(stub.StreamingRender(live(b"", avatar="damaged"))),
        ]
        await stub.DeleteAvatar(render_pb2.DeleteAvatarRequest(name="damaged"))
        after = (await stub.ListAvatars(render_pb2.ListAvatarsRequest())).avatars
        return before, one, refusals, after

    before, one, refusals, after = call(work)
    assert {avatar.name: avatar.error.reason for avatar in before} == {NAME: "", "damaged": "AVATAR_DAMAGED"}
    assert (one.name, one.error.reason, list(one.files)) == ("damaged", "AVATAR_DAMAGED", [])
    assert [refusal[:2] for refusal in refusals] == [(grpc.StatusCode.FAILED_PRECONDITION, "AVATAR_DAMAGED")] * 3
    assert [avatar.name for avatar in after] == [NAME]
    assert preview.exists() != is_known, "the previews of its training show the person too"


def test_a_report_that_no_list_could_carry_is_shown_short(call: Call, settings: RenderSettings) -> None:
    put_avatar(settings, "endless", json.dumps(CARD | {"kind": "photo", "report": {"curve": [0.5] * 200_000}}))
    listed = call(lambda stub: stub.ListAvatars(render_pb2.ListAvatarsRequest())).avatars
    endless = next(avatar for avatar in listed if avatar.name == "endless")
    assert not endless.HasField("error")
    assert (endless.report["kind"], "report" in endless.report, endless.ByteSize() < 5000) == ("photo", False, True)


def test_an_avatar_that_is_being_stored_is_not_listed_yet(call: Call, settings: RenderSettings) -> None:
    put_avatar(settings, "half", None)
    listed = call(lambda stub: stub.ListAvatars(render_pb2.ListAvatarsRequest())).avatars
    assert [avatar.name for avatar in listed] == [NAME]


def test_an_avatar_file_that_is_not_there_is_not_found(call: Call) -> None:
    request = render_pb2.ReadAvatarFileRequest(name=NAME, file=render_pb2.AVATAR_FILE_TRANSCRIPT)
    assert call(lambda stub: refused(stub.ReadAvatarFile(request))) == (MISSING, "FILE_NOT_FOUND", "file")


def test_info_names_engine_and_machine(call: Call) -> None:
    info = call(lambda stub: stub.GetInfo(render_pb2.GetInfoRequest())).info
    assert info.default_engine == "portrait"
    assert "portrait" in [engine.name for engine in info.engines]
    assert info.hardware.cpu_count > 0
    assert info.devices[-1] == "cpu"


def test_only_devices_that_jobs_run_on_are_told_and_can_be_asked_for(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        info = (await stub.GetInfo(render_pb2.GetInfoRequest())).info
        return list(info.devices), await refused(create(stub, device="cpu")), await create(stub, device="cuda:7")

    devices, answer, job = call(work, job_devices=["cuda:7"])
    assert devices == ["cuda:7"]
    assert answer == (INVALID, "NO_DEVICE", "device"), "a job that nobody would ever begin"
    assert job.id


# Videos

VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello 你好\n"


async def create(stub: Stub, **options: Any) -> jobs_pb2.Job:
    request = render_pb2.CreateGenerationRequest(**({"avatar": NAME} | options))
    return (await stub.CreateGeneration(request)).job


def supply(job_id: str, data: bytes, *, rate: int = 0, is_whole: bool = True) -> list[Supply]:
    """What brings a file, or PCM of a `rate` as one."""
    data = wav(data, rate) if rate else data
    messages = [Supply(config=render_pb2.SupplyConfig(id=job_id))]
    messages += [Supply(data=data[at : at + 65_536]) for at in range(0, len(data), 65_536)]
    return messages + ([Supply(end=render_pb2.SupplyEnd())] if is_whole else [])


def wav(pcm: bytes, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(pcm)
    return file.getvalue()


def test_speech_that_breaks_off_is_waited_for_anew(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        waiting = (await create(stub)).id
        part = supply(waiting, tone(1, 16_000), rate=16_000, is_whole=False)
        answer = await refused(stub.SupplyGeneration(part))
        still = (await stub.jobs.GetJob(jobs_pb2.GetJobRequest(id=waiting))).job
        await stub.SupplyGeneration(supply(waiting, tone(0.5, 16_000), rate=16_000))
        return answer, still, (await finished(stub, waiting))[-1]

    answer, still, last = call(work)
    assert answer == (INVALID, "SPEECH_BROKEN_OFF", "end")
    assert (still.state, still.stage) == (jobs_pb2.JOB_STATE_QUEUED, "input")
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert last.generation.duration.ToTimedelta().total_seconds() == pytest.approx(0.5, abs=0.1)


async def finished(stub: Stub, job_id: str) -> list[jobs_pb2.Job]:
    watching = stub.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job_id), timeout=900)
    return [reply.job async for reply in watching]


def test_speech_becomes_a_video(call: Call, settings: RenderSettings) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub, request_id="r")
        again = await create(stub, request_id="r")
        await stub.SupplyGeneration(supply(job.id, tone(1.5, 24_000), rate=24_000))
        seen = await finished(stub, job.id)
        files = {}
        for kind in seen[-1].files:
            replies = stub.jobs.ReadJobFile(jobs_pb2.ReadJobFileRequest(id=job.id, file=kind))
            files[kind] = b"".join([reply.data async for reply in replies])
        conflict = await refused(stub.SupplyGeneration(supply(job.id, b"", rate=16_000)))
        return job, again, seen, files, conflict

    job, again, seen, files, conflict = call(work)
    assert again.id == job.id
    assert (job.state, job.stage) == (jobs_pb2.JOB_STATE_QUEUED, "input")
    assert seen[-1].state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert [g.progress for g in seen] == sorted(g.progress for g in seen)
    assert seen[-1].generation.duration.ToTimedelta().total_seconds() == pytest.approx(1.5, abs=0.01)
    assert list(files) == [jobs_pb2.JOB_FILE_VIDEO]
    pictures, sound = decoded(files[jobs_pb2.JOB_FILE_VIDEO])
    assert len(pictures) in (37, 38)
    assert sound == pytest.approx(1.5, abs=0.06)
    assert conflict == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_WAITING", "id")
    folder = Path(settings.storage_url.removeprefix("file://")) / "generations" / job.id
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "video.mp4"]


async def last(stub: Stub, job_id: str) -> jobs_pb2.Job:
    return (await finished(stub, job_id))[-1]


def test_a_video_that_is_made_survives_a_kill_before_its_job_is_told(call: Call, settings: RenderSettings) -> None:
    store = JobStore(settings.database_url)

    async def work(stub: Stub) -> tuple[Any, ...]:
        job_id = (await create(stub)).id
        await stub.SupplyGeneration(supply(job_id, tone(0.5, 16_000), rate=16_000))
        done = (await finished(stub, job_id))[-1]
        lost = {"state": State.FAILED, "result": None, "error": runner.CRASHED, "ended_at": time.time()}
        store.update(job_id, **lost)  # as if nobody had heard of its end
        kept = (await stub.jobs.GetJob(jobs_pb2.GetJobRequest(id=job_id))).job.can_resume
        await stub.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=job_id))
        return done, kept, (await finished(stub, job_id))[-1]

    done, kept, again = call(work)
    store.close()
    assert kept
    assert (again.state, again.files) == (jobs_pb2.JOB_STATE_SUCCEEDED, done.files), again.error
    assert again.generation.duration == done.generation.duration


def test_of_two_that_bring_speech_the_later_spoils_nothing(
    call: Call, settings: RenderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file, first_has_won, seen = Storage.put_file, threading.Event(), threading.Event()
    monkeypatch.setattr(runner, "MAX_ATTEMPTS", 0)  # what was brought stays where it is
    folders = Path(settings.storage_url.removeprefix("file://")) / "generations"

    def put_the_longer_one_last(self: Storage, local: Path, key: str) -> None:
        if local.stat().st_size > 40_000:
            seen.set()
            assert first_has_won.wait(LONGEST_S)
        put_file(self, local, key)

    monkeypatch.setattr(Storage, "put_file", put_the_longer_one_last)

    async def work(stub: Stub) -> tuple[Any, ...]:
        job_id = (await create(stub)).id
        bring = stub.SupplyGeneration
        late = asyncio.create_task(refused(bring(supply(job_id, tone(2, 16_000), rate=16_000))))
        assert await asyncio.to_thread(seen.wait, LONGEST_S)
        await bring(supply(job_id, tone(0.5, 16_000), rate=16_000))
        first_has_won.set()
        return await late, [path.stat().st_size for path in (folders / job_id).rglob("*") if path.is_file()]

    answer, sizes = call(work)
    assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_WAITING", "id")
    assert sizes == [44 + 16_000]


def test_a_video_whose_speech_never_came_is_not_resumed(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        await refused(stub.SupplyGeneration(supply(job.id, bytes(16_000), rate=16_000)))
        failed = await last(stub, job.id)
        return failed, await refused(stub.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=job.id)))

    failed, answer = call(work)
    assert (failed.error.reason, failed.can_resume) == ("SILENT", False)
    assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "SPEECH_GONE", "id")


def test_a_video_that_is_killed_goes_on_with_the_pieces_it_has(call: Call, settings: RenderSettings) -> None:
    async def work(stub: Stub, kill: bool) -> bytes:
        job = await create(stub)
        await stub.SupplyGeneration(supply(job.id, babble(13.0), rate=16_000))
        work_folder = settings.work_folder / job.id
        if kill:
            await asyncio.to_thread(kill_with_pieces, work_folder)
        assert (await last(stub, job.id)).state == jobs_pb2.JOB_STATE_SUCCEEDED
        folder = Path(settings.storage_url.removeprefix("file://")) / "generations" / job.id
        assert not work_folder.exists()
        return (folder / "video.mp4").read_bytes()

    in_one_go, killed = (call(lambda stub, kill=kill: work(stub, kill)) for kill in (False, True))
    assert pictures_of(killed) == pictures_of(in_one_go)
    assert sound_of(killed) == sound_of(in_one_go)


def kill_with_pieces(work_folder: Path) -> None:
    """Kill a job's process as soon as it has a piece; whoever goes on does not draw that again."""
    while not (pieces := list(work_folder.glob("film-*/video-?.mp4"))):
        time.sleep(0.02)
    drawn_at = {piece: piece.stat().st_mtime_ns for piece in pieces}
    (child,) = [one for one in psutil.Process().children() if "services.render.job" in one.cmdline()]
    child.kill()
    while work_folder.exists():
        with contextlib.suppress(FileNotFoundError):  # taken away at the end, all together
            assert {piece: piece.stat().st_mtime_ns for piece in drawn_at} == drawn_at
        assert {*work_folder.glob("film-*")} <= {pieces[0].parent}
        time.sleep(0.02)


def pictures_of(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data)) as container:
        return [hashlib.sha256(frame.to_ndarray()).digest() for frame in container.decode(video=0)]


def sound_of(data: bytes) -> bytes:
    with av.open(io.BytesIO(data)) as container:
        return b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))


def test_a_table_that_cannot_grow_is_a_full_disk(call: Call) -> None:
    def cap(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    async def create_for_ever(stub: Stub) -> None:
        while True:
            await create(stub)

    async def work(stub: Stub) -> tuple[Any, ...]:
        sa.event.listen(sa.pool.Pool, "connect", cap)
        try:
            return await refused(create_for_ever(stub))
        finally:
            sa.event.remove(sa.pool.Pool, "connect", cap)

    assert call(work)[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")


def test_closures_that_are_known_of_the_speech_are_drawn(
    call: Call, settings: RenderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file, known = Storage.put_file, "[]"

    def put_with_closures(self: Storage, local: Path, key: str) -> None:
        put_file(self, local, key)
        if key.endswith("/speech"):
            self.write(f"{key.rpartition('/')[0]}/closures.json", known.encode())

    monkeypatch.setattr(Storage, "put_file", put_with_closures)

    async def work(stub: Stub) -> bytes:
        job = await create(stub)
        await stub.SupplyGeneration(supply(job.id, babble(1.5), rate=16_000))
        assert (await finished(stub, job.id))[-1].state == jobs_pb2.JOB_STATE_SUCCEEDED
        folder = Path(settings.storage_url.removeprefix("file://")) / "generations" / job.id
        assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "video.mp4"]
        return (folder / "video.mp4").read_bytes()

    heard, known = call(work), json.dumps([[CLOSED[0] / 16_000, sum(CLOSED) / 16_000]])
    apart = changed(heard, call(work))
    assert min(apart[25:27]) > 3 * max(apart[:22])  # those between are coded with a look at what follows
    assert int(np.argmax(apart)) in (25, 26)


@pytest.mark.parametrize(
    ("data", "rate", "reason"),
    [
        (bytes(32_000), 16_000, "SILENT"),
        (b"", 0, "UNREADABLE_MEDIA"),
        (b"", 16_000, "UNREADABLE_MEDIA"),
        (b"this is text, not sound" * 40, 0, "UNREADABLE_MEDIA"),
    ],
)
def test_speech_that_cannot_serve_fails_the_job_in_plain_words(call: Call, data: bytes, rate: int, reason: str) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        answer = await refused(stub.SupplyGeneration(supply(job.id, data, rate=rate)))
        return answer, (await finished(stub, job.id))[-1]

    answer, last = call(work)
    assert answer[:2] == (INVALID, reason)
    assert (last.state, last.error.reason) == (jobs_pb2.JOB_STATE_FAILED, reason)


def test_a_title_is_kept_with_the_job_and_told_to_no_log(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def work(stub: Stub) -> list[str]:
        await create(stub, title="  A private matter  ")
        listed = await stub.jobs.ListJobs(jobs_pb2.ListJobsRequest())
        return [job.generation.title for job in listed.jobs]

    assert call(work) == ["A private matter"]
    assert "private" not in caplog.text


def test_things_that_cannot_be_had(call: Call) -> None:
    async def work(stub: Stub) -> None:
        for job_id in ("generation-none", "training-1", ""):
            assert (await refused(stub.SupplyGeneration(supply(job_id, b""))))[0] is MISSING
        assert await refused(create(stub, avatar="nobody")) == (MISSING, "AVATAR_NOT_FOUND", "avatar")
        assert await refused(create(stub, size=33)) == (INVALID, "BAD_SIZE", "size")
        still = {"mouth_amplitude": 0.0}
        assert await refused(create(stub, expression=still)) == (INVALID, "NUMBER_OUT_OF_RANGE", "mouth_amplitude")
        assert await refused(create(stub, device="cuda:99")) == (INVALID, "NO_DEVICE", "device")

    call(work)


def test_an_avatar_is_kept_while_a_video_of_it_is_made(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        busy = await refused(stub.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=NAME)))
        await stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job.id))
        late = await refused(stub.SupplyGeneration(supply(job.id, b"", rate=16_000)))
        await stub.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=NAME))
        return busy, late

    busy, late = call(work)
    conflict = grpc.StatusCode.FAILED_PRECONDITION
    assert (busy, late) == ((conflict, "AVATAR_IN_USE", "name"), (conflict, "NOT_WAITING", "id"))


def test_a_full_disk_is_told_plainly(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))

    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        answer = await refused(stub.SupplyGeneration(supply(job.id, tone(0.5, 16_000), rate=16_000)))
        return answer, (await finished(stub, job.id))[-1]

    answer, job = call(work)
    assert answer[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert (job.state, job.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "STORAGE_FULL")


def test_a_disk_that_fills_up_ends_the_waiting(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Storage, "put_file", full)

    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        answer = await refused(stub.SupplyGeneration(supply(job.id, tone(0.5, 16_000), rate=16_000)))
        return answer, (await finished(stub, job.id))[-1]

    answer, job = call(work)
    assert answer[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert (job.state, job.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "STORAGE_FULL")


def test_speech_too_large_fails_the_job(call: Call) -> None:
    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)
        answer = await refused(stub.SupplyGeneration(supply(job.id, tone(5, 16_000), rate=16_000)))
        return answer, (await finished(stub, job.id))[-1]

    answer, job = call(work, max_upload_bytes=150_000)
    assert answer[:2] == (INVALID, "FILE_TOO_LARGE")
    assert (job.state, job.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "FILE_TOO_LARGE")


def test_cancelling_ends_the_bringing_of_speech(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servicer, "TOUCH_EVERY_S", 0.0)

    async def work(stub: Stub) -> tuple[Any, ...]:
        job = await create(stub)

        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def endless() -> AsyncIterator[Supply]:
            yield supply(job.id, b"", rate=16_000)[0]
            yield Supply(data=tone(0.1, 16_000))
            begun.set()
            await cancelled.wait()
            yield Supply(data=tone(0.1, 16_000))
            await asyncio.Event().wait()

        bringing = stub.SupplyGeneration(endless(), timeout=60)
        await begun.wait()
        await stub.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job.id))
        cancelled.set()
        return await refused(bringing)

    assert call(work) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_WAITING", "id")


def test_a_video_is_forgotten_when_it_is_told_to(call: Call, settings: RenderSettings) -> None:
    store = JobStore(settings.database_url)
    folders = Path(settings.storage_url.removeprefix("file://")) / "generations"
    delete = jobs_pb2.DeleteJobRequest

    async def work(stub: Stub) -> tuple[Any, ...]:
        made = await create(stub, request_id="r")
        early = await refused(stub.jobs.DeleteJob(delete(id=made.id)))
        (folders / made.id).mkdir(parents=True)
        for name in ("video.mp4", "subtitles.vtt", "manifest.json"):
            (folders / made.id / name).write_bytes(b"something")
        store.finish(made.id, State.SUCCEEDED, result={"files": ["video.mp4"], "duration_s": 1.0})
        await stub.jobs.DeleteJob(delete(id=made.id))
        gone = await refused(stub.jobs.GetJob(jobs_pb2.GetJobRequest(id=made.id)))
        again = await refused(stub.jobs.DeleteJob(delete(id=made.id)))
        return early, gone, again, await create(stub, request_id="r")

    early, gone, again, anew = call(work)
    assert early == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_NOT_ENDED", "id")
    assert gone == again == (MISSING, "JOB_NOT_FOUND", "id")
    assert anew.state == jobs_pb2.JOB_STATE_QUEUED
    assert not list(folders.iterdir())


def test_speech_is_not_kept_of_what_came_to_nothing(
    call: Call, settings: RenderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    store = JobStore(settings.database_url)
    folders = Path(settings.storage_url.removeprefix("file://")) / "generations"
    ends = (State.CANCELLED, State.SUCCEEDED, State.WAITING)
    jobs = {state: store.create("generation", {"avatar": NAME}, waiting=True) for state in ends}
    jobs[State.FAILED] = store.create("generation", {"avatar": NAME, "input": "input-1"})
    lately, long_ago = time.time(), time.time() - 8 * 24 * 3600
    old = store.create("generation", {"avatar": NAME, "input": "input-1"})
    for state, job in [*jobs.items(), (State.FAILED, old)]:
        store.update(job.id, state=state, ended_at=long_ago if job is old else lately)
        (folders / job.id / "input-1").mkdir(parents=True)
        (folders / job.id / "input-1" / "speech").write_bytes(b"a recording of someone")

    async def work(stub: Stub) -> None:
        for _ in range(1200):
            if len(list(folders.iterdir())) == 3:
                return
            await asyncio.sleep(0.05)

    call(work)
    kept = {path.name for path in folders.iterdir()}
    assert kept == {jobs[State.SUCCEEDED].id, jobs[State.WAITING].id, jobs[State.FAILED].id}


def test_a_service_that_loads_says_so(settings: RenderSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load(_: RenderServicer) -> None:
        loading.set()
        go_on.wait(60)

    monkeypatch.setattr(RenderServicer, "load", load)

    async def work() -> tuple[Any, ...]:
        server = Server(RenderServicer(settings), settings)
        starting = asyncio.create_task(server.start())
        await asyncio.to_thread(loading.wait, 60)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            answer = await refused(Stub(channel).ListAvatars(render_pb2.ListAvatarsRequest()))
        go_on.set()
        await starting
        await server.stop()
        return answer

    assert asyncio.run(work())[:2] == (grpc.StatusCode.UNAVAILABLE, "LOADING")
