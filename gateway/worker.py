"""Gunicorn's worker with threads, made so that nobody holds a thread by sending or taking too slowly.

A thread gets a request when all that it would wait for without knowing the sender is there: the head, a small body with
it (a sign-in), and room for the answer. Until then the connection waits in the poller, for a limited time.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http import RequestParser
from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from gateway.context import KEY
from gateway.settings import GatewaySettings

SMALL_BODY_BYTES = 4096
MAX_HEAD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
ANSWER_BYTES = 208 * 1024  # the most that Linux grants; "writable" means that a third of it is free
MOST_IDLE = 384
"""Connections that wait; one more takes the place of the one that waits longest."""
BUSY = 64
"""Connections whose requests wait for a thread, beyond which no more are accepted."""
LINGER_S = 2.0
"""A connection is kept for so long after our last word, so that it is read before anything is cut off."""
LINGER_BYTES = 2**20
DRAIN_S = 0.05
SPARE_FILES = 16
"""Connections that are given up when no more files may be open: requests need some too."""
BREATH_S = 0.1
HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*(?:\r\n|$)", re.IGNORECASE)


class Application(BaseApplication):
    """What a `Worker` serves."""

    settings: GatewaySettings


class Worker(ThreadWorker):
    """Serves an `Application`. Relies on how gunicorn's own worker is made: its version is pinned.

    All live in one loop, so nothing that goes wrong with a connection may leave it: see `_risk`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._needed: WeakKeyDictionary[TConn, int] = WeakKeyDictionary()
        """Bytes of the request that is awaited, once its head is known."""
        self._unwanted: WeakKeyDictionary[TConn, int] = WeakKeyDictionary()
        """Bytes that came after our last word."""

    @property
    def _settings(self) -> GatewaySettings:
        assert isinstance(self.app, Application)
        return self.app.settings

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: say goodbye to those who talk live, so that they come again instead of waiting.

        Not much may be done in a signal handler, so a thread does it.
        """
        if self.alive and self.booted:
            assert isinstance(self.wsgi, Flask)
            threading.Thread(target=self.wsgi.extensions[KEY].chats.close).start()
        super().handle_exit(sig, frame)

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, at the cost of those that wait longest when too many do or no more files may be open."""
        try:
            super().accept(listener)
        except OSError:
            self._make_room(SPARE_FILES)
            if not (self.pending_conns or self.keepalived_conns):
                time.sleep(BREATH_S)  # only requests that end make room, and the loop would spin until then
        else:
            self._make_room(len(self.pending_conns) + len(self.keepalived_conns) - MOST_IDLE)

    def _make_room(self, count: int) -> None:
        """Close some connections at the end of this turn of the loop; before it, they may have an event."""
        for conn in itertools.islice(itertools.chain(self.pending_conns, self.keepalived_conns), max(count, 0)):
            conn.timeout = 0

    def _risk(self, conn: TConn, step: Callable[..., None], *args: Any) -> None:
        """Do something that may fail; it costs this connection then, and no other."""
        try:
            step(*args)
        except OSError:  # the other end has gone, or the system has no room
            self._drop(conn)
        except Exception:
            self.log.exception("A connection was given up.")
            self._drop(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Await a request; a thread gets it when it is whole."""
        self._risk(conn, self._await_request, conn)

    def _await_request(self, conn: TConn) -> None:
        if not conn.initialized:
            _limit(conn.sock, self._settings.stall_seconds)
            conn.init()
        conn.sock.setblocking(False)
        self._needed[conn] = 0
        self._await(conn, self._settings.head_seconds, selectors.EVENT_READ, self._read)
        self._weigh(conn, 0)  # it may have come with the one before

    def _read(self, conn: TConn, sock: socket.socket) -> None:
        data = _received(sock)
        if data is None:
            return
        if not data:
            self._drop(conn)
            return
        came = _parser(conn).unreader.buf
        known = came.seek(0, os.SEEK_END)
        came.write(data)
        self._weigh(conn, known)

    def _weigh(self, conn: TConn, known: int) -> None:
        """Go on with a request that is whole, refuse one whose head has no end; `known`: bytes looked at before."""
        came = _parser(conn).unreader.buf
        whole = self._needed[conn] = self._needed[conn] or needed(came, known)
        size = came.seek(0, os.SEEK_END)
        if whole:
            if size >= whole:
                self._await_room(conn)
        elif size > MAX_HEAD_BYTES:
            with contextlib.suppress(OSError):
                util.write_error(conn.sock, 431, "Request Header Fields Too Large", "The headers are too large.")
            self._forget(conn)
            self._linger(conn)

    def _await_room(self, conn: TConn) -> None:
        self.poller.modify(conn.sock, selectors.EVENT_WRITE, partial(self._risk, conn, self._begin, conn))

    def _begin(self, conn: TConn, _sock: socket.socket) -> None:
        self._forget(conn)
        super().enqueue_req(conn)

    def handle_request(self, req: Request, conn: TConn) -> bool:
        """In a thread: answer a request."""
        try:
            return super().handle_request(req, conn)
        except TimeoutError:  # the other end has gone, or takes nothing
            return False

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether another request may come; a body that nobody wanted is not waited for."""
        if not keepalive:
            return False
        drained = _parser(conn).finish_body(time.monotonic() + DRAIN_S)  # type: ignore[func-returns-value]  # it tells
        return bool(drained)

    def finish_request(self, conn: TConn, done: Future[bool]) -> None:
        """Keep the connection for the next request, or hang up without blocking the loop."""
        if not done.cancelled() and not done.exception() and done.result():
            super().finish_request(conn, done)
        elif _is_websocket(conn):
            self._drop(conn)  # its goodbye has been read, and a thread of its own closes it too
        else:
            self._risk(conn, self._linger, conn)

    def _linger(self, conn: TConn) -> None:
        """Read on for a while: a connection that is closed with anything unread loses what was sent last."""
        conn.sock.shutdown(socket.SHUT_WR)
        conn.sock.setblocking(False)
        self._unwanted[conn] = 0
        self._await(conn, LINGER_S, selectors.EVENT_READ, self._discard)

    def _discard(self, conn: TConn, sock: socket.socket) -> None:
        data = _received(sock)
        self._unwanted[conn] += len(data or b"")
        if data == b"" or self._unwanted[conn] > LINGER_BYTES:
            self._drop(conn)

    def _await(self, conn: TConn, seconds: float, event: int, happens: Callable[[TConn, socket.socket], None]) -> None:
        conn.timeout = time.monotonic() + seconds
        self.poller.register(conn.sock, event, partial(self._risk, conn, happens, conn))
        self.pending_conns.append(conn)

    def _forget(self, conn: TConn) -> None:
        self.pending_conns.remove(conn)
        self.poller.unregister(conn.sock)

    def _drop(self, conn: TConn) -> None:
        if conn in self.pending_conns:
            self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close the connections that waited too long. They wait for different times, so each is looked at."""
        now = time.monotonic()
        late = [conn for conn in self.pending_conns if conn.timeout is not None and conn.timeout <= now]
        for conn in late:
            self._drop(conn)


def needed(came: io.BytesIO, known: int = 0) -> int:
    """Bytes of a request, head and small body, that a thread needs; 0 while its head has no end.

    Before `known` there is none. Each byte is searched about once, however small the pieces are in which they come.
    """
    start = max(0, known - len(HEAD_END) + 1)
    came.seek(start)
    found = came.read().find(HEAD_END)
    if found < 0:
        return 0
    came.seek(0)
    length = CONTENT_LENGTH.search(came.read(start + found))
    return start + found + len(HEAD_END) + (_small(length[1]) if length else 0)


def _small(length: bytes) -> int:
    """A body's length as gunicorn reads it, zeros before it and all; 0 if that is more than is awaited."""
    digits = length.lstrip(b"0") or b"0"
    is_small = len(digits) <= len(str(SMALL_BODY_BYTES)) and int(digits) <= SMALL_BODY_BYTES
    return int(digits) if is_small else 0


def _limit(sock: socket.socket, seconds: float) -> None:
    """Give up on a blocking read to which nothing comes, and on an answer that nobody takes, after so many seconds.

    By options of the socket: Python's own time limit would cut what is sent slowly, and send half a WebSocket's frame.
    """
    whole = int(seconds)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, int((seconds - whole) * 1e6)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ANSWER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _received(sock: socket.socket) -> bytes | None:
    """What has come; None if nothing has, empty if nothing will."""
    try:
        return sock.recv(READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _parser(conn: TConn) -> RequestParser:
    assert isinstance(conn.parser, RequestParser)  # of HTTP/1.1, which is all that we speak
    return conn.parser


def _is_websocket(conn: TConn) -> bool:
    request = conn.parser.mesg if isinstance(conn.parser, RequestParser) else None
    return request is not None and any(name == "UPGRADE" for name, _ in request.headers)
