"""The REST interface over the real stack, as a caller in any language would use it."""

from __future__ import annotations

import io
import json
import shutil
import uuid
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

pytestmark = pytest.mark.e2e
TIMEOUT_S = 600  # only ends what would hang
TINY = {"steps": 8, "motion_steps": 20, "loop_seconds": 2}
LONG_TEXT = "This sentence is said again and again, so that the reply takes a while. " * 60
SAID = "Good morning, my name is Anna and I would like to tell you something about the weather today. " * 3


@pytest.fixture(scope="module")
def api(stack: Any) -> Iterator[httpx.Client]:
    """A caller."""
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture(scope="module")
def older(stack: Any) -> Iterator[httpx.Client]:
    """A caller of the older routes."""
    with httpx.Client(base_url=stack.url, timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture(scope="module")
def avatar(api: httpx.Client, request: pytest.FixtureRequest) -> str:
    """Any avatar; where the stack has none, a tiny one is trained."""
    avatars = api.get("/avatars").json()["avatars"]
    if avatars:
        return avatars[0]["name"]
    job = ended(api, train(api, request.getfixturevalue("demo_clip"), "Rest"))
    assert job["state"] == "succeeded" and job["result"]["metrics"]["psnr"] > 10
    return job["result"]["avatar"]


def train(api: httpx.Client, clip: Path, name: str) -> dict[str, Any]:
    fields = {"name": name, "consent": "Nobody: drawn", "params": json.dumps(TINY), "params.size": "192"}
    with clip.open("rb") as video:
        answer = api.post("/trainings", data=fields, files={"video": ("clip.mp4", video)})
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def recording(api: httpx.Client) -> bytes:
    """Fifteen seconds or so of speech as WAV."""
    return api.post("/speech", json={"text": SAID}).raise_for_status().content


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def ended(api: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """Follow a job to its end; checks that it never goes back."""
    with api.stream("GET", f"/jobs/{job['id']}/events") as response:
        snapshots = [data for name, data in events(response) if name == "job"]
    progress = [snapshot["progress"] for snapshot in snapshots]
    assert progress == sorted(progress)
    assert all(snapshot["id"] == job["id"] for snapshot in snapshots)
    return snapshots[-1]


def streams_of(video: bytes) -> dict[str, float]:
    """Length in seconds of a video's pictures and sound."""
    with av.open(io.BytesIO(video)) as container:
        frames = [(frame, stream.type) for stream in container.streams for frame in _decoded(video, stream.index)]
    pictures = sum(1 for _, kind in frames if kind == "video") / 25
    sound = sum(frame.samples / frame.sample_rate for frame, kind in frames if kind == "audio")
    return {"video": pictures, "audio": sound}


def _decoded(video: bytes, index: int) -> list[Any]:
    with av.open(io.BytesIO(video)) as container:
        return list(container.decode(container.streams[index]))


def test_all_services_are_told(stack: Any, api: httpx.Client) -> None:
    def states() -> dict[str, str]:
        return {name: one["state"] for name, one in api.get("/system").json()["services"].items()}

    serving = dict.fromkeys(("asr", "llm", "tts", "render", "train"), "serving")
    stack.until(lambda: states() == serving, 180, "all serve")  # one was killed by another test
    services = api.get("/system").json()["services"]
    assert services["render"]["hardware"]["memory_total_bytes"] > 2**30
    assert api.get("/engines").json()["train"][0]["parameters"]


def test_speech_and_back(api: httpx.Client, recording: bytes) -> None:
    with wave.open(io.BytesIO(recording)) as wav:
        assert wav.getnchannels() == 1 and wav.getnframes() / wav.getframerate() > 8
    with av.open(io.BytesIO(recording)) as container:
        assert json.loads(container.metadata["AIGC"])["Label"] == "1"
    unknown = api.post("/transcriptions", files={"audio": ("said.wav", recording)})
    error = unknown.json()["error"]
    assert (unknown.status_code, error["code"], error["field"]) == (400, "LANGUAGE_MISSING", "language")
    heard = api.post("/transcriptions", data={"language": "en"}, files={"audio": ("said.wav", recording)}).json()
    starts = [word["start_s"] for word in heard["words"]]
    assert starts == sorted(starts) and 0 <= starts[0] < heard["words"][-1]["end_s"] <= heard["duration_s"]
    assert heard["webvtt"].startswith("WEBVTT") and "-->" in heard["srt"]


def test_a_voice_from_registering_to_deleting(api: httpx.Client, recording: bytes) -> None:
    name = "Anna 安娜 🙂"
    fields = {"name": name, "consent": "Anna", "transcript": SAID}
    created = api.post("/voices", data=fields, files={"audio": ("anna.wav", recording)})
    assert created.status_code == 201
    assert created.json()["consent"]["given_by"] == "Anna"
    assert name in [voice["name"] for voice in api.get("/voices").json()["voices"]]
    part = api.get(f"/voices/{name}/audio", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    with av.open(io.BytesIO(api.get(f"/voices/{name}/audio").content)) as container:
        assert "AIGC" not in container.metadata  # it is what the person said
    assert api.post("/speech", json={"text": "Hello.", "voice": name}).content[:4] == b"RIFF"
    assert api.delete(f"/voices/{name}").status_code == 204
    gone = api.get(f"/voices/{name}/audio")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "VOICE_NOT_FOUND")


def test_what_nobody_can_list_is_refused_or_shown_cut(stack: Any, api: httpx.Client, recording: bytes) -> None:
    """A consent of 400 kB once made every list, and every chat, answer 429."""
    fields = {"name": "Endless", "consent": "Ada L. " * 57_000}
    refused = api.post("/voices", data=fields, files={"audio": ("said.wav", recording)})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "consent")
    stored = {
        "name": "", "engine": "espeak", "duration_s": 1, "transcript": "", "consent_by": fields["consent"],
        "consent_at": 1.8e9, "created_at": 1.8e9, "recording_sha256": "",
    }  # fmt: skip
    folders = [stack.data / "voices" / f"Endless {number}" for number in range(11)]
    try:
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "reference.wav").write_bytes(recording)
            (folder / "voice.json").write_text(json.dumps(stored))
        listed = {voice["name"]: voice for voice in api.get("/voices").raise_for_status().json()["voices"]}
        assert len(listed["Endless 10"]["consent"]["given_by"]) == 200
        page = api.get("/voices", params={"page_size": 4}).json()
        assert len(page["voices"]) == 4
        rest = api.get("/voices", params={"page_size": 4, "page_token": page["next_page_token"]}).json()
        assert page["voices"][-1]["name"] < rest["voices"][0]["name"]
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def test_what_is_damaged_is_listed_and_can_be_deleted(stack: Any, api: httpx.Client) -> None:
    folders = {"avatars": stack.data / "avatars" / "Broken", "voices": stack.data / "voices" / "Broken"}
    for kind, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / f"{kind[:-1]}.json").write_text('{"engine": "portr')
    try:
        for kind, code in (("avatars", "AVATAR_DAMAGED"), ("voices", "VOICE_DAMAGED")):
            broken = next(one for one in api.get(f"/{kind}").json()[kind] if one["name"] == "Broken")
            assert broken["error"]["code"] == code and "Delete it" in broken["error"]["message"]
            said = {"avatar": "Broken", "text": "hi"} if kind == "avatars" else {"text": "hi", "voice": "Broken"}
            used = api.post("/generations" if kind == "avatars" else "/speech", json=said)
            assert (used.status_code, used.json()["error"]["code"]) == (409, code)
            if kind == "avatars":
                assert api.post("/chats", json={"avatar": "Broken"}).json()["error"]["code"] == code
            assert api.delete(f"/{kind}/Broken").status_code == 204
            assert "Broken" not in [one["name"] for one in api.get(f"/{kind}").json()[kind]]
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


