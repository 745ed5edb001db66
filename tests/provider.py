"""A chat-completions server of our own: the real SDKs talk HTTP to it, no part of them is replaced."""

from __future__ import annotations

import contextlib
import json
import select
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLOOD_BYTES = 2**28
"""Only ends a flood that should have been ended."""


class Provider:
    """What the server should do, and what it saw."""

    def __init__(self) -> None:
        self.status = 200
        self.statuses: list[int] = []  # of the next answers, before that
        self.code = "1002"  # of the body, where the status is another
        self.retry_after = ""  # of refusals
        self.floods = False  # does the last delta come again and again
        self.flooded = 0  # bytes that were taken of that
        self.deltas: list[str] = []
        self.finish_reason = "stop"
        self.stall_after: int | None = None  # deltas before it falls silent; 0 is before the headers
        self.break_after: int | None = None  # deltas before the connection is cut
        self.requests: list[dict] = []
        self.authorizations: list[str] = []
        self.stalled = threading.Event()
        self.gone = threading.Event()  # the client hung up while the server was silent
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_POST(self) -> None:
        provider = self.provider
        provider.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        provider.authorizations.append(self.headers["Authorization"])
        status = provider.statuses.pop(0) if provider.statuses else provider.status
        if status != 200:
            self._refuse(status)
            return
        if provider.stall_after == 0:
            self._stall()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for count, delta in enumerate(provider.deltas, start=1):
            self._event(_chunk({"content": delta}, None))
            if provider.stall_after == count:
                self._stall()
                return
            if provider.break_after == count:
                self.close_connection = True
                return
        with contextlib.suppress(OSError):
            while provider.floods and provider.flooded < FLOOD_BYTES:
                self._event(_chunk({"content": provider.deltas[-1]}, None))
                provider.flooded += len(provider.deltas[-1])
        self._event(_chunk({}, provider.finish_reason))
        self._write(b"data: [DONE]\n\n")
        self._write(b"")

    def _refuse(self, status: int) -> None:
        body = json.dumps({"error": {"message": "secret-key was refused", "code": self.provider.code}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.provider.retry_after:
            self.send_header("Retry-After", self.provider.retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stall(self) -> None:
        self.provider.stalled.set()
        readable, _, _ = select.select([self.connection], [], [], 60)
        if readable and self.connection.recv(1) == b"":
            self.provider.gone.set()
        self.close_connection = True

    def _event(self, chunk: dict) -> None:
        self._write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _write(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is being tested."""


def _chunk(delta: dict, finish_reason: str | None) -> dict:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish_reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "test", "choices": [choice]}


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port of the loopback, until the block ends."""
    provider = Provider()
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = _Server(("127.0.0.1", 0), handler)
    provider.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
