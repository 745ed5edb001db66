"""A service that is killed while it makes something: the work goes on when it is back, and nothing stays half."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from visavis.jobs.v1 import jobs_pb2

from client.wire.services import Services
from tests.e2e.talking import RATE, spoken

pytestmark = pytest.mark.e2e
BACK_S, LONGEST_S = 300, 1500  # only end what would hang
SENTENCES = [f"This is sentence number {number} of a story that takes a while to be told." for number in range(1, 61)]
QUESTION = "What can you do for me today, and how does it work? "


@pytest.fixture(scope="module")
def api(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=600) as client:
        yield client


@pytest.fixture(scope="module")
def services(stack: Any) -> Iterator[Services]:
    services = stack.services()
    yield services
    services.close()


@pytest.fixture(scope="module")
def recording(api: httpx.Client) -> bytes:
    """Some seconds of speech as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as target:
        target.setparams((1, 2, RATE, 0, "NONE", ""))
        target.writeframes(spoken(api, QUESTION * 2))
    return file.getvalue()


@pytest.fixture(scope="module")
def meanwhile() -> Iterator[Callable[..., Future]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def kill(stack: Any, name: str) -> None:
    """Kill a service and wait until it is back."""
    before = stack.pid(name)
    stack.kill(name)
    stack.until(lambda: stack.pid(name) not in (None, before), BACK_S, f"{name} is restarted")
    stack.until(lambda: serves(stack, name), BACK_S, f"{name} serves again")


def serves(stack: Any, name: str) -> bool:
    if name != "gateway":
        return stack.health()[name] == "serving"
    try:
        return httpx.get(f"{stack.url}/healthz").is_success
    except httpx.TransportError:
        return False


def folders(stack: Any, pattern: str) -> set[Path]:
    return set((stack.data / "work").glob(pattern))


def until_made_in(stack: Any, pattern: str, before: set[Path]) -> None:
    """Wait until a service is in the middle of making something."""
    stack.until(lambda: folders(stack, pattern) - before, BACK_S, f"{pattern} is made")


def voices(api: httpx.Client) -> list[str]:
    return sorted(voice["name"] for voice in api.get("/voices").raise_for_status().json()["voices"])


def stage(services: Services, job_id: str) -> str:
    """Where a job stands that has not failed."""
    job = services.jobs("render").GetJob(jobs_pb2.GetJobRequest(id=job_id), timeout=60).job
    assert not job.HasField("error"), job.error
    return job.stage


def until_film(stack: Any, services: Services, job_id: str) -> None:
    """Wait until what a video says is ready."""
    stack.until(lambda: stage(services, job_id) in ("load", "render"), BACK_S, "what it says is ready")


def kept(stack: Any, job_id: str, name: str) -> Path:
    """A file of what a video says."""
    (path,) = (stack.data / "generations" / job_id).rglob(name)
    return path


@pytest.mark.parametrize("name", ["tts", "render", "gateway"])
def test_a_video_gets_all_of_its_speech_once(stack: Any, api: httpx.Client, services: Services, name: str) -> None:
    text = " ".join(SENTENCES)
    wanted = {"avatar": "Vera", "text": text, "size": 64, "subtitles": "vtt"}
    job = api.post("/generations", json=wanted).raise_for_status().json()
    assert job["stage"] in ("", "speech")
    kill(stack, name)
    until_film(stack, services, job["id"])
    stack.until(lambda: api.get("/voices").is_success, BACK_S, "the gateway has found what was killed, too")
    whole = api.post("/speech", json={"text": text}).raise_for_status().content
    with wave.open(io.BytesIO(whole)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    with wave.open(str(kept(stack, job["id"], "speech"))) as sound:
        spoken_s = sound.getnframes() / sound.getframerate()
    assert spoken_s == pytest.approx(seconds, abs=seconds / len(SENTENCES) / 2)  # never quite alike
    subtitles = kept(stack, job["id"], "subtitles.vtt").read_text()
    said = " ".join(line for line in subtitles.splitlines()[1:] if line and "-->" not in line)
    assert said == text
    api.post(f"/jobs/{job['id']}/cancel").raise_for_status()


@pytest.mark.parametrize("name", ["asr", "gateway"])
def test_a_video_waits_for_its_subtitles(
    stack: Any, api: httpx.Client, services: Services, recording: bytes, name: str
) -> None:
    wanted = {"avatar": "Vera", "size": "64", "subtitles": "vtt", "language": "en"}
    files = {"audio": ("speech.wav", recording, "audio/wav")}
    job = api.post("/generations", data=wanted, files=files).raise_for_status().json()
    kill(stack, name)
    until_film(stack, services, job["id"])
    assert "-->" in kept(stack, job["id"], "subtitles.vtt").read_text()
    api.post(f"/jobs/{job['id']}/cancel").raise_for_status()


def test_who_spoke_need_not_speak_again(
    stack: Any, api: httpx.Client, meanwhile: Callable[..., Future], recording: bytes
) -> None:
    chat = api.post("/chats", json={"avatar": "Vera", "size": 64}).raise_for_status().json()["id"]
    stack.programs()["asr"].suspend()
    files = {"audio": ("speech.wav", recording, "audio/wav")}
    asked = meanwhile(api.post, f"/chats/{chat}/messages", files=files)
    time.sleep(0.5)  # it is on its way, or finds nobody: both must do
    kill(stack, "asr")
    answer = asked.result(BACK_S).raise_for_status().text
    assert "event: transcript" in answer and "event: done" in answer and "event: error" not in answer
    roles = [message["role"] for message in api.get(f"/chats/{chat}").json()["messages"]]
    assert roles == ["user", "assistant"]
    api.delete(f"/chats/{chat}")


def test_a_voice_whose_making_is_killed_is_made_and_nothing_stays_half(
    stack: Any, api: httpx.Client, meanwhile: Callable[..., Future], recording: bytes
) -> None:
    before, files = folders(stack, "upload-*/voice"), {"audio": ("speech.wav", recording, "audio/wav")}
    others = voices(api)
    asked = meanwhile(api.post, "/voices", data={"name": "Nora", "consent": "Nora Smith"}, files=files)
    until_made_in(stack, "upload-*/voice", before)
    kill(stack, "tts")
    assert asked.result(BACK_S).status_code == 201
    assert voices(api) == sorted([*others, "Nora"])
    api.delete("/voices/Nora").raise_for_status()


def test_a_recording_is_brought_once_and_becomes_a_training(
    stack: Any, api: httpx.Client, meanwhile: Callable[..., Future], demo_clip: Path
) -> None:
    before, others = folders(stack, "upload-*"), voices(api)
    files = {"video": ("clip.mp4", demo_clip.read_bytes(), "video/mp4")}
    asked = meanwhile(api.post, "/trainings", data={"name": "Nora", "consent": "Nora Smith"}, files=files)
    until_made_in(stack, "upload-*", before)
    kill(stack, "train")
    job = asked.result(BACK_S).raise_for_status().json()
    api.post(f"/jobs/{job['id']}/cancel").raise_for_status()
    stack.until(lambda: api.get(f"/jobs/{job['id']}").json()["state"] == "cancelled", BACK_S, "it is cancelled")
    assert voices(api) == others


def test_a_training_outlives_the_gateway_and_those_who_help_it(stack: Any, api: httpx.Client, demo_clip: Path) -> None:
    """Voice and subtitles too: they are the job's own work."""
    files = {"video": ("clip.mp4", demo_clip.read_bytes(), "video/mp4")}
    tiny = {"params.steps": "8", "params.motion_steps": "20", "params.size": "192", "params.loop_seconds": "2"}
    fields = {"name": "Nora", "consent": "Nora Smith", "language": "en", **tiny}
    job = api.post("/trainings", data=fields, files=files).raise_for_status().json()
    kill(stack, "gateway")
    now: dict[str, Any] = {}

    def is_in(*stages: str) -> bool:
        now.update(api.get(f"/jobs/{job['id']}").raise_for_status().json())
        assert now["state"] in ("queued", "running", "succeeded"), now
        return now["stage"] in stages or now["state"] == "succeeded"

    for stage_name, name in (("subtitles", "asr"), ("voice", "tts")):
        stack.until(lambda: is_in(stage_name), LONGEST_S, f"it is in the stage {stage_name}")  # noqa: B023
        kill(stack, name)
    stack.until(lambda: is_in() or now["state"] == "succeeded", LONGEST_S, "the avatar is there")
    lacking = {"VOICE_NOT_MADE", "SUBTITLES_NOT_MADE"} & {one["code"] for one in now.get("warnings", [])}
    assert (now["result"]["voice"], lacking) == ("Nora", set())
    assert "Nora" in voices(api)
    assert api.get("/avatars/Nora/transcript").raise_for_status().text.count("-->") > 1
    api.delete("/avatars/Nora").raise_for_status()
    api.delete("/voices/Nora").raise_for_status()
