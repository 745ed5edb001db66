"""What Compose users count on: healthy containers, flows through the published port, scaling, survival, no loss."""

from __future__ import annotations

import json
import time
from collections import Counter

import httpx
import pytest

from tests.compose.conftest import ROOMS, Composed

pytestmark = pytest.mark.compose
PROCESSORS = {"asr": 2, "llm": 1, "tts": 2, "gateway": 2}
JOB_TIMEOUT_S = 1200  # only ends what would hang


def first_avatar(http: httpx.Client) -> str:
    """The demo avatar."""
    avatars = http.get("/api/v1/avatars").raise_for_status().json()["avatars"]
    assert avatars, "the demo avatar is not there"
    return avatars[0]["name"]


def generate(http: httpx.Client, text: str = "Good morning from a container.") -> dict:
    """A finished generation job."""
    asked = http.post("/api/v1/generations", json={"avatar": first_avatar(http), "text": text, "subtitles": "vtt"})
    assert asked.status_code == 202, asked.text
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while (job := http.get(f"/api/v1/jobs/{asked.json()['id']}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.5)
    assert job["state"] == "succeeded", job
    return job


def chat(http: httpx.Client) -> dict[str, list[dict]]:
    """Events of one chat turn, by name; its video has been fetched."""
    talk = http.post("/api/v1/chats", json={"avatar": first_avatar(http)}).raise_for_status().json()
    events: dict[str, list[dict]] = {}
    name = ""
    with http.stream("POST", f"/api/v1/chats/{talk['id']}/messages", json={"text": "What is Visavis?"}) as reply:
        for line in reply.iter_lines():
            if line.startswith("event:"):
                name = line.partition(":")[2].strip()
            elif line.startswith("data:"):
                events.setdefault(name, []).append(json.loads(line.partition(":")[2]))
    assert "error" not in events, events["error"]
    assert http.get(events["done"][0]["video_url"]).content[4:8] == b"ftyp"
    http.delete(f"/api/v1/chats/{talk['id']}")
    return events


def test_every_room_is_healthy_and_locked_down(composed: Composed) -> None:
    rooms = {one.labels["com.docker.compose.service"]: one for one in composed.containers()}
    assert set(rooms) == ROOMS
    for room, container in rooms.items():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], room
        assert "no-new-privileges:true" in host["SecurityOpt"], room
        assert container.exec_run("id -u").output.strip() == b"10001", room
        assert bool(host["PortBindings"]) == (room == "gateway"), room
        assert host["Memory"] and 0 < host["PidsLimit"] <= 4096, room
        assert host["NanoCpus"] == PROCESSORS.get(room, 0) * 10**9, room


def test_generate_and_chat_through_the_published_port(composed: Composed) -> None:
    with composed.http() as http:
        job = generate(http)
        video = http.get(job["result"]["video_url"])
        assert video.status_code == 200
        assert video.content[4:8] == b"ftyp"
        assert http.get(job["result"]["subtitles_url"]).text.startswith("WEBVTT")
        assert chat(http)["media"]


def test_three_renderers_share_the_calls_and_one_may_die(composed: Composed) -> None:
    composed.up("--scale", "render=3", "--no-recreate")
    assert len(composed.containers("render")) == 3
    composed.containers("gateway")[0].restart(timeout=30)  # a new one looks the name up anew
    composed.up("--scale", "render=3", "--no-recreate")
    with composed.http() as http:
        for _ in range(300):  # the first calls go to whoever is connected first
            first_avatar(http)
            if min((before := calls(composed)).values()):
                break
        for _ in range(30):
            first_avatar(http)
        served = Counter(calls(composed))
        served.subtract(before)
        assert len(served) == 3, served
        assert min(served.values()) >= 5, served
        composed.containers("render")[0].kill()
        for _ in range(10):
            first_avatar(http)
        assert chat(http)["media"]


def calls(composed: Composed) -> dict[str, int]:
    """Calls that each renderer has logged."""
    return {one.name: one.logs().decode().count("ListAvatars") for one in composed.containers("render")}


def test_down_and_up_lose_nothing(composed: Composed, voice_recording: bytes) -> None:
    with composed.http() as http:
        job = generate(http, "This video stays.")
        made = http.post(
            "/api/v1/voices",
            data={"name": "Stays 声音", "consent": "the test"},
            files={"audio": ("voice.wav", voice_recording)},
        )
        assert made.status_code == 201, made.text
    composed.run("down", "--timeout", "30")
    composed.up()
    with composed.http() as http:
        assert first_avatar(http)
        assert "Stays 声音" in [voice["name"] for voice in http.get("/api/v1/voices").json()["voices"]]
        assert http.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "succeeded"
        assert http.get(job["result"]["video_url"]).status_code == 200


@pytest.fixture
def voice_recording(composed: Composed) -> bytes:
    """A self-made reference recording: the engine's own voice, speaking for a while."""
    text = "The north wind and the sun were disputing which of them was the stronger. " * 3
    with composed.http() as http:
        return http.post("/api/v1/speech", json={"text": text}).raise_for_status().content
