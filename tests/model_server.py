"""A web server of our own that has files, and may misbehave in each way that a download has to survive."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 16 * 1024


@dataclass
class ModelServer:
    """What the server has, how it behaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)  # by path, "/owner/name/resolve/main/model.bin"
    statuses: list[int] = field(default_factory=list)  # of the next answers, before it behaves
    break_after: list[int] = field(default_factory=list)  # bytes of the next bodies, before the connection is cut
    told_length: int | None = None  # instead of the true one
    is_chunked: bool = False  # tells no length
    knows_ranges: bool = True
    stall_after: int | None = None  # bytes of a body, before it falls silent until `go_on`
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, range
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_says: ModelServer

    def do_GET(self) -> None:
        says = self.server_says
        path, asked = self.path, self.headers.get("Range", "")
        says.asked.append((path, asked))
        status = says.statuses.pop(0) if says.statuses else 200
        if status != 200 or path not in says.files:
            self._answer(status if status != 200 else 404, b"no")
            return
        whole = says.files[path]
        begin = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and says.knows_ranges else 0
        if begin and begin >= len(whole):
            self._answer(416, b"")
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        if says.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(says.told_length or len(whole) - begin))
        self.end_headers()
        self._send(whole[begin:], says.break_after.pop(0) if says.break_after else None)

    def _send(self, body: bytes, break_after: int | None) -> None:
        says = self.server_says
        for start in range(0, len(body), PIECE):
            if break_after is not None and start >= break_after:
                self.close_connection = True
                return
            if says.stall_after is not None and start >= says.stall_after:
                self.wfile.flush()
                says.stalled.set()
                says.go_on.wait(60)
            self._piece(body[start : start + PIECE])
        if says.is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _piece(self, data: bytes) -> None:
        is_chunked = self.server_says.is_chunked
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if is_chunked else data)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is being tested."""


@contextlib.contextmanager
def running_model_server() -> Iterator[ModelServer]:
    """The server on a port of its own."""
    says = ModelServer()
    handler = type("Handler", (_Handler,), {"server_says": says})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        says.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield says
        says.go_on.set()
        server.shutdown()
        thread.join()
