"""Conversations that are kept, and talks that end well, over gateways of their own before the real services."""

from __future__ import annotations

import json
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from client.remote.live_socket import LiveSocket, Piece

pytestmark = pytest.mark.e2e
WAIT_S = 300  # only ends what would hang
KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class Gateway:
    """A gateway of its own, with settings of its own, that can be stopped and started again."""

    def __init__(self, stack: Any, data: Path, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._until, self.data = stack.until, data
        self._environment = {
            **stack.environment, "GATEWAY_PORT": str(port), "GATEWAY_DATA_FOLDER": str(data), **settings,
        }  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", timeout=120)
        self._log = data.with_suffix(".log").open("ab")
        self.start()

    def until(self, condition: Callable[[], object], what: str) -> None:
        self._until(condition, WAIT_S, what)

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway"]
        self.process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)
        self.until(self._answers, "the gateway answers")

    def stop(self) -> None:
        """As `visavis up` and a container do it."""
        self.process.terminate()
        assert self.process.wait(WAIT_S) == 0

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.api.close()
        if self.process.poll() is None:
            self.stop()
        self._log.close()

    def log(self) -> str:
        return self.data.with_suffix(".log").read_text()

    def stored(self) -> list[Path]:
        return list((self.data / "conversations").iterdir())

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return httpx.get(f"{self.url}/healthz").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def gateway_of(stack: Any, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    started: list[Gateway] = []

    def make(**settings: str) -> Gateway:
        started.append(Gateway(stack, tmp_path / f"gateway-{len(started)}", **settings))
        return started[-1]

    yield make
    for gateway in started:
        gateway.close()


@pytest.fixture
def gateway(gateway_of: Callable[..., Gateway]) -> Gateway:
    return gateway_of()


def begin(gateway: Gateway, **options: Any) -> str:
    """A new chat."""
    avatar = gateway.api.get("/avatars").json()["avatars"][0]["name"]
    wanted = {"avatar": avatar, "language": "en", "size": 256} | options
    return gateway.api.post("/chats", json=wanted).raise_for_status().json()["id"]


def say(gateway: Gateway, chat: str, text: str) -> None:
    """Say something and wait until it is answered."""
    answer = gateway.api.post(f"/chats/{chat}/messages", json={"text": text})
    assert "event: done" in answer.text, answer.text


def said(gateway: Gateway, chat: str) -> list[tuple[str, str]]:
    messages = gateway.api.get(f"/chats/{chat}").raise_for_status().json()["messages"]
    return [(message["role"], message["text"]) for message in messages]


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Callable[..., LiveSocket]:
    """Opens live connections; each is cut off before it could hang."""

    def open_one(gateway: Gateway, chat: str) -> LiveSocket:
        live = LiveSocket(gateway.url, chat)
        cut = threading.Timer(WAIT_S, live.close)
        cut.start()
        request.addfinalizer(cut.cancel)
        request.addfinalizer(live.close)
        return live

    return open_one


def until(live: LiveSocket, kind: str) -> dict[str, Any]:
    seen = []
    for message in live:
        if not isinstance(message, Piece):
            seen.append(message)
            if message["type"] == kind:
                return message
    raise AssertionError(f"no {kind}, but {seen}, closed with {live.close_code}")


def test_a_conversation_outlives_the_gateway_and_goes_on(gateway: Gateway) -> None:
    chat = begin(gateway, head_motion=0.3)
    say(gateway, chat, "My name is Kuzco.")
    before = gateway.api.get(f"/chats/{chat}").json()
    assert [message["role"] for message in before["messages"]] == ["user", "assistant"]
    gateway.restart()
    assert gateway.api.get(f"/chats/{chat}").json() == before
    say(gateway, chat, "What is Visavis?")
    after = gateway.api.get(f"/chats/{chat}").json()
    assert after["messages"][:2] == before["messages"] and len(after["messages"]) == 4
    assert after["head_motion"] == 0.3
    (stored,) = gateway.stored()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert "Kuzco" in stored.read_text() and "Kuzco" not in gateway.log() and chat not in gateway.log()


def test_a_live_talk_goes_on_after_a_restart_that_it_was_told_of(
    gateway: Gateway, connect: Callable[..., LiveSocket]
) -> None:
    chat = begin(gateway)
    live = connect(gateway, chat)
    live.say("Hello!")
    done = until(live, "done")
    live.played(done["reply"], 3600, is_over=True)
    live.say("Tell me everything about yourself.")
    until(live, "media")
    gateway.stop()
    assert until(live, "closing") == {"type": "closing"}
    assert list(live) == [] and live.close_code == 1001
    gateway.start()
    again = connect(gateway, chat)
    assert until(again, "ready")["chat"] == chat
    assert said(gateway, chat)[:3] == [
        ("user", "Hello!"), ("assistant", done["text"]), ("user", "Tell me everything about yourself."),
    ]  # fmt: skip


def test_a_conversation_is_exported_as_a_file(gateway: Gateway) -> None:
    chat = begin(gateway)
    say(gateway, chat, "What is Visavis?")
    told = gateway.api.get(f"/chats/{chat}").json()
    exports = {
        kind: gateway.api.get(f"/chats/{chat}/export", params={"format": kind}) for kind in ("json", "md", "txt")
    }
    for kind, export in exports.items():
        assert export.is_success and export.headers["content-disposition"].endswith(f".{kind}")
        assert quote(told["avatar"]) in export.headers["content-disposition"] and chat not in export.text
    assert json.loads(exports["json"].text)["messages"] == told["messages"]
    for kind in ("md", "txt"):
        for text in (told["greeting"], "What is Visavis?", told["messages"][1]["text"]):
            assert text in exports[kind].text
    assert "**我**" in gateway.api.get(f"/chats/{chat}/export?format=md", headers={"Accept-Language": "zh"}).text
    here = gateway.api.get(f"/chats/{chat}/export", params={"format": "txt", "time_zone": "Asia/Kolkata"})
    assert here.text.count(" +05:30)") == 3 and " UTC)" in exports["txt"].text
    for field, wrong in (("format", "pdf"), ("time_zone", "Europe"), ("time_zone", "../../etc/passwd")):
        refused = gateway.api.get(f"/chats/{chat}/export", params={field: wrong})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, field)


