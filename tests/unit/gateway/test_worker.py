"""The gateway as a process, attacked through its port."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.worker import BUSY, LINGER_S, MAX_HEAD_BYTES, MOST_IDLE, SMALL_BODY_BYTES, needed

TOKEN = "a token for the tests of the door"
KEY = {"Authorization": f"Bearer {TOKEN}"}
THREADS = 4
"""Few, so that few connections would do."""
LIMIT_S = 60
"""Only ends what would hang."""


@pytest.fixture(scope="module")
def patient_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its data folder, which was there before and open to all."""
    folder = tmp_path_factory.mktemp("patient") / "data"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def patient(patient_folder: Path) -> Iterator[int]:
    """Port of a gateway that waits for longer than any test: who is answered here did not wait for the others' end."""
    settings = {"STALL_SECONDS": "600", "HEAD_SECONDS": "600"}
    with _serving(patient_folder.parent, settings) as port:
        yield port


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a gateway that waits for nobody."""
    settings = {"STALL_SECONDS": "2", "HEAD_SECONDS": "2"}
    with _serving(tmp_path_factory.mktemp("hasty"), settings) as port:
        yield port


@contextlib.contextmanager
def _serving(folder: Path, settings: dict[str, str], *around: str) -> Iterator[int]:
    """A gateway in a folder, started by the command `around` if there is one."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    usual = {"PORT": str(port), "DATA_FOLDER": str(folder / "data"), "TOKEN": TOKEN, "THREADS": str(THREADS)}
    settings = usual | settings
    environment = os.environ | {f"GATEWAY_{name}": value for name, value in settings.items()}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*around, sys.executable, "-m", "gateway"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not _is_up(port):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT_S)
    assert "Traceback" not in (folder / "log").read_text()


def _is_up(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    return False


@contextlib.contextmanager
def _connections(port: int, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection(("127.0.0.1", port), LIMIT_S)) for _ in range(count)]
        for one in made:
            one.sendall(said)
        yield made


def _answers(port: int) -> bool:
    """Whether the gateway answers one who has the token, while others wait."""
    answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/openapi.json", headers=KEY, timeout=LIMIT_S)
    return answer.status_code == 200


def _ask(one: socket.socket) -> None:
    """Be answered on a connection, and keep it."""
    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    said = b""
    while b'"ok"' not in said:
        piece = one.recv(2**16)
        assert piece, "it hung up"
        said += piece


def _is_hung_up(one: socket.socket) -> bool:
    """Read to the end; the limit raises if there is none."""
    with contextlib.suppress(ConnectionError):
        while one.recv(2**16):
            pass
    return True


def _post(path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/x-www-form-urlencoded", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


STALLS = {
    "silence": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
    "half a sign-in": _post("/sign-in", "Content-Length: 100", body=b"token="),
    "half a sign-in of a padded length": _post("/sign-in", "Content-Length: 0000000000100", body=b"token="),
    "a sign-in to come": _post("/sign-in", "Content-Length: 100", "Expect: 100-continue"),
    "a huge sign-in": _post("/sign-in", "Content-Length: 60000000", body=b"token="),
    "a sign-in in chunks": _post("/sign-in", "Transfer-Encoding: chunked", body=b"6\r\ntoken=\r\n"),
    "a huge upload": _post("/api/v1/trainings", "Content-Length: 60000000", body=b"x" * 100),
    "an upload in chunks": _post("/save_audio", "Transfer-Encoding: chunked", body=b"6\r\ntoken=\r\n"),
    "an upload to nowhere": _post("/nowhere", "Content-Length: 60000000", body=b"x"),
    "half a second head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
}
UNREAD = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200


@pytest.mark.parametrize("said", [*STALLS.values(), UNREAD], ids=[*STALLS, "answers that nobody takes"])
def test_strangers_who_stall_hold_no_thread(patient: int, said: bytes) -> None:
    with _connections(patient, 70, said):
        assert _answers(patient)


@pytest.mark.parametrize("said", STALLS.values(), ids=STALLS)
def test_strangers_who_stall_are_let_go(hasty: int, said: bytes) -> None:
    with _connections(hasty, 70, said) as strangers:
        assert all(_is_hung_up(one) for one in strangers)


def test_a_head_that_trickles_has_a_deadline(hasty: int) -> None:
    began = time.monotonic()
    with _connections(hasty, 1, b"GET / HTTP/1.1\r\nX-Slow: ") as (slow,), pytest.raises(ConnectionError):
        while time.monotonic() - began < LIMIT_S:
            slow.sendall(b"x")
            time.sleep(0.1)


def test_a_head_without_end_is_refused(patient: int) -> None:
    with _connections(patient, 1, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * MAX_HEAD_BYTES) as (long,):
        assert b" 431 " in long.recv(2**16)


def test_a_stranger_who_breaks_off_costs_nobody_else(patient: int) -> None:
    with _connections(patient, 1) as (friend,):
        _ask(friend)
        for _ in range(30):
            with _connections(patient, 1) as (rude,):
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
                rude.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (MAX_HEAD_BYTES + 4096))
        _ask(friend)