def test_a_video_from_text(api: httpx.Client, avatar: str) -> None:
    body = {"avatar": avatar, "text": "This is a short test.", "subtitles": "vtt"}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    asked = api.post("/generations", json=body, headers=key)
    assert asked.status_code == 202
    assert asked.headers["location"] == f"/api/v1/jobs/{asked.json()['id']}"
    again = api.post("/generations", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, asked.json()["id"])
    job = ended(api, asked.json())
    assert job["state"] == "succeeded" and job["error"] is None
    video = api.get(job["result"]["video_url"].removeprefix("/api/v1")).content
    lengths = streams_of(video)
    assert lengths["video"] == pytest.approx(lengths["audio"], abs=0.2)
    assert api.get(f"/jobs/{job['id']}/subtitles").text.startswith("WEBVTT")
    part = api.get(f"/jobs/{job['id']}/video", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(video)}"
    assert job["id"] in [one["id"] for one in api.get("/jobs").json()["jobs"]]


def test_a_video_from_a_recording(api: httpx.Client, avatar: str, recording: bytes) -> None:
    asked = api.post("/generations", data={"avatar": avatar}, files={"audio": ("said.wav", recording)})
    job = ended(api, asked.json())
    assert job["state"] == "succeeded"
    assert job["result"]["subtitles_url"] is None
    assert job["result"]["duration_s"] > 8


