"""Live: talk with an avatar by voice, over one WebSocket."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from flask import Blueprint, request
from flask_sock import Sock
from simple_websocket import Server

from client.errors import CallError
from client.live import HANGOVER_MS, LiveTalk
from gateway.chats import Chat
from gateway.context import context, services
from gateway.flows.chat import opened
from gateway.live import VERSION, Live, refuse
from gateway.refusal import Refusal

blueprint = Blueprint("live", __name__)
sock = Sock()
LINGER_S = 2.0
"""A connection is kept for so long after our goodbye, so that it is read before anything is cut off."""
LOOK_S = 0.05
UNREAD_S = 30
"""A client that takes nothing for so long has gone, whatever its end of the connection says."""


class _Wire:
    """A socket on which the messages of several threads do not mix."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire, self._sending = wire, threading.Lock()
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on macOS
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_S * 1000)

    def send(self, data: bytes) -> None:
        with self._sending:
            self._wire.sendall(data)

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
    wire = request.environ.get("gunicorn.socket")
    if wire is not None:
        request.environ["gunicorn.socket"] = _Wire(wire)


@sock.route("/api/v1/chats/<chat_id>/live", bp=blueprint)
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
