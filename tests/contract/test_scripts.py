"""Videos whose text is spoken, or whose recording is written down, by their own job: real services do it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import threading
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from visavis.common.v1 import media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc
from visavis.tts.v1 import tts_pb2

from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.common.audio import to_pcm
from services.common.jobs import calls
from services.common.jobs.child import Task
from services.common.peers import Peers
from services.common.storage import Storage
from services.render import speech
from services.render.film.generations import SCRIPT
from services.render.servicer import RenderServicer
from services.render.settings import RenderSettings
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from tests.contract.conftest import served

LONGEST_S = 300  # only ends what would hang
TEXT = "Bob bought a boat. Maybe Mum baked apple pie before, number 7."
CLOSED = "127.0.0.1:9"


class Mortal(TtsServicer):
    """Speaks, but goes away in the first calls, after so many messages of each."""

    dies_after: list[int] = []
    configs: list[tts_pb2.SynthesisConfig] = []
    asked = threading.Event()

    async def StreamingSynthesize(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        left = self.dies_after.pop(0) if self.dies_after else -1
        async for reply in super().StreamingSynthesize(request_iterator, context):
            if left == 0:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            left -= 1
            yield reply

    async def _spoken(self, engine: Any, config: Any, messages: Any) -> Any:
        self.configs.append(config)
        self.asked.set()
        async for reply in super()._spoken(engine, config, messages):
            yield reply


@dataclass
class House:
    """The rendering service, and the places of what it needs."""

    render: render_pb2_grpc.RenderServiceStub
    jobs: jobs_pb2_grpc.JobServiceStub
    settings: RenderSettings
    storage: Storage
    seen: list[jobs_pb2.Job] = field(default_factory=list)

    async def begin(self, text: str = TEXT, *, subtitles: bool = False, **how: Any) -> str:
        options = media_pb2.SubtitleOptions() if subtitles else None
        request = render_pb2.CreateGenerationRequest(
            avatar="ada",
            size=64,
            subtitles=options,
            script=render_pb2.Script(text=text, how=tts_pb2.SynthesisConfig(**how)),
        )
        return (await self.render.CreateGeneration(request)).job.id

    async def end(self, job_id: str) -> jobs_pb2.Job:
        """The job at its end; what it was before is in `seen`."""
        request = jobs_pb2.WatchJobRequest(id=job_id)
        self.seen = [reply.job async for reply in self.jobs.WatchJob(request, timeout=LONGEST_S)]
        return self.seen[-1]

    async def read(self, job_id: str, file: int) -> bytes:
        request = jobs_pb2.ReadJobFileRequest(id=job_id, file=file)
        return b"".join([reply.data async for reply in self.jobs.ReadJobFile(request)])


@pytest.fixture
def house(tmp_path: Path, tiny_avatar: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one coroutine function with a fresh house; `changes` are of the rendering service's settings."""
    monkeypatch.setattr(calls, "WATCH_POLL_S", 0.02)
    monkeypatch.setattr(Mortal, "dies_after", [])
    monkeypatch.setattr(Mortal, "configs", [])
    monkeypatch.setattr(Mortal, "asked", threading.Event())
    shared = {"port": 0, "storage_url": (tmp_path / "storage").as_uri(), "work_folder": tmp_path / "work"}
    storage = Storage(shared["storage_url"], tmp_path / "cache")
    storage.put_folder(tiny_avatar, "avatars/ada", "avatar.json")

    async def serve(work: Callable[[House], Awaitable[Any]], needs_asr: bool, changes: dict[str, Any]) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            places = {"asr_address": CLOSED, "tts_address": CLOSED}
            if needs_asr:
                asr = AsrSettings(**shared)
                places["asr_address"] = await stack.enter_async_context(served(AsrServicer(asr), asr))
            if "tts_address" not in changes:
                tts = TtsSettings(**shared)
                places["tts_address"] = await stack.enter_async_context(served(Mortal(tts), tts))
            settings = RenderSettings(**shared | places | {
                "database_url": f"sqlite:///{tmp_path / 'jobs.sqlite'}", "job_devices": ["cpu"], "threads": 1,
                "starter_avatars": tmp_path / "none", "prepare_idle_loops": False, "peer_wait_seconds": 5,
            } | changes)  # fmt: skip
            at = await stack.enter_async_context(served(RenderServicer(settings), settings))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(at))
            stubs = (render_pb2_grpc.RenderServiceStub(channel), jobs_pb2_grpc.JobServiceStub(channel))
            return await work(House(*stubs, settings, storage))

    def run(work: Callable[[House], Awaitable[Any]], *, needs_asr: bool = False, **changes: Any) -> Any:
        return asyncio.run(serve(work, needs_asr, changes))

    return run


