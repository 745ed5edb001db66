"""A training's voice and subtitles, which real services of speech and recognition make for its job."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import threading
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from visavis.common.v1 import media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from basics.problem import Problem
from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.common.jobs import calls
from services.common.jobs.store import JobStore, State
from services.common.recordings import Recordings
from services.common.storage import Storage
from services.train.servicer import TrainServicer
from services.train.settings import TrainSettings
from services.tts.engines import espeak
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings
from tests.contract.conftest import served

NAME = "Ada 测试"
LONGEST_S = 300  # only ends what would hang
QUICK = """
from services.common.engine import EngineInfo
from services.train.engine import Progress, TrainEngine


class Engine(TrainEngine):
    def info(self):
        return EngineInfo("quick", "1", ())

    def train(self, task, on_progress):
        on_progress(Progress("draw", 0.5))
        task.avatar_folder.mkdir()
        (task.avatar_folder / "avatar.json").write_text('{"size": 64, "fps": 25}')
        on_progress(Progress("draw", 1.0))
        return {"metrics": {}, "baselines": {}}
"""
SLOW_AT_FIRST = """
        __import__("time").sleep(300)
        task.avatar_folder.mkdir()
"""
CLOSED = "127.0.0.1:9"


@dataclass
class House:
    """The three services, and stubs of them."""

    train: train_pb2_grpc.TrainServiceStub
    jobs: jobs_pb2_grpc.JobServiceStub
    tts: tts_pb2_grpc.TtsServiceStub
    storage: Storage
    recording_id: str

    async def begin(self, **changes: Any) -> str:
        """Ask for a training with voice and subtitles; its job's id."""
        options: dict[str, Any] = {
            "recording_id": self.recording_id,
            "name": NAME,
            "consent": media_pb2.Consent(given_by="Ada L."),
            "new_voice": train_pb2.NewVoice(),
            "subtitles": media_pb2.SubtitleOptions(language="en"),
        }
        request = train_pb2.CreateTrainingRequest(**options | changes)
        return (await self.train.CreateTraining(request)).job.id

    async def watched(self, job_id: str) -> list[jobs_pb2.Job]:
        """The job, at each change until its end."""
        request = jobs_pb2.WatchJobRequest(id=job_id)
        return [reply.job async for reply in self.jobs.WatchJob(request, timeout=LONGEST_S)]

    async def until_stage(self, job_id: str, stage: str) -> None:
        async for reply in self.jobs.WatchJob(jobs_pb2.WatchJobRequest(id=job_id), timeout=LONGEST_S):
            if reply.job.stage == stage:
                return
        raise AssertionError(f"never in stage {stage}")

    async def voices(self) -> list[tts_pb2.Voice]:
        return list((await self.tts.ListVoices(tts_pb2.ListVoicesRequest())).voices)

    def avatar(self) -> dict[str, Any]:
        return json.loads(self.storage.read(f"avatars/{NAME}/avatar.json"))