def test_what_is_deleted_stays_deleted(gateway: Gateway) -> None:
    chats = [begin(gateway) for _ in range(2)]
    for chat in chats:
        say(gateway, chat, "What is Visavis?")
    assert gateway.api.delete(f"/chats/{chats[0]}").status_code == 204
    gateway.restart()
    assert gateway.api.delete(f"/chats/{chats[1]}").status_code == 204  # though it is not open
    for chat in chats:
        for answer in (
            gateway.api.get(f"/chats/{chat}"),
            gateway.api.get(f"/chats/{chat}/export"),
            gateway.api.post(f"/chats/{chat}/messages", json={"text": "Hello?"}),
            gateway.api.delete(f"/chats/{chat}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "CHAT_NOT_FOUND")
    assert gateway.stored() == []


def test_nothing_is_stored_where_that_is_switched_off(gateway_of: Callable[..., Gateway]) -> None:
    gateway = gateway_of(GATEWAY_CHAT_KEEP_DAYS="0")
    chat = begin(gateway)
    say(gateway, chat, "What is Visavis?")
    assert len(said(gateway, chat)) == 2
    assert gateway.api.get(f"/chats/{chat}").json()["kept_days"] == 0
    assert gateway.stored() == []


@pytest.mark.parametrize("field", ["avatar", "voice"])
def test_a_conversation_whose_avatar_or_voice_is_gone_can_be_read_but_not_gone_on_with(
    gateway: Gateway, connect: Callable[..., LiveSocket], field: str
) -> None:
    chat = begin(gateway)
    say(gateway, chat, "What is Visavis?")
    gateway.stop()
    (stored,) = gateway.stored()
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {field: "Somebody who was deleted"}))
    gateway.start()
    assert len(said(gateway, chat)) == 2
    refused = gateway.api.post(f"/chats/{chat}/messages", json={"text": "Hello?"})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["field"]) == (409, f"CHAT_{field.upper()}_GONE", field)
    assert "Begin a new one" in error["message"]
    live = connect(gateway, chat)
    assert until(live, "error")["error"] == error
    assert list(live) == [] and live.close_code == 1008


