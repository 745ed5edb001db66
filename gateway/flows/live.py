"""Live: talk with an avatar by voice, over one WebSocket."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Any

from flask import Blueprint, request
from flask_sock import Sock
from simple_websocket import Server

from client.talk.live import HANGOVER_MS, LiveTalk
from client.wire.errors import CallError
from gateway.chats.registry import Chat
from gateway.context import context, services
from gateway.flows.chat import opened
from gateway.refusal import Refusal
from gateway.web.live import VERSION, Live, refuse

blueprint = Blueprint("live", __name__)
sock = Sock()
LINGER_S = 2.0
"""A connection is kept for so long after our goodbye, so that it is read before anything is cut off."""
LOOK_S = 0.05
UNREAD_S = 10
"""A client that takes nothing for so long has gone, whatever its end of the connection says."""
ON_THE_WAY_BYTES = 256 * 1024
"""Sent and not yet taken, at most. In a larger buffer a slow client would seem to take nothing."""
SOCKETS = frozenset(("gunicorn.socket", "werkzeug.socket"))
"""Where servers put the connection of a request."""


class _Wire:
    """A socket on which the messages of several threads do not mix, and which breaks when nobody takes them."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire, self._sending = wire, threading.Lock()
        self._room = select.poll()
        self._room.register(wire, select.POLLOUT)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ON_THE_WAY_BYTES)

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            TimeoutError: the other end takes nothing; it has been hung up on.
        """
        left = memoryview(data)
        with self._sending:
            while left:
                try:
                    left = left[self._wire.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    self._wait_for_room()

    def _wait_for_room(self) -> None:
        if not self._room.poll(UNREAD_S * 1000):
            self._wire.shutdown(socket.SHUT_RDWR)  # or the goodbye, too, would wait for room
            raise TimeoutError

    def close(self) -> None:
        """Read on until the other end closes too: a connection cut with anything unread loses what was sent last."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_WR)
            self._wire.settimeout(LINGER_S)
            deadline = time.monotonic() + LINGER_S
            while time.monotonic() < deadline and self._wire.recv(2**16):
                pass
        self._wire.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


@blueprint.before_request
def _order_what_is_sent() -> None:
    """The WebSocket's own thread answers pings while ours sends video."""
    for name in SOCKETS & request.environ.keys():
        request.environ[name] = _Wire(request.environ[name])


@sock.route("/api/v1/chats/<chat_id>/live", bp=blueprint)  # type: ignore[untyped-decorator]  # flask-sock has no types
def live(ws: Server, chat_id: str) -> None:
    """Speak docs/live-protocol.md. A chat has one connection at a time: a newer one takes its place."""
    try:
        _check_version(request.args.get("version", str(VERSION)))
        _talk(ws, opened(chat_id))
    except (CallError, Refusal) as refusal:
        refuse(ws, refusal)
    finally:
        _linger(ws)


def _linger(ws: Server) -> None:
    """Let the client read our goodbye; what it still sends meanwhile must not pile up."""
    assert isinstance(ws.thread, threading.Thread)
    deadline = time.monotonic() + LINGER_S
    while ws.thread.is_alive() and time.monotonic() < deadline:
        ws.input_buffer.clear()
        ws.thread.join(LOOK_S)


def _talk(ws: Server, chat: Chat) -> None:
    chat.conversation.on_reply = context().metrics.reply_over
    with context().chats.place(chat):
        settings, metrics = context().settings, context().metrics
        talk = LiveTalk(services(), chat.conversation)
        connection = Live(ws, talk, chat.id, HANGOVER_MS, settings.max_message_characters, metrics)
        with chat.live(connection):
            connection.run()


def _check_version(asked: str) -> None:
    if asked != str(VERSION):
        text = f"This gateway speaks version {VERSION} of the live protocol."
        raise Refusal(text, reason="VERSION_UNKNOWN", field="version", values={"version": str(VERSION)})
