from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

LEAVE = "/language/zh"


@pytest.fixture
def closed(make_gateway: Callable[..., Flask]) -> Flask:
    """A gateway with a token."""
    return make_gateway(token="open sesame")


def test_strangers_are_refused(closed: Flask) -> None:
    answer = closed.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 401
    assert answer.get_json()["error"]["code"] == "TOKEN_REQUIRED"
    assert closed.test_client().post("/save_audio").status_code == 401
    assert closed.test_client().get("/static/videos/x.mp4").status_code == 401


def test_people_are_sent_to_sign_in(closed: Flask) -> None:
    answer = closed.test_client().get("/train", headers={"Accept": "text/html"})
    assert answer.location == "/sign-in?next=/train"


def test_health_and_styles_are_open(closed: Flask) -> None:
    assert closed.test_client().get("/healthz").status_code == 200
    assert closed.test_client().get("/static/style.css").status_code == 200


@pytest.mark.parametrize(("token", "status"), [("open sesame", 200), ("open", 401), ("", 401), ("öffne", 401)])
def test_bearer(closed: Flask, token: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert closed.test_client().get("/api/v1/openapi.json", headers=headers).status_code == status


def test_signing_in_opens_and_the_cookie_is_not_the_token(closed: Flask) -> None:
    client = closed.test_client()
    assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
    answer = client.post("/sign-in", data={"token": "open sesame", "next": "/train"})
    cookie = answer.headers["Set-Cookie"]
    assert answer.location == "/train"
    assert "sesame" not in cookie
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get("/api/v1/openapi.json").status_code == 200


def test_a_cookie_that_is_none_of_ours_is_refused_not_broken(closed: Flask) -> None:
    answer = closed.test_client().get("/api/v1/openapi.json", headers={"Cookie": "visavis_session=schlüssel"})
    assert answer.status_code == 401


@pytest.mark.parametrize("next_page", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_signing_in_never_leads_elsewhere(closed: Flask, next_page: str) -> None:
    answer = closed.test_client().post("/sign-in", data={"token": "open sesame", "next": next_page})
    assert answer.location == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_sites_cannot_post_in_the_users_name(gateway: Flask, headers: dict[str, str]) -> None:
    answer = gateway.test_client().post("/save_audio", headers=headers)
    assert answer.status_code == 403


def test_our_own_pages_can(gateway: Flask) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert gateway.test_client().post("/save_audio", headers=headers).status_code == 400


def test_a_foreign_name_pointed_at_loopback_opens_nothing(gateway: Flask) -> None:
    assert gateway.test_client().get("/", headers={"Host": "evil.example"}).status_code == 403
    assert gateway.test_client().get("/", headers={"Host": "127.0.0.1:5001"}).status_code == 200
    assert gateway.test_client().get("/", headers={"Host": "[::1]:5001"}).status_code == 200


def test_pages_load_nothing_from_elsewhere_and_hold_no_inline_script(gateway: Flask) -> None:
    for page in ("/", "/chat", "/generate", "/train", "/voices", "/jobs", "/sign-in"):
        answer = gateway.test_client().get(page)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "//" not in answer.text.replace("http://localhost", "").split('id="words"')[0].split("<head>")[1]
        assert "onclick" not in answer.text and "style=" not in answer.text