def ended(live: LiveSocket) -> tuple[str, bool, int | None]:
    """How a connection ends."""
    error = until(live, "error")
    assert list(live) == []
    return error["error"]["code"], error["is_final"], live.close_code


def test_live_talks_are_capped_and_every_ending_frees_a_place(
    gateway_of: Callable[..., Gateway], connect: Callable[..., LiveSocket]
) -> None:
    gateway = gateway_of(GATEWAY_MAX_TALKS="1")
    talking, waiting = begin(gateway), begin(gateway)

    def refused() -> None:
        assert ended(connect(gateway, waiting)) == ("TOO_MANY_TALKS", True, 1008)

    def talk(chat: str) -> LiveSocket:
        live = connect(gateway, chat)
        until(live, "ready")
        return live

    live = talk(talking)
    refused()
    newer = talk(talking)
    assert ended(live) == ("TAKEN_OVER", True, 1000)
    refused()
    newer.send({"type": "sing"})
    assert ended(newer) == ("NOT_UNDERSTOOD", True, 1008)
    live = talk(waiting)
    gateway.api.delete(f"/chats/{waiting}")
    assert ended(live) == ("CHAT_DELETED", True, 1000)
    live = talk(talking)
    live.close()
    waiting = begin(gateway)
    gateway.until(lambda: next(iter(connect(gateway, waiting)))["type"] == "ready", "a place after a closed connection")


def test_a_client_that_only_sends_still_learns_why_it_was_cut_off(gateway: Gateway) -> None:
    chat = begin(gateway)
    port = int(gateway.url.rpartition(":")[2])
    piece = struct.pack("<I", 0) + bytes(32_000)
    frame = struct.pack(">BBH4x", 0x82, 0x80 | 126, len(piece)) + piece  # masked with zeros
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as wire:
        head = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        wire.sendall(f"GET /api/v1/chats/{chat}/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += wire.recv(65536)
        for _ in range(150):  # the second is out of order already
            wire.sendall(frame)
        while b"OUT_OF_ORDER" not in received:
            more = wire.recv(65536)
            assert more, f"closed after {received[-300:]!r}"
            received += more


@pytest.mark.parametrize(
    "wrong",
    [{"Sec-WebSocket-Version": "7"}, {"Sec-WebSocket-Key": None}],
)
def test_what_is_no_handshake_is_refused_as_such(gateway: Gateway, wrong: dict[str, str | None]) -> None:
    headers = {name: value for name, value in (HANDSHAKE | wrong).items() if value is not None}
    answer = gateway.api.get(f"/chats/{'A' * 22}/live", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "HANDSHAKE_WRONG")


def test_leaving_in_the_middle_of_everything_takes_no_room_from_others(gateway_of: Callable[..., Gateway]) -> None:
    gateway = gateway_of(GATEWAY_MAX_CHATS="1")
    first = begin(gateway)
    with gateway.api.stream("POST", f"/chats/{first}/messages", json={"text": "Tell me everything about yourself."}):
        pass  # the page is gone before anything has come
    gateway.until(lambda: _has_room(gateway), "room for another chat")
    assert said(gateway, first)[0] == ("user", "Tell me everything about yourself.")


def _has_room(gateway: Gateway) -> bool:
    avatar = gateway.api.get("/avatars").json()["avatars"][0]["name"]
    return gateway.api.post("/chats", json={"avatar": avatar}).status_code == 201
