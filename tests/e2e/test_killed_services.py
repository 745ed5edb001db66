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
from visavis.render.v1 import render_pb2

from client.services import Services
from tests.e2e.talking import RATE, spoken

pytestmark = pytest.mark.e2e
BACK_S = 300  # only ends what would hang
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
    stack.until(lambda: stack.health()[name] == "serving", BACK_S, f"{name} serves again")


def folders(stack: Any, pattern: str) -> set[Path]:
    return set((stack.data / "work").glob(pattern))


def until_made_in(stack: Any, pattern: str, before: set[Path]) -> None:
    """Wait until a service is in the middle of making something."""
    stack.until(lambda: folders(stack, pattern) - before, BACK_S, f"{pattern} is made")


def voices(api: httpx.Client) -> list[str]:
    return sorted(voice["name"] for voice in api.get("/voices").raise_for_status().json()["voices"])


def supplied(services: Services, job_id: str) -> float:
    """Seconds of speech that a video's job has got; 0 while it waits for them."""
    request = render_pb2.GetGenerationRequest(id=job_id)
    generation = services.render.GetGeneration(request, timeout=60).generation
    assert not generation.job.HasField("error"), generation.job.error
    return generation.duration.ToTimedelta().total_seconds()


def brought_subtitles(stack: Any, job_id: str) -> str:
    """The subtitles that came with the speech of a job."""
    (path,) = (stack.data / "generations" / job_id).rglob("subtitles.vtt")
    return path.read_text()


@pytest.mark.parametrize("name", ["tts", "render"])
def test_a_video_gets_all_of_its_speech_once(stack: Any, api: httpx.Client, services: Services, name: str) -> None:
    text = " ".join(SENTENCES)
    wanted = {"avatar": "Vera", "text": text, "size": 64, "subtitles": "vtt"}
    job = api.post("/generations", json=wanted).raise_for_status().json()
    assert (job["stage"], supplied(services, job["id"])) == ("input", 0)
    kill(stack, name)
    stack.until(lambda: supplied(services, job["id"]), BACK_S, "the speech is brought")
    whole = api.post("/speech", json={"text": text}).raise_for_status().content
    with wave.open(io.BytesIO(whole)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    assert supplied(services, job["id"]) == pytest.approx(
        seconds, abs=seconds / len(SENTENCES) / 2
    )  # never quite alike
    subtitles = brought_subtitles(stack, job["id"])
    said = " ".join(line for line in subtitles.splitlines()[1:] if line and "-->" not in line)
    assert said == text
    api.post(f"/jobs/{job['id']}/cancel").raise_for_status()


def test_a_video_waits_for_its_subtitles(stack: Any, api: httpx.Client, services: Services, recording: bytes) -> None:
    wanted = {"avatar": "Vera", "size": "64", "subtitles": "vtt", "language": "en"}
    files = {"audio": ("speech.wav", recording, "audio/wav")}
    job = api.post("/generations", data=wanted, files=files).raise_for_status().json()
    kill(stack, "asr")
    stack.until(lambda: supplied(services, job["id"]), BACK_S, "the speech is brought")
    assert "-->" in brought_subtitles(stack, job["id"])
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
    makings = {"train": "upload-*", "tts": "upload-*/voice"}
    before, others = {name: folders(stack, making) for name, making in makings.items()}, voices(api)
    files = {"video": ("clip.mp4", demo_clip.read_bytes(), "video/mp4")}
    asked = meanwhile(api.post, "/trainings", data={"name": "Nora", "consent": "Nora Smith"}, files=files)
    for name, making in makings.items():
        until_made_in(stack, making, before[name])
        kill(stack, name)
    job = asked.result(BACK_S).raise_for_status().json()
    api.post(f"/jobs/{job['id']}/cancel").raise_for_status()
    stack.until(lambda: api.get(f"/jobs/{job['id']}").json()["state"] == "cancelled", BACK_S, "it is cancelled")
    assert voices(api) == sorted([*others, "Nora"])
    api.delete("/voices/Nora").raise_for_status()