async def said(house: House, *, text: str = TEXT, subtitles: bool = True) -> tuple[speech.Speech, list[dict[str, Any]]]:
    """What a job says and what it reports meanwhile, without filming it."""
    spec = {"input": "input-1", "script": True, "subtitles": {"language": "en"} if subtitles else None}
    script = render_pb2.Script(text=text, how=tts_pb2.SynthesisConfig(rate=1.2))
    house.storage.write(f"generations/generation-1/input-1/{SCRIPT}", script.SerializeToString())
    folder = house.settings.work_folder / "generation-1"
    task, reports = Task("generation-1", spec, "cpu", folder, {}), []
    peers = Peers(house.settings, task.id)
    ready, _ = await asyncio.to_thread(speech.ready, task, reports.append, house.settings, house.storage, peers)
    return ready, reports


def test_a_text_is_spoken_with_closures_and_subtitles(house: Any) -> None:
    async def work(house: House) -> Any:
        return *await said(house), await said(house)

    first, reports, (again, none) = house(work)
    with wave.open(str(first.file)) as wav:
        assert wav.getnframes() / wav.getframerate() == pytest.approx(first.duration_s) and first.duration_s > 2
    assert len(first.closures) > 8
    assert all(0 <= start < end <= first.duration_s for start, end in first.closures)
    lines = [line for line in first.webvtt.splitlines()[1:] if line and "-->" not in line]
    assert " ".join(lines) == TEXT
    assert [report["progress"] for report in reports] == sorted(report["progress"] for report in reports)
    assert (again, none) == (first, []), "what was spoken is kept"
    assert [config.rate for config in Mortal.configs] == [1.2]


def test_subtitles_are_what_is_written_without_marks(house: Any) -> None:
    text = "## Prices\n\n- It costs **$12.50**.\n- See [the guide](https://a.com).\n\n今天-5℃，有13800元。"
    spoken, reports = house(lambda house: said(house, text=text))
    lines = [line for line in spoken.webvtt.splitlines()[1:] if line and "-->" not in line]
    assert " ".join(lines).replace(" ", "") == "PricesItcosts$12.50.Seetheguide.今天-5℃，有13800元。"
    assert reports[-1]["progress"] == pytest.approx(speech.SHARE), "all of the text has been said"


def test_a_speech_that_breaks_off_begins_anew(house: Any) -> None:
    async def work(house: House) -> Any:
        Mortal.dies_after[:] = [4, 0]
        broken, _ = await said(house)
        return broken, len(Mortal.configs)

    spoken, count = house(work)
    lines = [line for line in spoken.webvtt.splitlines()[1:] if line and "-->" not in line]
    assert (" ".join(lines), count) == (TEXT, 3)


def test_subtitles_are_made_only_when_they_are_wanted(house: Any) -> None:
    assert house(lambda house: said(house, subtitles=False))[0].webvtt == ""


def test_a_text_becomes_a_video_and_is_kept_nowhere(house: Any, tmp_path: Path, capfd: Any) -> None:
    async def work(house: House) -> Any:
        job_id = await house.begin(subtitles=True)
        last = await house.end(job_id)
        files = [await house.read(job_id, file) for file in (jobs_pb2.JOB_FILE_VIDEO, jobs_pb2.JOB_FILE_SUBTITLES)]
        return last, house.seen, files

    last, seen, (video, subtitles) = house(work)
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    stages = list(dict.fromkeys(job.stage for job in seen if job.stage))
    assert stages[0] == "speech" and stages[-1] == "store"
    assert [job.progress for job in seen] == sorted(job.progress for job in seen)
    assert video[4:8] == b"ftyp" and b"before,\nnumber 7." in subtitles
    assert last.generation.duration.ToTimedelta().total_seconds() > 2
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"Bob bought" in path.read_bytes()]
    assert [path.name for path in kept] == ["subtitles.vtt"]
    assert "Bob bought" not in "".join(capfd.readouterr())


def test_a_text_that_waits_lies_in_no_table_and_goes_with_its_job(house: Any, tmp_path: Path) -> None:
    async def work(house: House) -> Any:
        job_id = await house.begin()
        kept = [path.parent.parent.name for path in told()]
        await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id))
        await house.end(job_id)
        await house.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=job_id))
        return job_id, kept

    def told() -> list[Path]:
        return [path for path in tmp_path.rglob("*") if path.is_file() and b"Bob bought" in path.read_bytes()]

    job_id, kept = house(work, tts_address=CLOSED, peer_wait_seconds=LONGEST_S)
    assert kept == [job_id]
    assert not told()


