"""Recognisers of our own: the real SDKs and a real WebSocket talk to them, no part of those is replaced."""

from __future__ import annotations

import contextlib
import email
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

FLOOD_BYTES = 2**28
"""Only ends a flood that should have been ended."""


@dataclass
class Transcriber:
    """A server with `/audio/transcriptions`: what it should do, and what it saw."""

    url: str = ""
    texts: list[str] = field(default_factory=list)  # of the next answers; the last one stays
    extra: dict[str, Any] = field(default_factory=dict)  # beside the text, where details are asked for
    statuses: list[int] = field(default_factory=list)  # of the next answers, before it behaves
    code: str = ""  # the provider's own, in the body of a refusal
    retry_after: str = ""  # of refusals
    floods: bytes = b""  # again and again until nobody reads it, as an answer that does not end
    packs: bool = False  # claims that its answer is compressed
    flooded: int = 0  # bytes that were taken of a flood
    ends_unmarked: bool = False  # a stream of text ends as if it were whole, without saying so
    refuses: str = ""  # a value of a form that it answers with 400
    is_streaming: bool = True  # does it answer `stream` with events
    body: bytes | None = None  # instead of an answer
    stall_after: int | None = None  # pieces of a streamed text; 0 is before the headers
    break_after: int | None = None
    trickles: bytes = b""  # again and again, as an answer that does not end
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    sounds: list[bytes] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def next_text(self) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    says: Transcriber

    def do_POST(self) -> None:
        says = self.says
        form = self._form()
        says.forms.append(form)
        says.authorizations.append(self.headers["Authorization"])
        refused = any(says.refuses in values for values in form.values())
        if says.statuses or refused:
            status = 400 if refused else says.statuses.pop(0)
            error = {"error": {"message": "secret-key said hello", "code": says.code}}
            self._answer(status, json.dumps(error).encode(), retry_after=says.retry_after)
        elif says.stall_after == 0:
            self._stall()
        elif says.trickles:
            self._trickle()
        elif says.floods:
            self._flood()
        elif says.body is not None:
            self._answer(200, says.body, _kind(says.body))
        elif form.get("stream") == ["true"] and says.is_streaming:
            self._stream(says.next_text())
        else:
            told = says.extra if form.get("response_format") == ["verbose_json"] else {}
            self._answer(200, json.dumps({"text": says.next_text(), **told}).encode())

    def _form(self) -> dict[str, list[str]]:
        form: dict[str, list[str]] = {}
        for name, content, is_file in form_parts(self):
            if is_file:
                self.says.sounds.append(content)
            else:
                form.setdefault(name.removesuffix("[]"), []).append(content.decode())
        return form

    def _stream(self, text: str) -> None:
        says = self.says
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for count, word in enumerate(text.split(" "), start=1):
            delta = word if count == 1 else f" {word}"
            self._event({"type": "transcript.text.delta", "delta": delta})
            if says.stall_after == count:
                self._stall()
                return
            if says.break_after == count:
                self.close_connection = True
                return
        if not says.ends_unmarked:
            self._event({"type": "transcript.text.done", "text": text})
            self._write(b"data: [DONE]\n\n")
        self._write(b"")

    def _trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _kind(self.says.trickles))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(1000):
            self._write(self.says.trickles)
            time.sleep(0.01)
        self.close_connection = True

    def _flood(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", _kind(self.says.floods))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.says.flooded < FLOOD_BYTES:
                self._write(self.says.floods)
                self.says.flooded += len(self.says.floods)
        self.says.gone.set()
        self.close_connection = True

    def _stall(self) -> None:
        self.says.stalled.set()
        readable, _, _ = select.select([self.connection], [], [], 60)
        if readable and self.connection.recv(1) == b"":
            self.says.gone.set()
        self.close_connection = True

    def _answer(self, status: int, body: bytes, kind: str = "application/json", retry_after: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        if self.says.packs:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, event: dict[str, str]) -> None:
        self._write(f"data: {json.dumps(event)}\n\n".encode())

    def _write(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def _kind(body: bytes) -> str:
    return {b"<": "text/html", b"d": "text/event-stream"}.get(body[:1], "application/json")


def form_parts(request: BaseHTTPRequestHandler) -> Iterator[tuple[str, bytes, bool]]:
    """The fields of a form with files: name, content, whether it is a file."""
    body = request.rfile.read(int(request.headers["Content-Length"]))
    parts = email.message_from_bytes(f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode() + body)
    for part in parts.get_payload():
        content, name = part.get_payload(decode=True), part.get_param("name", header="content-disposition")
        yield str(name), content, bool(part.get_filename())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is being tested."""


@contextlib.contextmanager
def running_transcriber() -> Iterator[Transcriber]:
    """The server on a port of its own."""
    says = Transcriber(texts=["hello there"])
    with Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"says": says})) as server:
        says.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield says
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Runtime:
    """FunASR's runtime as its clients see it: in C++, in Python, or for whole recordings."""

    url: str = ""
    manner: str = "c++"  # or "python", "python with is_end", "offline"
    texts: list[str] = field(default_factory=list)  # of the next connections; the last one stays
    stamps: list[dict[str, Any]] = field(default_factory=list)
    answer: str | None = None  # at the end, instead of the text
    is_silent: bool = False  # never answers
    is_deaf: bool = False  # takes no more sound after the first piece
    talks_on: bool = False  # never comes to the end of what it says
    words: str = "a"  # that it says then
    pause_s: float = 0.01  # between them
    break_after: int | None = None  # pieces of sound before the connection ends
    openings: list[dict[str, Any]] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)  # bytes, of all connections
    ended: list[dict[str, Any]] = field(default_factory=list)
    heard_enough: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)  # a client has said that its sound is over
    gone: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            self._serve(connection)
        self.gone.set()

    def _serve(self, connection: ServerConnection) -> None:
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        opening = json.loads(connection.recv())
        self.openings.append(opening)
        words, count = iter(text.split(" ")), 0
        for message in connection:
            if isinstance(message, str):
                self.ended.append(json.loads(message))
                self.over.set()
                while self.talks_on:
                    connection.send(json.dumps({"mode": "2pass-online", "text": self.words, "is_final": False}))
                    time.sleep(self.pause_s)
                if not self.is_silent:
                    connection.send(self.answer if self.answer is not None else json.dumps(self._last(text)))
                continue
            self.pieces.append(len(message))
            if self.is_deaf:
                self.heard_enough.wait(60)
                connection.socket.shutdown(socket.SHUT_RDWR)  # it would read what waits, to say goodbye
                return
            count += 1
            if count == self.break_after:
                return
            is_due = opening["mode"] != "offline" and count % opening["chunk_interval"] == 0
            if is_due and (word := next(words, "")):
                is_final = self.manner.startswith("python")  # which tells in it whether the sound goes on
                told = {"mode": "2pass-online", "text": f"{word} ", "wav_name": "speech", "is_final": is_final}
                connection.send(json.dumps(told))

    def _last(self, text: str) -> dict[str, Any]:
        mode = "offline" if self.manner == "offline" else "2pass-offline"
        told = {"mode": mode, "text": text, "wav_name": "speech", "is_final": self.manner == "c++"}
        if self.manner == "python with is_end":
            told["is_end"] = True
        return {**told, "stamp_sents": self.stamps} if self.stamps else told


@contextlib.contextmanager
def running_runtime(certificate: Path | None = None) -> Iterator[Runtime]:
    """The runtime on a port of its own; with TLS, if it has a certificate (and its key in the same file)."""
    says, context = Runtime(texts=["hello there"]), None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    with serve(says.serve, "127.0.0.1", 0, subprotocols=["binary"], ping_interval=None, ssl=context) as server:
        says.url = f"{'wss' if certificate else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield says
        finally:
            server.shutdown()
            thread.join()
