from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

TOKEN = "open sesame, open sesame"


def test_strangers_are_refused(closed: Flask) -> None:
    answer = closed.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 401
    assert answer.get_json()["error"]["code"] == "TOKEN_REQUIRED"
    assert closed.test_client().post("/save_audio").status_code == 401
    assert closed.test_client().get("/static/videos/x.mp4").status_code == 401


def test_people_are_sent_to_sign_in(closed: Flask) -> None:
    answer = closed.test_client().get("/train", headers={"Accept": "text/html"})
    assert answer.location == "/sign-in?next=/train"


def test_signing_in_leads_to_what_was_asked_for(closed: Flask) -> None:
    client = closed.test_client()
    answer = client.get("/chat?avatar=Vera%20Twin&x=%E6%9D%8E", headers={"Accept": "text/html"})
    page = client.get(answer.location)
    asked = re.search(r'name="next" value="([^"]*)"', page.text)[1]
    answer = client.post("/sign-in", data={"token": TOKEN, "next": html.unescape(asked)})
    assert answer.location == "/chat?avatar=Vera%20Twin&x=%E6%9D%8E"


def test_health_and_styles_are_open(closed: Flask) -> None:
    assert closed.test_client().get("/healthz").status_code == 200
    assert closed.test_client().get("/static/style.css").status_code == 200


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 200), ("open", 401), ("", 401), ("öffne", 401)])
def test_bearer(closed: Flask, token: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    assert closed.test_client().get("/api/v1/openapi.json", headers=headers).status_code == status


def test_signing_in_opens_and_the_cookie_is_not_the_token(closed: Flask) -> None:
    client = closed.test_client()
    assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
    answer = client.post("/sign-in", data={"token": TOKEN, "next": "/train"})
    cookie = answer.headers["Set-Cookie"]
    assert answer.location == "/train"
    assert "sesame" not in cookie
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get("/api/v1/openapi.json").status_code == 200


def test_each_sign_in_has_its_own_cookie_and_signing_out_ends_that_one_everywhere(closed: Flask) -> None:
    first, second, thief = (closed.test_client() for _ in range(3))
    for client in (first, second):
        client.post("/sign-in", data={"token": TOKEN})
    stolen = first.get_cookie("visavis_session").value
    assert stolen != second.get_cookie("visavis_session").value
    thief.set_cookie("visavis_session", stolen)
    assert thief.get("/train").status_code == 200

    answer = first.post("/sign-out", headers={"Origin": "http://localhost"})
    assert answer.location == "/sign-in" and first.get_cookie("visavis_session") is None
    assert thief.get("/api/v1/openapi.json").status_code == 401
    assert second.get("/train").status_code == 200


def test_other_sites_cannot_sign_anybody_out(closed: Flask) -> None:
    client = closed.test_client()
    client.post("/sign-in", data={"token": TOKEN})
    assert client.post("/sign-out", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/train").status_code == 200


def test_only_who_signed_in_is_offered_to_sign_out(closed: Flask, gateway: Flask) -> None:
    client = closed.test_client()
    assert "/sign-out" not in client.get("/sign-in").text
    client.post("/sign-in", data={"token": TOKEN})
    assert 'action="/sign-out"' in client.get("/").text
    assert "/sign-out" not in gateway.test_client().get("/").text


def test_without_a_token_there_is_nothing_to_sign_into(gateway: Flask) -> None:
    answer = gateway.test_client().post("/sign-in", data={"token": ""})
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "body", [{"data": b"x" * 5000}, {"input_stream": io.BytesIO(b"x"), "headers": {"Transfer-Encoding": "chunked"}}]
)
def test_a_sign_in_is_small(closed: Flask, body: dict[str, Any]) -> None:
    answer = closed.test_client().post("/sign-in", content_type="application/x-www-form-urlencoded", **body)
    assert answer.status_code == 413


def test_wrong_tokens_make_their_address_wait_and_nobody_else(closed: Flask) -> None:
    client = closed.test_client()
    signing_in = [client.post("/sign-in", data={"token": f"wrong {n}"}).status_code for n in range(7)]
    assert signing_in == [401] * 6 + [429]
    answer = client.post("/sign-in", data={"token": TOKEN}, headers={"Accept-Language": "zh"})
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
    assert "秒后再试" in answer.text

    bearer = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.get("/api/v1/openapi.json", headers=bearer)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "TOO_MANY_GUESSES")
    assert int(answer.headers["Retry-After"]) >= 1
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/api/v1/openapi.json", headers=bearer, environ_overrides=elsewhere).status_code == 200


def test_who_is_signed_in_does_not_wait_for_strangers_at_the_same_address(closed: Flask) -> None:
    owner, stranger = closed.test_client(), closed.test_client()
    owner.post("/sign-in", data={"token": TOKEN})
    statuses = [stranger.get("/", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(9)]
    assert 429 in statuses
    assert owner.get("/train").status_code == 200


def test_what_a_proxy_tells_is_believed_of_those_we_trust(make_gateway: Callable[..., Flask]) -> None:
    gateway = make_gateway(token=TOKEN, trusted_proxies="10.0.0.0/8, ::1")
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1"}

    def signing_in(proxy: str) -> str:
        sent = {"data": {"token": TOKEN}, "headers": told, "environ_overrides": {"REMOTE_ADDR": proxy}}
        return gateway.test_client().post("/sign-in", **sent).headers["Set-Cookie"]

    assert "; Secure;" in signing_in("10.1.2.3") and "; Secure;" in signing_in("::1")
    assert "; Secure;" in signing_in("::ffff:10.1.2.3"), "on a socket for both kinds of addresses"
    assert "Secure" not in signing_in("192.0.2.7")


def test_callers_behind_a_trusted_proxy_wait_by_themselves(make_gateway: Callable[..., Flask]) -> None:
    client = make_gateway(token=TOKEN, trusted_proxies="127.0.0.1").test_client()
    # Only what the proxy itself added counts, not what its caller had put before.
    guesses = [{"X-Forwarded-For": f"192.0.2.{n}, 198.51.100.1", "Authorization": "Bearer wrong"} for n in range(9)]
    assert [client.get("/", headers=guess).status_code for guess in guesses][-1] == 429
    owner = {"X-Forwarded-For": "198.51.100.2", "Authorization": f"Bearer {TOKEN}"}
    assert client.get("/", headers=owner).status_code == 200


def test_strangers_do_not_choose_their_address(closed: Flask) -> None:
    client = closed.test_client()
    guesses = [{"X-Forwarded-For": f"192.0.2.{n}", "Authorization": "Bearer wrong"} for n in range(9)]
    assert [client.get("/", headers=guess).status_code for guess in guesses][-1] == 429


def test_a_cookie_that_is_none_of_ours_is_refused_not_broken(closed: Flask) -> None:
    answer = closed.test_client().get("/api/v1/openapi.json", headers={"Cookie": "visavis_session=schlüssel"})
    assert answer.status_code == 401


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