def test_a_video_can_be_cancelled(api: httpx.Client, avatar: str) -> None:
    job = api.post("/generations", json={"avatar": avatar, "text": LONG_TEXT}).json()
    assert api.post(f"/jobs/{job['id']}/cancel").status_code == 200
    job = ended(api, job)
    assert job["state"] == "cancelled" and job["result"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("speech", {"text": ""}, 400, "TEXT_EMPTY", "text"),
        ("speech", {"text": "x" * 20_000}, 400, "TEXT_TOO_LONG", "text"),
        ("speech", {"text": "hi", "voice": "nobody"}, 404, "VOICE_NOT_FOUND", "voice"),
        ("speech", {"text": "hi", "language": "xx-yy"}, 501, "LANGUAGE_NOT_SUPPORTED", "language"),
        ("speech", {"text": "hi", "rate": 9}, 400, "NUMBER_OUT_OF_RANGE", "rate"),
        ("generations", {"avatar": "nobody", "text": "hi"}, 404, "AVATAR_NOT_FOUND", "avatar"),
        ("generations", {"avatar": "../../etc", "text": "hi"}, 404, "AVATAR_NOT_FOUND", "avatar"),
        ("generations", {"text": "hi"}, 400, "FIELD_MISSING", "avatar"),
        ("generations", {"avatar": "x"}, 400, "AUDIO_OR_TEXT", "text"),
        ("generations", {"avatar": "x", "text": "hi", "subtitles": "gold"}, 400, "NOT_A_CHOICE", "subtitles"),
        ("chats", {"avatar": "nobody"}, 404, "AVATAR_NOT_FOUND", "avatar"),
        ("chats/AAAAAAAAAAAAAAAAAAAAAA/messages", {"text": "hi"}, 404, "CHAT_NOT_FOUND", None),
        ("jobs/generation-nothing/cancel", {}, 404, "JOB_NOT_FOUND", "id"),
        ("jobs/other-kind/cancel", {}, 404, "JOB_NOT_FOUND", "id"),
        ("jobs/training-nothing/resume", {}, 404, "JOB_NOT_FOUND", "id"),
    ],
)
def test_refusals(
    api: httpx.Client, path: str, body: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    answer = api.post(f"/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, field)
    assert error["message"] and "Traceback" not in error["message"]


def test_a_second_training_waits_and_both_can_be_cancelled(api: httpx.Client, demo_clip: Path) -> None:
    names = ("Cancelled 1", "Cancelled 2")
    first, second = (train(api, demo_clip, name) for name in names)
    assert second["state"] == "queued"
    taken = api.post(
        "/trainings", data={"name": names[0], "consent": "Nobody"}, files={"video": ("x.mp4", demo_clip.read_bytes())}
    )
    assert (taken.status_code, taken.json()["error"]["field"]) == (409, "name")
    for job in (second, first):
        api.post(f"/jobs/{job['id']}/cancel")
    assert [ended(api, job)["state"] for job in (first, second)] == ["cancelled", "cancelled"]
    assert not {*names} & {one["name"] for one in api.get("/avatars").json()["avatars"]}
    for name in names:
        api.delete(f"/voices/{name}")


def test_a_deleted_video_is_gone(api: httpx.Client, avatar: str) -> None:
    asked = api.post("/generations", json={"avatar": avatar, "text": "Soon forgotten.", "size": 64}).json()
    path = f"/jobs/{asked['id']}"
    early = api.delete(path)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "JOB_NOT_ENDED")
    assert ended(api, asked)["state"] == "succeeded"
    assert api.delete(path).status_code == 204
    assert [api.get(path).status_code, api.get(f"{path}/video").status_code] == [404, 404]


def test_a_photo_becomes_an_avatar_that_speaks_with_a_registered_voice(
    api: httpx.Client, demo_photo: Path, recording: bytes
) -> None:
    """No voice is made of it; deleting the avatar leaves the voice that it was lent."""
    voice = {"name": "Lent", "consent": "Nobody: synthetic"}
    api.post("/voices", data=voice, files={"audio": ("said.wav", recording)}).raise_for_status()
    fields = {
        "name": "Photo",
        "consent": "Nobody: drawn",
        "voice": "Lent",
        "params.size": "192",
        "params.loop_seconds": "2",
    }
    answer = api.post("/trainings", data=fields, files={"video": ("vera.png", demo_photo.read_bytes())})
    assert answer.status_code == 202, answer.text
    job = ended(api, answer.json())
    assert (job["state"], job["result"]["kind"], job["result"]["metrics"]) == ("succeeded", "photo", {})
    avatar = next(one for one in api.get("/avatars").json()["avatars"] if one["name"] == "Photo")
    assert (avatar["kind"], avatar["voice"]) == ("photo", "Lent")
    made = ended(api, api.post("/generations", json={"avatar": "Photo", "text": "Hello there."}).json())
    assert made["state"] == "succeeded" and made["result"]["duration_s"] > 0.4
    assert api.delete("/avatars/Photo").status_code == 204
    assert "Lent" in [one["name"] for one in api.get("/voices").json()["voices"]]
    api.delete("/voices/Lent")


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "FILE_EMPTY"), (b"just some text", "NOT_A_VIDEO"), (bytes(100_000), "NOT_A_VIDEO")]
)
def test_what_is_no_video_is_refused_before_training(api: httpx.Client, content: bytes, code: str) -> None:
    before = len(api.get("/jobs").json()["jobs"])
    fields = {"name": "Nobody", "consent": "Nobody"}
    answer = api.post("/trainings", data=fields, files={"video": ("x.mp4", content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["field"] == "video"
    assert len(api.get("/jobs").json()["jobs"]) == before


def test_errors_are_told_in_the_readers_language(api: httpx.Client) -> None:
    answer = api.post("/speech", json={"text": "hi", "voice": "nobody"}, headers={"Accept-Language": "zh-CN"})
    assert answer.json()["error"]["message"] == "没有名为“nobody”的声音。请从列表中选择，或先注册。"


def test_mandarin_recognition_says_what_to_do(api: httpx.Client, recording: bytes) -> None:
    answer = api.post("/transcriptions", data={"language": "zh"}, files={"audio": ("said.wav", recording)})
    assert answer.status_code == 501
    assert "ASR_ENGINE" in answer.json()["error"]["message"]


@pytest.fixture
def chat(api: httpx.Client, avatar: str) -> Iterator[str]:
    """A chat's path."""
    created = api.post("/chats", json={"avatar": avatar, "language": "en"})
    assert created.status_code == 201 and created.json()["greeting"]
    path = f"/chats/{created.json()['id']}"
    yield path
    api.delete(path)


def test_a_chat_turn_streams_and_leaves_a_video(api: httpx.Client, chat: str) -> None:
    with api.stream("POST", f"{chat}/messages", json={"text": "What is Visavis?"}) as response:
        told = list(events(response))
    names = [name for name, _ in told]
    assert names[0] == "delta" and names[-1] == "done"
    assert names.index("sentence") < names.index("media") < len(names) - 1
    done = told[-1][1]
    assert done["text"] == "".join(data["text"] for name, data in told if name == "delta").strip()
    order = ["llm_first_token", "tts_first_audio", "render_first_fragment", "done"]
    assert [done["timeline"][name] for name in order] == sorted(done["timeline"][name] for name in order)
    whole = api.get(done["video_url"].removeprefix("/api/v1")).content
    lengths = streams_of(whole)
    assert lengths["video"] == pytest.approx(lengths["audio"], abs=0.2)
    media = [data for name, data in told if name == "media"]
    parts = [api.get(one["url"].removeprefix("/api/v1")).content for one in media]
    init = whole[: whole.index(b"moof") - 4]
    assert whole == init + b"".join(part.removeprefix(init) for part in parts)
    assert media[0]["media_type"].startswith("video/mp4")


def test_a_chat_remembers_and_hears(api: httpx.Client, chat: str, recording: bytes) -> None:
    with api.stream("POST", f"{chat}/messages", files={"audio": ("said.wav", recording)}) as response:
        told = list(events(response))
    assert told[0][0] == "transcript" and told[0][1]["text"]
    assert told[-1][0] == "done"
    stages = told[-1][1]["latency"]
    assert stages["asr"] > 0 and stages["encode"] > 0 and "vad" not in stages


def test_a_recording_in_a_language_that_nobody_recognises_is_refused_and_says_why(
    api: httpx.Client, avatar: str, recording: bytes
) -> None:
    chat = api.post("/chats", json={"avatar": avatar, "language": "zh"}).json()["id"]
    refused = api.post(f"/chats/{chat}/messages", files={"audio": ("said.wav", recording)})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["field"]) == (501, "LANGUAGE_NOT_SUPPORTED", "language")
    assert "ASR_ENGINE" in error["message"]
    assert api.get(f"/chats/{chat}").json()["messages"] == []


def test_interrupting_ends_a_reply_at_once(api: httpx.Client, chat: str) -> None:
    with api.stream("POST", f"{chat}/messages", json={"text": "How do I train an avatar?"}) as response:
        told = events(response)
        assert any(name == "media" for name, _ in told)
        stopped = api.post(f"{chat}/interrupt", json={"heard_s": 0.5}).raise_for_status().json()
        assert "done" not in [name for name, _ in told]
    answer = stopped["messages"][-1]
    assert answer["role"] == "assistant" and answer["is_stopped"] and answer["text"] and answer["unheard"]
    assert answer["avatar"] == stopped["avatar"]
    exported = api.get(f"{chat}/export?format=txt").text
    assert f"{answer['text']} [stopped here; not heard:] {answer['unheard']}" in exported
    with api.stream("POST", f"{chat}/messages", json={"text": "Thank you."}) as response:
        assert list(events(response))[-1][0] == "done"


def test_a_deleted_chat_is_gone(api: httpx.Client, avatar: str) -> None:
    path = f"/chats/{api.post('/chats', json={'avatar': avatar}).json()['id']}"
    assert api.delete(path).status_code == 204
    assert api.post(f"{path}/messages", json={"text": "hi"}).status_code == 404


def test_older_scripts_make_a_video(older: httpx.Client, avatar: str) -> None:
    fields = {"model_name": "Portrait", "model_param": f"output/{avatar}", "gpu_choice": "CPU"}
    answer = older.post("/video_generation", data={**fields, "target_text": "This is a test.", "ref_audio": ""})
    assert answer.json()["status"] == "success"
    path = answer.json()["video_path"]
    assert path.startswith("static/videos/") and path.endswith(".mp4")
    assert streams_of(older.get(f"/{path}").content)["video"] > 0.5


def test_older_scripts_save_then_chat(stack: Any, avatar: str, recording: bytes) -> None:
    fields = {"model_name": "", "model_param": f"/app/TalkingGaussian/output/{avatar}", "voice_clone": "true"}
    saved = httpx.post(f"{stack.url}/save_audio", files={"audio": ("input.wav", recording)}, timeout=TIMEOUT_S)
    assert saved.json()["status"] == "success"
    answer = httpx.post(f"{stack.url}/chat_system", data={**fields, "api_choice": "knowledge"}, timeout=TIMEOUT_S)
    assert answer.json()["status"] == "success", answer.json()
    assert httpx.get(f"{stack.url}/{answer.json()['video_path']}").status_code == 200
    by_id = {**fields, "audio_id": saved.json()["audio_id"]}
    assert httpx.post(f"{stack.url}/chat_system", data=by_id, timeout=TIMEOUT_S).json()["status"] == "success"


@pytest.mark.parametrize(
    ("path", "fields", "field", "choices"),
    [
        ("video_generation", {"model_name": "SyncTalk", "target_text": "hi"}, "model_name", "portrait"),
        ("chat_system", {"model_name": "SyncTalk"}, "model_name", "portrait"),
        ("chat_system", {"api_choice": "nonsense"}, "api_choice", "knowledge"),
        ("model_training", {"model_choice": "SyncTalk", "ref_video": "x"}, "model_choice", "portrait"),
    ],
)
def test_older_scripts_are_told_what_may_be_chosen(
    older: httpx.Client, avatar: str, path: str, fields: dict[str, str], field: str, choices: str
) -> None:
    answer = older.post(f"/{path}", data={"model_param": avatar, **fields})
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"], told["field"]) == (400, "error", "NOT_A_CHOICE", field)
    assert choices in told["message"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "../up"}, "name"),
        ({"consent": "true"}, "consent"),
        ({"custom_params": "steps=many"}, "custom_params"),
        ({"custom_params": "nope=1"}, "custom_params"),
        ({"gpu_choice": "GPU99"}, "gpu_choice"),
        ({"epoch": "abc"}, "epoch"),
    ],
)
def test_older_trainings_are_judged_before_their_film(older: httpx.Client, fields: dict[str, str], field: str) -> None:
    answer = older.post("/model_training", data=fields, files={"ref_video": ("film.mp4", b"no film at all")})
    assert (answer.status_code, answer.json()["field"]) == (400, field), "the film would be refused as NOT_A_VIDEO"


def test_older_failures(older: httpx.Client) -> None:
    answer = older.post("/video_generation", data={"model_param": "nobody", "target_text": "hi", "gpu_choice": "CPU"})
    assert answer.status_code == 404
    assert answer.json()["status"] == "error" and answer.json()["message"]
