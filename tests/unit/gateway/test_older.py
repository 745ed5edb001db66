"""Whose recording is used: never another browser's."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway import sweeping

BROWSER = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
MINE = "/static/audios/input.wav"


def save(client: FlaskClient, words: bytes, **request: object) -> dict[str, str]:
    answer = client.post("/save_audio", data={"audio": (io.BytesIO(words), "input.wav")}, **request)
    assert answer.status_code == 200
    return answer.get_json()


def test_two_browsers_never_hear_each_other(gateway: Flask) -> None:
    one, two, newcomer = (gateway.test_client() for _ in range(3))
    save(one, b"one", headers=BROWSER)
    save(two, b"two", headers=BROWSER)
    assert one.get(MINE, headers=BROWSER).data == b"one"
    assert two.get(MINE, headers=BROWSER).data == b"two"
    assert newcomer.get(MINE, headers=BROWSER).status_code == 404


def test_a_script_without_cookies_gets_what_a_script_saved(gateway: Flask) -> None:
    script = gateway.test_client(use_cookies=False)
    save(gateway.test_client(), b"browser", headers=BROWSER)
    assert script.get(MINE).status_code == 404
    save(script, b"script")
    save(gateway.test_client(), b"later browser", headers=BROWSER)
    assert script.get(MINE).data == b"script"
    assert gateway.test_client().get(MINE, headers=BROWSER).status_code == 404


@pytest.mark.parametrize("elsewhere", [{"REMOTE_ADDR": "192.168.1.9"}, {"HTTP_X_FORWARDED_FOR": "8.8.8.8"}])
def test_callers_elsewhere_need_the_id(gateway: Flask, elsewhere: dict[str, str]) -> None:
    script = gateway.test_client(use_cookies=False)
    save(script, b"script")
    assert script.get(MINE, environ_overrides=elsewhere).status_code == 404
    told = save(script, b"far", environ_overrides=elsewhere)
    assert script.get(MINE).data == b"script"
    assert script.get("/" + told["path"], environ_overrides=elsewhere).data == b"far"


def test_a_container_published_on_loopback_counts_its_callers_as_here(make_gateway: Callable[..., Flask]) -> None:
    script = make_gateway(host="0.0.0.0", published_host="127.0.0.1").test_client(use_cookies=False)
    save(script, b"script", environ_overrides={"REMOTE_ADDR": "172.18.0.1"})
    assert script.get(MINE, environ_overrides={"REMOTE_ADDR": "172.18.0.1"}).data == b"script"


@pytest.mark.parametrize("folder", ["audios", "videos"])
def test_recordings_and_videos_expire_though_nobody_comes(
    make_gateway: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_S", 0.02)
    old, new = tmp_path / folder / "old", tmp_path / folder / "new"
    old.parent.mkdir()
    old.write_bytes(b"someone's voice")
    new.write_bytes(b"someone's voice")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    make_gateway()
    until = time.monotonic() + 60
    while old.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert [path.name for path in old.parent.iterdir()] == ["new"]


@pytest.mark.parametrize("audio_id", ["../../etc/passwd", "..%2F..%2Fsecret", "x" * 32, "", "a/b"])
def test_ids_that_are_none_open_nothing(gateway: Flask, tmp_path: Path, audio_id: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    client = gateway.test_client(use_cookies=False)
    answer = client.post("/chat_system", data={"model_param": "May", "audio_id": audio_id})
    assert answer.status_code in (404, 503)
    assert answer.get_json()["status"] == "error"
    assert client.get(f"/static/audios/{audio_id}").status_code in (404, 308)
    assert client.get("/static/audios/../secret.wav").status_code == 404
    assert client.get("/static/videos/..%2f..%2fsecret.wav").status_code == 404


def test_failures_look_as_older_scripts_expect(gateway: Flask) -> None:
    answer = gateway.test_client().post("/video_generation", data={"model_param": "..", "gpu_choice": "CPU"})
    assert answer.status_code == 400
    assert answer.get_json() == {
        "status": "error",
        "code": "AVATAR_MISSING",
        "message": "'model_param' must be the name of an avatar, for example `May` or `output/May`.",
        "field": "model_param",
    }


@pytest.mark.parametrize(
    ("path", "values", "code", "field"),
    [
        ("model_training", {"epoch": "abc"}, "NOT_A_NUMBER", "epoch"),
        ("model_training", {"epoch": "0"}, "NOT_A_NUMBER", "epoch"),
        ("model_training", {"epoch": "1e3"}, "NOT_A_NUMBER", "epoch"),
        ("model_training", {"gpu_choice": "TPU"}, "DEVICE_UNKNOWN", "gpu_choice"),
        ("model_training", {"custom_params": "draft"}, "PARAMETERS_WRONG", "custom_params"),
        ("model_training", {"custom_params": "{"}, "NOT_AN_OBJECT", "custom_params"),
        ("model_training", {"custom_params": "a=" + "x" * 201}, "TEXT_TOO_LONG", "custom_params.a"),
        ("model_training", {"model_choice": "x" * 201}, "TEXT_TOO_LONG", "model_choice"),
        ("video_generation", {"gpu_choice": "TPU"}, "DEVICE_UNKNOWN", "gpu_choice"),
        ("video_generation", {"model_param": ""}, "AVATAR_MISSING", "model_param"),
        ("video_generation", {"target_text": "x" * 5001}, "TEXT_TOO_LONG", "target_text"),
        ("chat_system", {"model_param": ".."}, "AVATAR_MISSING", "model_param"),
    ],
)
def test_values_are_judged_before_the_file_is_stored(
    gateway: Flask, tmp_path: Path, path: str, values: dict[str, str], code: str, field: str
) -> None:
    file = {name: (io.BytesIO(b"a film"), "may.mp4") for name in ("ref_video", "ref_audio", "audio")}
    answer = gateway.test_client().post(f"/{path}", data={**values, **file})
    told = answer.get_json()
    assert (answer.status_code, told["status"], told["code"], told["field"]) == (400, "error", code, field)
    assert f"'{field}" in told["message"]
    assert list((tmp_path / "audios").iterdir()) == []


def test_the_older_pages_lead_to_the_new_ones(gateway: Flask) -> None:
    for old, new in (("video_generation", "generate"), ("model_training", "train"), ("chat_system", "chat")):
        assert gateway.test_client().get(f"/{old}").location == f"/{new}"
