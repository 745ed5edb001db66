"""A gateway over its REST interface, as the command line uses it: what others than a gateway answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from client.remote.gateway import Gateway
from client.wire.errors import CallError


class Somebody(BaseHTTPRequestHandler):
    """Answers everything with a status and a body, and notes what it was sent."""

    status, body = 404, b"<h1>No such page</h1>"
    tokens: list[str | None] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.tokens.append(self.headers["Authorization"])
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Somebody)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_somebody_else_is_no_gateway(address: str) -> None:
    with pytest.raises(CallError, match="no gateway of Visavis") as caught:
        Gateway(address).create_chat(avatar="Ann")
    assert caught.value.field == "gateway"


def test_a_refusal_is_told_as_the_gateway_says_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Somebody, "status", 401)
    monkeypatch.setattr(
        Somebody, "body", b'{"error": {"code": "TOKEN_REQUIRED", "message": "Sign in.", "field": null}}'
    )
    with pytest.raises(CallError) as caught:
        Gateway(address, "secret").create_chat(avatar="Ann")
    assert (caught.value.reason, caught.value.message, caught.value.field) == ("TOKEN_REQUIRED", "Sign in.", "")
    assert Somebody.tokens[-1] == "Bearer secret"


def test_nobody_is_there() -> None:
    with pytest.raises(CallError, match="no gateway at http://127.0.0.1:1"):
        Gateway("http://127.0.0.1:1").create_chat(avatar="Ann")
