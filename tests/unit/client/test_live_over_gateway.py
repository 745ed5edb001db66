"""Live talks over a real WebSocket of the real application: when they have ended, nothing of them is left."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from flask import Flask
from google.rpc import code_pb2
from rich.console import Console
from werkzeug.serving import make_server

from cli.talk import _Talk
from client.remote.live_socket import LiveSocket, Piece
from client.talk.conversation import Conversation, Reply
from client.talk.live import LiveTalk
from gateway.app import create_app
from gateway.context import KEY
from gateway.flows import live
from gateway.settings import GatewaySettings
from gateway.web.live import Live

WAIT_S = 60
OURS = (LiveTalk, Live, Conversation, Reply)
HANDSHAKE = (
    "GET /api/v1/chats/{chat}/live HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
POOL = "ThreadPoolExecutor"
"""Threads of the small services; they wait for the next call."""


@pytest.fixture
def app(rooms: Any, tmp_path: Path) -> Flask:
    return create_app(GatewaySettings(data_folder=tmp_path), rooms.services)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(WAIT_S)
    server.server_close()


class Visit:
    """A chat with somebody connected to it."""

    def __init__(self, app: Flask, rooms: Any, url: str) -> None:
        self.chats, self.url = app.extensions[KEY].chats, url
        self.chat = self.chats.create(Conversation(rooms.services, avatar="Ann")).id
        self.live = self.connect()

    def connect(self) -> LiveSocket:
        live = LiveSocket(self.url, self.chat)
        # From then on the chat is this one's, and who comes later takes it over. Handshakes may overtake each other.
        assert cast(dict[str, Any], next(iter(live)))["type"] == "ready"
        live.hear(bytes(3200))
        live.say("Hi")
        return live

    def until(self, what: Callable[[Any], bool]) -> None:
        assert any(what(one) for one in self.live)

    def end(self) -> None:
        for _ in self.live:
            pass
        self.live.close()
        self.chats.delete(self.chat)


def hung_up_when_all_is_said(visit: Visit) -> None:
    visit.until(lambda one: isinstance(one, dict) and one["type"] == "done")
    visit.live.close()


def hung_up_in_the_middle(visit: Visit) -> None:
    visit.until(lambda one: isinstance(one, Piece))
    visit.live.close()


def taken_over(visit: Visit) -> None:
    older, visit.live = visit.live, visit.connect()
    assert [one["error"]["code"] for one in older if isinstance(one, dict) and one["type"] == "error"] == ["TAKEN_OVER"]
    older.close()
    hung_up_when_all_is_said(visit)


def refused(visit: Visit) -> None:
    visit.live.send({"type": "sing"})
    visit.until(lambda one: isinstance(one, dict) and one["type"] == "error" and one["is_final"])


def closing(visit: Visit) -> None:
    visit.until(lambda one: isinstance(one, Piece))
    visit.chats.close()
    visit.until(lambda one: one == {"type": "closing"})


ENDINGS = (hung_up_when_all_is_said, hung_up_in_the_middle, taken_over, refused, closing)


def left() -> list[str]:
    """What lives on of a talk: objects, calls and threads, in words, since a list of them would keep them alive."""
    gc.collect()
    objects = [
        one for one in gc.get_objects() if type(one) in OURS or (issubclass(type(one), grpc.Future) and not one.done())
    ]
    return [repr(one) for one in (*objects, *threading.enumerate()) if POOL not in repr(one)]


def until_no_more_than(count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while len(remaining := left()) > count:
        assert time.monotonic() < deadline, f"{len(remaining)} instead of {count}: {remaining}"
        time.sleep(0.05)


def test_nothing_is_left_of_talks_that_have_ended(app: Flask, rooms: Any, url: str) -> None:
    before = len(left())
    for ending in ENDINGS * 3:
        visit = Visit(app, rooms, url)
        ending(visit)
        visit.end()
        del visit
    until_no_more_than(before)
    assert not app.extensions[KEY].chats._talking


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def not_reading(url: str, chat: str, text: str) -> Iterator[socket.socket]:
    """Somebody who connects, writes something and reads nothing more."""
    host = url.removeprefix("http://")
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect((host.split(":")[0], int(host.split(":")[1])))
        wire.sendall(HANDSHAKE.format(chat=chat, host=host).encode())
        assert wire.recv(1024).startswith(b"HTTP/1.1 101 ")
        message = json.dumps({"type": "text", "text": text}).encode()
        wire.sendall(struct.pack(">BB4x", 0x81, 0x80 | len(message)) + message)  # masked with zeros
        yield wire


def test_who_stops_reading_loses_the_place_and_every_call_ends(
    app: Flask, rooms: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "UNREAD_S", 0.5)
    rooms.writer.endless, rooms.painter.data = True, bytes(2**16)
    before = len(left())
    chats = app.extensions[KEY].chats
    chat = chats.create(Conversation(rooms.services, avatar="Ann")).id
    with not_reading(url, chat, "Hi"):
        until(lambda: rooms.painter.call_count > 0)
        assert chats._talking
        until(lambda: not chats._talking)
    for room in (rooms.writer, rooms.speaker, rooms.painter, rooms.listener):
        assert room.ended.wait(WAIT_S), f"{type(room).__name__} goes on"
    chats.delete(chat)
    until_no_more_than(before)


def test_who_reads_slowly_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "UNREAD_S", 2)
    sent = bytes(range(256)) * 2**14
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as reader:
        wire, _ = server.accept()
        writer = threading.Thread(target=lambda: (live._Wire(wire).send(sent), wire.close()))
        writer.start()
        came = b""
        while block := reader.recv(2**16):
            came += block
            time.sleep(0.05)
        writer.join(WAIT_S)
    assert came == sent


def test_what_is_chosen_in_a_talk_is_told_and_nonsense_is_refused(app: Flask, rooms: Any, url: str) -> None:
    conversation = Conversation(rooms.services, avatar="Ann")
    with contextlib.closing(LiveSocket(url, app.extensions[KEY].chats.create(conversation).id)) as socket:
        socket.send({"type": "use", "rate": 1.5, "pitch_semitones": -2})
        told = (one for one in socket if isinstance(one, dict))
        using = next(one for one in told if one["type"] == "using")
        assert (using["avatar"], using["rate"], using["pitch_semitones"]) == ("Ann", 1.5, -2)
        socket.send({"type": "use", "language": "en", "rate": 9})
        error = next(one for one in told if one["type"] == "error")
        assert error["is_final"] and (error["error"]["code"], error["error"]["field"]) == ("NOT_UNDERSTOOD", "rate")
    assert (conversation.rate, conversation.language) == (1.5, "")


def over_http(url: str, chat: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """What a page gets that writes something."""
    answer = httpx.post(f"{url}/api/v1/chats/{chat}/messages", json={"text": text}, timeout=WAIT_S).text
    return [(name, json.loads(data)) for name, data in re.findall(r"^event: (\w+)\ndata: (.*)$", answer, re.MULTILINE)]


def over_websocket(url: str, chat: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    """The same in a live talk."""
    told: list[tuple[str, dict[str, Any]]] = []
    with contextlib.closing(LiveSocket(url, chat)) as socket:
        socket.say(text)
        for event in socket:
            if isinstance(event, dict) and event.get("reply"):
                told.append((event.pop("type"), {name: event[name] for name in event if name != "reply"}))
                if told[-1][0] in ("done", "error"):
                    return told
    raise AssertionError(f"only {told}")


@pytest.mark.parametrize("stops", [False, True], ids=["an answer", "an apology"])
def test_what_is_written_is_answered_alike_on_both_transports(app: Flask, rooms: Any, url: str, stops: bool) -> None:
    if stops:
        rooms.writer.stop_after, rooms.writer.breaks = 0, (code_pb2.UNAVAILABLE, "DOWN", "It is down.")
    chats = [app.extensions[KEY].chats.create(Conversation(rooms.services, avatar="Ann")).id for _ in range(2)]
    http, live = over_http(url, chats[0], "Hi"), over_websocket(url, chats[1], "Hi")
    for kind in ("delta", "sentence", "words", "apology"):  # kinds come from several threads
        assert [fields for name, fields in http if name == kind] == [fields for name, fields in live if name == kind]
    (done,), (live_done,) = ([fields for name, fields in told if name == "done"] for told in (http, live))
    assert done.keys() == live_done.keys() | {"video_url"}
    assert [done[name] for name in ("text", "next_frame_index")] == [
        live_done[name] for name in ("text", "next_frame_index")
    ]
    media, live_media = (next(fields for name, fields in told if name == "media") for told in (http, live))
    assert {name: media[name] for name in live_media} == live_media
    assert media.keys() - live_media.keys() == {"index", "url"}


class Told(LiveSocket):
    """A connection that notes what it tells of what was played."""

    heard_s = 0.0

    def played(self, reply: int, seconds: float, *, is_over: bool = False) -> None:
        super().played(reply, seconds, is_over=is_over)
        self.heard_s = seconds


def test_of_a_reply_that_the_command_line_cuts_short_the_heard_part_is_remembered(
    app: Flask, rooms: Any, url: str
) -> None:
    rooms.writer.endless = True
    conversation = Conversation(rooms.services, avatar="Ann")
    with contextlib.closing(Told(url, app.extensions[KEY].chats.create(conversation).id)) as socket:
        going = _Talk(socket, Console(quiet=True), None, "Ann")
        going.say("Hi")
        until(lambda: socket.heard_s > 0.4)
        going.stop()
        going.wait_for_reply()
        asked, answered = conversation.messages
    assert answered.role == "assistant" and answered.text.startswith("Hello there.")
    assert 1 < len(answered.text.split()) < socket.heard_s / 0.4 + 1, "a word lasts 0.4 s"