@pytest.fixture
def house(tmp_path: Path, demo_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one coroutine function with a fresh house; `changes` are of the training service's settings."""
    monkeypatch.setattr(calls, "WATCH_POLL_S", 0.02)  # every stage is to be seen, on a quick machine too
    (tmp_path / "engines" / "train").mkdir(parents=True)
    (tmp_path / "engines" / "train" / "quick.py").write_text(QUICK)
    shared = {"port": 0, "storage_url": (tmp_path / "storage").as_uri(), "work_folder": tmp_path / "work"}
    storage = Storage(shared["storage_url"], tmp_path / "cache")
    facts = {"duration_s": 12.0, "width": 256, "height": 256, "fps": 25.0, "engine": "quick"}
    quiet = {"reason": "QUIET", "message": "Rather quiet.", "field": "video", "values": {"level": "-40"}}

    async def serve(work: Callable[[House], Awaitable[Any]], changes: dict[str, Any]) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            asr_settings, tts_settings = AsrSettings(**shared), TtsSettings(**shared)
            tts = await stack.enter_async_context(served(TtsServicer(tts_settings), tts_settings))
            addresses = {"tts_address": tts}
            if "asr_address" not in changes:
                asr = await stack.enter_async_context(served(AsrServicer(asr_settings), asr_settings))
                addresses["asr_address"] = asr
            settings = TrainSettings(**shared | addresses | {
                "database_url": f"sqlite:///{tmp_path / 'jobs.sqlite'}", "devices": ["cpu"], "engine": "quick",
                "engine_folder": tmp_path / "engines", "peer_wait_seconds": 1,
            } | changes)  # fmt: skip
            train = await stack.enter_async_context(served(TrainServicer(settings), settings))
            channels = [await stack.enter_async_context(grpc.aio.insecure_channel(at)) for at in (train, tts)]
            recording_id = Recordings(storage).add(demo_clip, facts | {"warnings": [quiet]})
            stubs = (
                train_pb2_grpc.TrainServiceStub(channels[0]),
                jobs_pb2_grpc.JobServiceStub(channels[0]),
                tts_pb2_grpc.TtsServiceStub(channels[1]),
            )
            return await work(House(*stubs, storage, recording_id))

    def run(work: Callable[[House], Awaitable[Any]], **changes: Any) -> Any:
        return asyncio.run(serve(work, changes))

    return run


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Told when a voice is being learnt, and what it waits for."""
    learning, go_on, enrol = threading.Event(), threading.Event(), espeak.Engine.enrol

    def wait_first(*arguments: Any) -> None:
        learning.set()
        go_on.wait(LONGEST_S)
        enrol(*arguments)

    monkeypatch.setattr(espeak.Engine, "enrol", wait_first)
    return learning, go_on


def reasons(job: jobs_pb2.Job) -> list[str]:
    return [warning.reason for warning in job.warnings]


def test_voice_and_subtitles_are_stages_of_the_training(house: Any) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        seen = await house.watched(await house.begin())
        return seen, await house.voices(), house.avatar(), house.storage

    seen, (voice,), avatar, storage = house(work)
    last = seen[-1]
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    stages = [job.stage for job in seen if job.state == jobs_pb2.JOB_STATE_RUNNING and job.stage]
    own = [stage for stage in dict.fromkeys(stages) if stage != "draw"]  # the engine's, over before anybody may look
    assert own == ["subtitles", "voice"]
    assert [job.progress for job in seen] == sorted(job.progress for job in seen)
    assert {tuple(reasons(job)) for job in seen} == {("QUIET",)}
    assert (voice.name, voice.training_id, voice.consent.given_by) == (NAME, last.id, "Ada L.")
    assert voice.transcript
    assert last.training.voice == avatar["voice"] == NAME
    assert "-->" in storage.read(f"avatars/{NAME}/transcript.vtt").decode()
    assert not storage.folders("recordings")


def test_what_nobody_asked_for_is_not_made(house: Any) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        seen = await house.watched(await house.begin(new_voice=None, subtitles=None))
        return seen[-1], await house.voices(), house.avatar(), house.storage

    last, voices, avatar, storage = house(work, asr_address=CLOSED, tts_address=CLOSED)
    assert (last.state, reasons(last)) == (jobs_pb2.JOB_STATE_SUCCEEDED, ["QUIET"])
    assert (voices, avatar["voice"]) == ([], "")
    assert not storage.exists(f"avatars/{NAME}/transcript.vtt")


@pytest.mark.parametrize(
    ("changes", "subtitles", "expected"),
    [
        ({}, {"language": "zh"}, ["SUBTITLES_NOT_MADE", "LANGUAGE_NOT_SUPPORTED"]),
        ({}, {"engine": "none", "language": "en"}, ["SUBTITLES_NOT_MADE", "NO_ENGINE"]),
        ({"asr_address": CLOSED}, {"language": "en"}, ["SUBTITLES_NOT_MADE", "UNAVAILABLE"]),
    ],
)
def test_subtitles_that_cannot_be_cost_no_more_than_themselves(
    house: Any, changes: dict[str, str], subtitles: dict[str, str], expected: list[str]
) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        seen = await house.watched(await house.begin(subtitles=media_pb2.SubtitleOptions(**subtitles)))
        return seen[-1], await house.voices(), house.storage

    last, (voice,), storage = house(work, **changes)
    assert (last.state, reasons(last)) == (jobs_pb2.JOB_STATE_SUCCEEDED, ["QUIET", *expected])
    assert (voice.name, voice.transcript) == (NAME, "")
    assert not storage.exists(f"avatars/{NAME}/transcript.vtt")


def test_a_voice_whose_service_stays_away_is_done_without(house: Any) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        return (await house.watched(await house.begin(subtitles=None)))[-1], house.avatar()

    last, avatar = house(work, asr_address=CLOSED, tts_address=CLOSED)
    assert (last.state, reasons(last)) == (jobs_pb2.JOB_STATE_SUCCEEDED, ["QUIET", "VOICE_NOT_MADE", "UNAVAILABLE"])
    assert last.training.voice == avatar["voice"] == ""


def test_somebody_elses_voice_of_that_name_is_left_alone(house: Any) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        config = tts_pb2.VoiceConfig(name=NAME, consent=media_pb2.Consent(given_by="Bea"))
        messages = [tts_pb2.CreateVoiceRequest(config=config), tts_pb2.CreateVoiceRequest(data=other_speech())]
        await house.tts.CreateVoice(messages)
        last = (await house.watched(await house.begin(subtitles=None)))[-1]
        return last, await house.voices(), house.avatar()

    last, (voice,), avatar = house(work, asr_address=CLOSED)
    assert (last.state, reasons(last)) == (jobs_pb2.JOB_STATE_SUCCEEDED, ["QUIET", "VOICE_NOT_MADE", "VOICE_EXISTS"])
    assert (voice.consent.given_by, voice.training_id, avatar["voice"]) == ("Bea", "", "")


def other_speech() -> bytes:
    """A WAV file of somebody else."""
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams((1, 2, 24_000, 0, "NONE", ""))
        hum = np.sin(np.arange(24_000 * 6) * 0.04) * (np.sin(np.arange(24_000 * 6) * 0.0005) > 0)
        target.writeframes((hum * 9000).astype(np.int16).tobytes())
    return file.getvalue()


def test_a_training_that_is_killed_while_its_voice_is_learnt_has_it_once(
    house: Any, held: tuple[threading.Event, threading.Event]
) -> None:
    learning, go_on = held

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin()
        assert await asyncio.to_thread(learning.wait, LONGEST_S)
        (child,) = [one for one in psutil.Process().children() if "services.train.job" in one.cmdline()]
        os.kill(child.pid, signal.SIGKILL)
        go_on.set()
        return (await house.watched(job_id))[-1], await house.voices(), house.avatar(), house.storage

    last, (voice,), avatar, storage = house(work)
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    assert (voice.training_id, avatar["voice"], reasons(last)) == (last.id, NAME, ["QUIET"])
    assert voice.transcript and storage.exists(f"avatars/{NAME}/transcript.vtt")


def test_a_training_whose_avatar_cannot_be_stored_leaves_no_voice_and_is_resumed(
    house: Any, held: tuple[threading.Event, threading.Event]
) -> None:
    learning, go_on = held

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin(subtitles=None)
        assert await asyncio.to_thread(learning.wait, LONGEST_S)
        place = put_in_the_way(house)
        go_on.set()
        failed = (await house.watched(job_id))[-1]
        orphans = await house.voices()
        place.unlink()
        await house.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=failed.id))
        return failed, orphans, (await house.watched(failed.id))[-1], await house.voices()

    failed, orphans, last, (voice,) = house(work, asr_address=CLOSED)
    assert (failed.state, failed.stage, orphans) == (jobs_pb2.JOB_STATE_FAILED, "voice", [])
    assert last.state == jobs_pb2.JOB_STATE_SUCCEEDED, last.error
    assert voice.training_id == last.id


def put_in_the_way(house: House) -> Path:
    """Something that keeps avatars from being stored."""
    place = house.storage.local_file("avatars")
    place.write_text("in the way")
    return place


def test_a_training_that_is_cancelled_before_its_voice_leaves_none(house: Any) -> None:
    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin()
        await house.until_stage(job_id, "subtitles")
        await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id))
        return (await house.watched(job_id))[-1], await house.voices(), house.storage.folders("avatars")

    last, voices, avatars = house(work, asr_address=CLOSED, peer_wait_seconds=LONGEST_S)
    assert (last.state, voices, avatars) == (jobs_pb2.JOB_STATE_CANCELLED, [], [])


def test_a_training_that_is_cancelled_while_its_voice_is_learnt_leaves_none(
    house: Any, held: tuple[threading.Event, threading.Event]
) -> None:
    """Nothing can stop an engine that learns; what it has learnt is not kept."""
    learning, go_on = held

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin(subtitles=None)
        assert await asyncio.to_thread(learning.wait, LONGEST_S)
        await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id))
        last = (await house.watched(job_id))[-1]
        go_on.set()
        again = (await house.watched(await house.begin(subtitles=None)))[-1]  # learns behind it
        return last, again, await house.voices()

    last, again, (voice,) = house(work, asr_address=CLOSED)
    assert (last.state, again.state) == (jobs_pb2.JOB_STATE_CANCELLED, jobs_pb2.JOB_STATE_SUCCEEDED)
    assert (voice.training_id, reasons(again)) == (again.id, ["QUIET"])


def test_a_training_that_is_cancelled_after_a_kill_takes_its_voice_away(house: Any, tmp_path: Path) -> None:
    """It had the voice, and was killed before the avatar was stored."""
    slow = QUICK.replace("        task.avatar_folder.mkdir()\n", SLOW_AT_FIRST)
    assert slow != QUICK
    (tmp_path / "engines" / "train" / "quick.py").write_text(slow)

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin(subtitles=None)
        await house.until_stage(job_id, "draw")
        folder = tmp_path / "work" / job_id
        (folder / "voice-asked").touch()
        config = tts_pb2.VoiceConfig(name=NAME, consent=media_pb2.Consent(given_by="Ada L."), training_id=job_id,
                                     recording_id=house.recording_id)  # fmt: skip
        await house.tts.CreateVoice([tts_pb2.CreateVoiceRequest(config=config)])
        await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id))
        return (await house.watched(job_id))[-1], await house.voices()

    last, voices = house(work, asr_address=CLOSED)
    assert (last.state, voices) == (jobs_pb2.JOB_STATE_CANCELLED, [])


@pytest.mark.parametrize("ends", ["cancelled", "deleted"])
def test_a_lost_training_that_comes_to_nothing_takes_its_voice_away(house: Any, tmp_path: Path, ends: str) -> None:
    """Its process was lost after the voice was made, and no other has begun."""
    (tmp_path / "engines" / "train" / "quick.py").write_text(
        QUICK.replace("        task.avatar_folder.mkdir()\n", SLOW_AT_FIRST)
    )
    name = f"{NAME} the second"

    async def work(house: House) -> tuple[Any, ...]:
        await house.until_stage(await house.begin(subtitles=None), "draw")  # keeps the device from the other
        job_id = await house.begin(subtitles=None, name=name)
        table = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
        assert table.update(job_id, only=(State.QUEUED,), started_at=1.0, stage="voice")
        config = tts_pb2.VoiceConfig(name=name, consent=media_pb2.Consent(given_by="Ada L."), training_id=job_id,
                                     recording_id=house.recording_id)  # fmt: skip
        await house.tts.CreateVoice([tts_pb2.CreateVoiceRequest(config=config)])
        if ends == "cancelled":
            await house.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job_id))
        else:
            assert table.finish(job_id, State.FAILED, only=(State.QUEUED,), error=Problem("CRASHED", "It crashed."))
            await house.jobs.DeleteJob(jobs_pb2.DeleteJobRequest(id=job_id))
        return (await house.voices(),)

    (voices,) = house(work, asr_address=CLOSED)
    assert voices == []


def test_what_an_attempt_before_lacked_is_forgotten(house: Any, tmp_path: Path) -> None:
    """Speech is away at first, and there when the training is resumed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin(subtitles=None)
        await house.until_stage(job_id, "voice")
        place = put_in_the_way(house)
        failed = (await house.watched(job_id))[-1]
        place.unlink()
        settings = TtsSettings(port=port, storage_url=(tmp_path / "storage").as_uri(), work_folder=tmp_path / "work")
        async with served(TtsServicer(settings), settings):
            await house.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=failed.id))
            return failed, (await house.watched(failed.id))[-1]

    failed, last = house(work, asr_address=CLOSED, tts_address=f"127.0.0.1:{port}", peer_wait_seconds=4)
    assert (failed.state, reasons(failed)) == (jobs_pb2.JOB_STATE_FAILED, ["QUIET", "VOICE_NOT_MADE", "UNAVAILABLE"])
    assert (last.training.voice, reasons(last)) == (NAME, ["QUIET"])


def test_a_service_that_comes_back_is_waited_for(house: Any, tmp_path: Path) -> None:
    """It is away when the job first asks for the voice."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work(house: House) -> tuple[Any, ...]:
        job_id = await house.begin(subtitles=None)
        await house.until_stage(job_id, "voice")
        settings = TtsSettings(port=port, storage_url=(tmp_path / "storage").as_uri(), work_folder=tmp_path / "work")
        async with served(TtsServicer(settings), settings):
            return (await house.watched(job_id))[-1], await house.voices()

    last, (voice,) = house(work, asr_address=CLOSED, tts_address=f"127.0.0.1:{port}", peer_wait_seconds=LONGEST_S)
    assert (last.state, reasons(last), voice.name) == (jobs_pb2.JOB_STATE_SUCCEEDED, ["QUIET"], NAME)
