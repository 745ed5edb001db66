"""Chats over the real application: who may talk in them, and what is told of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.app import create_app
from gateway.settings import GatewaySettings

UNKNOWN = [
    ({"avatar": "Nobody"}, 404, "AVATAR_NOT_FOUND", "avatar"),
    ({"avatar": "Bob", "voice": "nobody"}, 404, "VOICE_NOT_FOUND", "voice"),
    ({"avatar": "Bob", "persona": "nobody"}, 404, "NO_SUCH_PERSONA", "persona"),
    ({"avatar": "Bob", "language": "xx"}, 501, "LANGUAGE_NOT_SUPPORTED", "language"),
]


@pytest.fixture
def gateway(rooms: Any, tmp_path: Path) -> FlaskClient:
    rooms.painter.avatars, rooms.painter.own_voice, rooms.speaker.voices = ["Bob"], "bob", {"ann": b"", "bob": b""}
    return create_app(GatewaySettings(data_folder=tmp_path), rooms.services).test_client()


def begin(gateway: FlaskClient, **wanted: object) -> dict[str, Any]:
    """A new chat with Bob."""
    answer = gateway.post("/api/v1/chats", json={"avatar": "Bob", **wanted})
    assert answer.status_code == 201, answer.json
    return answer.json


@pytest.mark.parametrize(("wanted", "status", "code", "field"), UNKNOWN)
def test_a_name_that_nobody_has_is_refused_alike_at_the_beginning_and_later(
    gateway: FlaskClient, wanted: dict[str, str], status: int, code: str, field: str
) -> None:
    begun = gateway.post("/api/v1/chats", json=wanted)
    assert (begun.status_code, begun.json["error"]["code"], begun.json["error"]["field"]) == (status, code, field)
    changed = gateway.patch(f"/api/v1/chats/{begin(gateway)['id']}", json=wanted)
    assert (changed.status_code, changed.json) == (begun.status_code, begun.json)


def test_a_chat_begins_with_what_was_chosen(gateway: FlaskClient) -> None:
    chat = begin(gateway, voice="ann", persona="guide", language="zh-CN")
    assert (chat["voice"], chat["persona"], chat["language"]) == ("ann", "guide", "zh-CN")
    assert begin(gateway)["voice"] == "bob", "its own"


def test_the_engines_own_voice_is_to_be_had_for_an_avatar_that_has_another(gateway: FlaskClient, rooms: Any) -> None:
    assert begin(gateway, voice=":standard")["voice"] is None
    path = f"/api/v1/chats/{begin(gateway)['id']}"
    for voice in ("", ":standard"):
        assert gateway.patch(path, json={"voice": voice}).status_code == 200
        assert "event: done" in gateway.post(f"{path}/messages", json={"text": "Hi"}).text
    assert [config.voice for config in rooms.speaker.configs] == ["bob", ""]


def test_rate_and_pitch_hold_from_the_next_answer_and_are_told(gateway: FlaskClient, rooms: Any) -> None:
    chat = begin(gateway, rate=1.25)
    assert (chat["rate"], chat["pitch_semitones"]) == (1.25, 0.0)
    path = f"/api/v1/chats/{chat['id']}"
    changed = gateway.patch(path, json={"pitch_semitones": -3}).json
    assert (changed["rate"], changed["pitch_semitones"], changed["voice"]) == (1.25, -3.0, "bob")
    assert "event: done" in gateway.post(f"{path}/messages", json={"text": "Hi"}).text
    (config,) = rooms.speaker.configs
    assert (config.rate, config.pitch_semitones) == (1.25, -3.0)
    refused = gateway.patch(path, json={"rate": 5}).json["error"]
    assert (refused["code"], refused["field"]) == ("NUMBER_OUT_OF_RANGE", "rate")


def test_the_engines_of_a_chat_are_chosen_and_told(gateway: FlaskClient, rooms: Any) -> None:
    chat = begin(gateway, llm_engine="large")
    assert (chat["asr_engine"], chat["llm_engine"], chat["tts_engine"]) == (None, "large", None)
    path = f"/api/v1/chats/{chat['id']}"
    assert "event: done" in gateway.post(f"{path}/messages", json={"text": "Hi"}).text
    assert gateway.patch(path, json={"llm_engine": "", "tts_engine": "small"}).json["llm_engine"] is None
    assert "event: done" in gateway.post(f"{path}/messages", json={"text": "And now?"}).text
    assert [request.engine for request in rooms.writer.requests] == ["large", ""]
    assert [config.engine for config in rooms.speaker.configs] == ["", "small"]


def test_an_engine_that_does_not_speak_the_language_of_the_chat_is_refused(gateway: FlaskClient, rooms: Any) -> None:
    chat = begin(gateway, language="zh")
    path = f"/api/v1/chats/{chat['id']}"
    refused = gateway.patch(path, json={"tts_engine": "english"})
    assert (refused.status_code, refused.json["error"]["code"]) == (501, "LANGUAGE_NOT_SUPPORTED")
    assert gateway.get(path).json["tts_engine"] is None
    assert gateway.patch(path, json={"tts_engine": "english", "language": "en"}).json["tts_engine"] == "english"


@pytest.mark.parametrize(
    ("name", "status", "code", "words"),
    [("none-such", 400, "NO_ENGINE", "small, large, dear"), ("dear", 503, "KEY_MISSING", "Set KEY")],
)
def test_an_engine_that_cannot_be_had_is_refused(
    gateway: FlaskClient, name: str, status: int, code: str, words: str
) -> None:
    answer = gateway.post("/api/v1/chats", json={"avatar": "Bob", "llm_engine": name})
    assert answer.status_code == status
    error = answer.json["error"]
    assert (error["code"], error["field"]) == (code, "llm_engine")
    assert words in error["message"]


@pytest.mark.parametrize(
    ("language", "reason", "remedy"),
    [("en", "It needs a key.", "Set KEY."), ("zh", "需要服务商的密钥。", "请设置 KEY 并重启服务。")],
)
def test_what_an_engine_lacks_and_what_mends_it_are_told_in_the_readers_language(
    gateway: FlaskClient, language: str, reason: str, remedy: str
) -> None:
    engines = gateway.get("/api/v1/engines", headers={"Accept-Language": language}).json["llm"]
    dear = next(one for one in engines if one["name"] == "dear")
    assert (dear["state"], dear["reason"], dear["remedy"]) == ("missing", reason, remedy)
    wanted, headers = {"avatar": "Bob", "llm_engine": "dear"}, {"Accept-Language": language}
    message = gateway.post("/api/v1/chats", json=wanted, headers=headers).json["error"]["message"]
    assert message.replace(" ", "") == (reason + remedy).replace(" ", "")


def test_a_page_learns_what_is_to_be_chosen_from(gateway: FlaskClient) -> None:
    engines = gateway.get("/api/v1/engines")
    assert engines.status_code == 200 and engines.json["tts"][0]["languages"] == ["en", "zh"]
    assert [one["name"] for one in gateway.get("/api/v1/avatars").json["avatars"]] == ["Bob"]
    assert [one["name"] for one in gateway.get("/api/v1/personas").json["personas"]] == ["guide"]


def test_what_a_recording_says_is_told_in_full(gateway: FlaskClient, rooms: Any) -> None:
    asked = {"audio": (io.BytesIO(b"123"), "said.wav"), "hotwords": "Ann, Ulm", "languages": "de, fr", "form": "spoken"}
    told = gateway.post("/api/v1/transcriptions", data=asked).json
    (config,) = rooms.listener.recorded
    assert (list(config.hotwords), config.spoken_form) == (["Ann", "Ulm"], True)
    assert list(config.languages) == ["de", "fr"]
    word = {"text": "3", "start_s": 0.0, "end_s": 0.4, "confidence": 0.5}
    utterance = {"text": "3 bytes", "start_s": 0.0, "end_s": 0.5, "words": [word]}
    assert told == {
        "text": "3 bytes",
        "words": [word],
        "utterances": [utterance],
        "webvtt": "WEBVTT",
        "srt": "",
        "language": "",
        "duration_s": 0.0,
    }


def test_an_avatar_is_told_in_full(gateway: FlaskClient) -> None:
    assert gateway.get("/api/v1/avatars/Bob").json == {
        "name": "Bob",
        "kind": "video",
        "engine": "",
        "width": 0,
        "height": 0,
        "fps": 0.0,
        "voice": "bob",
        "consent": {"given_by": "", "time": 0.0},
        "created_at": 0.0,
        "report": {},
        "files": [],
        "error": None,
    }


def test_how_the_services_are_doing_is_told(gateway: FlaskClient) -> None:
    told = gateway.get("/api/v1/system").json["services"]
    assert told["train"] == {"state": "down"}, "what does not answer tells no more"
    assert told["llm"].keys() == {"state", "version", "engine", "devices", "hardware"}
    assert told["llm"]["hardware"]["gpus"] == []
