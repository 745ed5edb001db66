from __future__ import annotations

import errno
import io
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from flask import Flask

from client.wire.errors import CallError
from client.wire.services import Services
from gateway.web.errors import HTTP_STATUS, body_of, status_of


@pytest.mark.parametrize(
    ("code", "status"),
    [(grpc.StatusCode.INVALID_ARGUMENT, 400), (grpc.StatusCode.NOT_FOUND, 404), (grpc.StatusCode.ALREADY_EXISTS, 409),
     (grpc.StatusCode.UNIMPLEMENTED, 501), (grpc.StatusCode.UNAVAILABLE, 503), (grpc.StatusCode.INTERNAL, 500),
     (grpc.StatusCode.UNKNOWN, 500)],
)  # fmt: skip
def test_statuses(code: grpc.StatusCode, status: int) -> None:
    assert status_of(CallError(code, "X", "x")) == status


def test_a_full_disk_is_not_a_busy_service() -> None:
    assert status_of(CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", "x")) == 507
    assert status_of(CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY", "x")) == 429


def test_every_status_is_an_error() -> None:
    assert all(400 <= status < 600 for status in HTTP_STATUS.values())


def test_fields_are_spelled_as_rest_does(gateway: Flask) -> None:
    with gateway.test_request_context("/"):
        error = CallError(grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", "No.", "config.language")
        assert body_of(error) == {"code": "LANGUAGE_NOT_SUPPORTED", "message": "No.", "field": "language"}


def test_services_that_are_down_are_named(gateway: Flask) -> None:
    answer = gateway.test_client().get("/api/v1/voices")
    error = answer.get_json()["error"]
    assert answer.status_code == 503
    assert error["code"] == "UNAVAILABLE"
    assert "tts (down)" in error["message"]


def test_an_error_is_told_without_asking_anybody(gateway: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(Services, "channel", lambda self, name: calls.append(name))
    with gateway.test_request_context("/", headers={"Accept-Language": "zh"}):
        loads = CallError(grpc.StatusCode.UNAVAILABLE, "LOADING", "It loads.")
        loads.service = "render"
        told = [body_of(error) for error in (loads, CallError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Who?"))]
    assert [error["code"] for error in told] == ["UNAVAILABLE", "UNAVAILABLE"]
    assert ["render (加载中)" in error["message"] for error in told] == [True, False]
    assert not calls


def test_too_large_is_told_after_the_sender_could_send(make_gateway: Callable[..., Flask]) -> None:
    client = make_gateway(max_upload_mb=1).test_client()
    video = (io.BytesIO(bytes(2 * 2**20)), "may.mp4")
    answer = client.post("/api/v1/trainings", data={"name": "May", "consent": "May", "video": video})
    assert answer.status_code == 413
    assert answer.get_json()["error"]["code"] == "FILE_TOO_LARGE"
    assert "1 MB" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        ({"data": {"audio": (io.BytesIO(b"RIFF"), "a.wav"), "language": "a" * 600_000}}, "500 kB"),
        ({"data": {"text": "a" * 600_000}, "content_type": "multipart/form-data"}, "500 kB"),
        ({"json": {"text": "a" * 2**21}}, "1048 kB"),
    ],
    ids=["beside a file", "form", "JSON"],
)
def test_texts_that_are_too_large_are_not_called_a_file(
    make_gateway: Callable[..., Flask], sent: dict[str, Any], limit: str
) -> None:
    client = make_gateway(max_upload_mb=512).test_client()
    answer = client.post("/api/v1/transcriptions", **sent)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (413, "TEXTS_TOO_LARGE")
    assert (limit in error["message"], "512" in error["message"]) == (True, False)


def test_a_broken_view_shows_no_trace(gateway: Flask) -> None:
    @gateway.get("/api/v1/broken")
    def broken() -> str:
        raise RuntimeError("secret detail")

    answer = gateway.test_client().get("/api/v1/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    error = answer.get_json()["error"]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert error["request_id"] in error["message"]


def test_a_full_disk_says_what_to_do(gateway: Flask) -> None:
    @gateway.post("/api/v1/full")
    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    answer = gateway.test_client().post("/api/v1/full", headers={"Accept-Language": "zh"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (507, "STORAGE_FULL")
    assert "secret" not in answer.text


def test_people_get_a_page_and_programs_get_json(gateway: Flask) -> None:
    assert "<html" in gateway.test_client().get("/nowhere", headers={"Accept": "text/html"}).text
    assert gateway.test_client().get("/api/v1/nowhere").is_json