@pytest.mark.parametrize(
    ("how", "reason", "field"),
    [
        ({"voice": "nobody"}, "VOICE_NOT_FOUND", "voice"),
        ({"language": "xx-yy"}, "LANGUAGE_NOT_SUPPORTED", "language"),
        ({"engine": "none"}, "NO_ENGINE", "config.engine"),
        ({"rate": 9.0}, "RATE_OUT_OF_RANGE", "rate"),
    ],
)
def test_what_cannot_be_spoken_fails_the_job_in_plain_words(
    house: Any, how: dict[str, Any], reason: str, field: str
) -> None:
    async def work(house: House) -> Any:
        return await house.end(await house.begin(**how))

    last = house(work)
    assert (last.state, last.error.reason, last.error.field) == (jobs_pb2.JOB_STATE_FAILED, reason, field)
    assert last.error.message


def test_a_video_whose_voice_stays_away_fails_and_is_resumed(house: Any, tmp_path: Path) -> None:
    async def away(house: House) -> Any:
        return await house.end(await house.begin())

    failed = house(away, tts_address=CLOSED, peer_wait_seconds=1)
    assert (failed.state, failed.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "UNAVAILABLE")
    assert failed.can_resume

    async def back(house: House) -> Any:
        await house.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=failed.id))
        return await house.end(failed.id)

    last = house(back)
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error


def test_a_video_that_is_killed_while_it_is_spoken_goes_on(house: Any) -> None:
    async def work(house: House) -> Any:
        Mortal.dies_after[:] = [3]  # and the job waits for the service to come back
        job_id = await house.begin()
        assert await asyncio.to_thread(Mortal.asked.wait, LONGEST_S)
        for one in psutil.Process().children():
            if "services.render.job" in one.cmdline():
                os.kill(one.pid, signal.SIGKILL)
        return await house.end(job_id)

    last = house(work)
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error


def test_the_same_request_is_one_job_and_is_judged_without_making_one(house: Any) -> None:
    async def work(house: House) -> Any:
        script = render_pb2.Script(text=TEXT)
        request = render_pb2.CreateGenerationRequest(request_id="once", avatar="ada", size=64, script=script)
        judged = render_pb2.CreateGenerationRequest(validate_only=True)
        judged.MergeFrom(request)
        before = await house.render.CreateGeneration(judged)
        first = (await house.render.CreateGeneration(request)).job.id
        again = (await house.render.CreateGeneration(request)).job.id
        known = (await house.render.CreateGeneration(judged)).job.id
        count = len((await house.jobs.ListJobs(jobs_pb2.ListJobsRequest())).jobs)
        await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=first))
        return before.HasField("job"), first, again, known, count

    is_made, first, again, known, count = house(work, tts_address=CLOSED)
    assert (is_made, again, known, count) == (False, first, first, 1)


def test_a_text_without_a_word_is_refused(house: Any) -> None:
    async def work(house: House) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await house.begin(" \n")
        return refused.value.code(), refused.value.details()

    code, told = house(work, tts_address=CLOSED)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "nothing to say" in told


def test_a_recording_is_written_down(house: Any) -> None:
    async def work(house: House) -> Any:
        spoken, _ = await said(house, text="Good morning, my name is Anna. The weather is nice today.")
        options = media_pb2.SubtitleOptions(language="en")
        request = render_pb2.CreateGenerationRequest(avatar="ada", size=64, subtitles=options, burn_subtitles=True)
        job_id = (await house.render.CreateGeneration(request)).job.id
        await house.render.SupplyGeneration(supply(job_id, spoken.file.read_bytes()))
        return await house.end(job_id), house.seen, await house.read(job_id, jobs_pb2.JOB_FILE_SUBTITLES)

    last, seen, subtitles = house(work, needs_asr=True)
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    assert "listen" in [job.stage for job in seen]
    assert [job.progress for job in seen] == sorted(job.progress for job in seen)
    assert b"-->" in subtitles


def supply(job_id: str, data: bytes) -> list[render_pb2.SupplyGenerationRequest]:
    return [
        render_pb2.SupplyGenerationRequest(config=render_pb2.SupplyConfig(id=job_id)),
        render_pb2.SupplyGenerationRequest(data=data),
        render_pb2.SupplyGenerationRequest(end=render_pb2.SupplyEnd()),
    ]


def test_a_recording_that_cannot_be_written_down_fails_with_the_reason(house: Any) -> None:
    async def work(house: House) -> Any:
        options = media_pb2.SubtitleOptions(language="zh")
        request = render_pb2.CreateGenerationRequest(avatar="ada", size=64, subtitles=options)
        job_id = (await house.render.CreateGeneration(request)).job.id
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setparams((1, 2, 16_000, 0, "NONE", ""))
            out.writeframes(to_pcm(np.sin(np.arange(16_000) * 0.1).astype(np.float32) * 0.3))
        await house.render.SupplyGeneration(supply(job_id, file.getvalue()))
        return await house.end(job_id)

    last = house(work, needs_asr=True)
    assert (last.state, last.error.reason) == (jobs_pb2.JOB_STATE_FAILED, "LANGUAGE_NOT_SUPPORTED")