def test_where_no_more_files_may_be_open_it_goes_on(tmp_path: Path) -> None:
    limited = ("sh", "-c", 'ulimit -n "$0" && exec "$@"', "160")
    with _serving(tmp_path, {"HEAD_SECONDS": "600"}, *limited) as port, _connections(port, 1) as (friend,):
        _ask(friend)
        with _connections(port, 300):
            assert _answers(port)
            _ask(friend)


def test_more_who_wait_than_there_is_room_for_shut_nobody_out(patient: int) -> None:
    with _connections(patient, MOST_IDLE + BUSY + THREADS + 50, b"GET / HTTP/1.1\r\n"):
        assert _answers(patient)


def test_an_upload_that_stalls_is_given_up_and_one_that_moves_is_not(hasty: int) -> None:
    bearer = f"Authorization: Bearer {TOKEN}"
    head = _post("/api/v1/chats", bearer, "Content-Type: application/json", "Content-Length: 10000", "Accept: */*")
    head = head.replace(b"Content-Type: application/x-www-form-urlencoded\r\n", b"")
    with _connections(hasty, 2, head + b'{"x": "') as (stalling, moving):
        for _ in range(9992 // 333):
            moving.sendall(b"x" * 333)
            time.sleep(0.1)  # slower altogether than the gateway waits for a byte
        moving.sendall(b"x" * (10000 - 7 - 9992 // 333 * 333 - 2) + b'"}')
        assert b" 400 " in moving.recv(2**16), "it was read: a field is missing"
        assert b" 408 " in stalling.recv(2**16)


def test_what_it_keeps_is_its_users_only(patient: int, patient_folder: Path) -> None:
    audio = {"audio": ("a.wav", b"RIFF")}
    assert httpx.post(f"http://127.0.0.1:{patient}/save_audio", headers=KEY, files=audio).is_success
    kept = [patient_folder, *patient_folder.rglob("*")]
    assert any(path.suffix == ".wav" for path in kept)
    assert [path.name for path in kept if path.stat().st_mode & 0o077] == []


def test_strangers_fill_no_disk(patient: int) -> None:
    with _connections(patient, 1, _post("/save_audio", f"Content-Length: {2**31}")) as (stranger,):
        assert b" 401 " in stranger.recv(2**16)
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 2**28:
                sent += stranger.send(b"x" * 2**20)
        assert sent < 2**28


def test_connections_are_kept_for_the_next_request(patient: int) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with _connections(patient, 1, asked * 3) as (one,):
        for count in (3, 1):
            said = b""
            while said.count(b'"ok"') < count:
                said += one.recv(2**16)
            one.sendall(asked)


def test_who_asks_to_close_and_does_not_hang_up_holds_nobody_up(patient: int) -> None:
    with _connections(patient, 70, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):
        began = time.monotonic()
        assert _answers(patient)
        assert time.monotonic() - began < 70 * LINGER_S / 2


HEADS = {
    b"": None,
    b"GET / HTTP/1.1\r\n": None,
    b"GET / HTTP/1.1\r\n\r\n": 0,
    b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n": 2,
    b"POST / HTTP/1.1\r\ncontent-length:2 \r\nX: y\r\n\r\n": 2,
    b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n": 0,
    b"POST / HTTP/1.1\r\nContent-Length: 0000000000100\r\n\r\n": 100,
    b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % SMALL_BODY_BYTES: SMALL_BODY_BYTES,
    b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY_BYTES + 1): 0,
    b"POST / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 20): 0,
    b"POST / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % (b"9" * 60_000): 0,
    b"POST / HTTP/1.1\r\nContent-Length: %b7\r\n\r\n" % (b"0" * 60_000): 7,
}
"""What comes, and the bytes of body that are awaited with it; None: the head has no end."""


@pytest.mark.parametrize(("head", "body"), HEADS.items(), ids=range(len(HEADS)))
def test_what_is_awaited_before_a_thread_is_asked(head: bytes, body: int | None) -> None:
    whole = 0 if body is None else len(head) + body
    assert needed(io.BytesIO(head)) == whole
    assert needed(io.BytesIO(head + b"more"), max(0, len(head) - 1)) == whole, "all but the last byte were there"


def test_a_head_in_many_pieces_is_searched_once() -> None:
    class Counting(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.read_bytes += len(data)
            return data

    came = Counting()
    for known in range(MAX_HEAD_BYTES):
        came.seek(known)
        came.write(b"x")
        assert needed(came, known) == 0
    assert came.read_bytes < 5 * MAX_HEAD_BYTES
