"""A port that is taken is named, with its holder and the setting that avoids it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from cli.local import ports
from cli.local.programs import Program


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _program(port: int, **changes: object) -> Program:
    setting = "VISAVIS_TTS_ADDRESS=127.0.0.1:{port} visavis up"
    return Program(**{"name": "tts", "module": "m", "host": "127.0.0.1", "port": port, "setting": setting, **changes})


def test_a_taken_port_is_explained(taken: int) -> None:
    (sentence,) = ports.complaints([_program(taken)])
    assert f"Port {taken}, which tts needs, is taken by" in sentence
    assert f"process {os.getpid()}" in sentence
    suggested = sentence.partition("VISAVIS_TTS_ADDRESS=127.0.0.1:")[2].split()[0]
    assert ports.is_free("127.0.0.1", int(suggested))


def test_a_free_port_is_no_complaint(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert ports.complaints([_program(free)]) == []


def test_a_port_elsewhere_is_not_ours_to_check(taken: int) -> None:
    assert ports.complaints([_program(taken, is_here=False)]) == []


def test_a_connection_that_was_closed_a_moment_ago_does_not_matter() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # we closed first: the port is in TIME_WAIT now
    assert ports.is_free("127.0.0.1", port)
