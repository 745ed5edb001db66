"""Real little processes: seen when ready, restarted when they die, given up when they keep dying, stopped in order."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.local import supervisor as supervision
from cli.local.programs import Program
from cli.local.supervisor import State, Supervisor

PAGE = """
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["GATEWAY_PORT"])), Page).serve_forever()
"""


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervise(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Supervisor]]:
    """A supervisor of one page, made from its source."""
    monkeypatch.setattr(supervision, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(supervision, "LONGEST_PAUSE_S", 0.1)
    running = []

    def start(source: str) -> Supervisor:
        (tmp_path / "little_page.py").write_text(source)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        environment = {"PYTHONPATH": str(tmp_path), "GATEWAY_PORT": str(port)}
        program = Program("gateway", "little_page", "127.0.0.1", port, "", environment)
        running.append(Supervisor([program], tmp_path / "logs", 10_000, told.append))
        return running[-1]

    yield start
    for one in running:
        one.kill()


def _step_until(supervisor: Supervisor, state: State) -> None:
    deadline = time.monotonic() + 120  # only ends what would hang
    while supervisor.watched[0].state is not state:
        assert time.monotonic() < deadline, supervisor.watched
        supervisor.step()
        time.sleep(0.02)


def test_ready_when_it_answers(supervise, told) -> None:
    supervisor = supervise(PAGE)
    assert not supervisor.is_ready
    _step_until(supervisor, State.READY)
    assert supervisor.is_ready
    assert told == []


def test_one_that_is_killed_comes_back(supervise, told) -> None:
    supervisor = supervise(PAGE)
    _step_until(supervisor, State.READY)
    before = supervisor.watched[0].pid
    psutil.Process(before).kill()
    _step_until(supervisor, State.PAUSING)
    _step_until(supervisor, State.READY)
    assert supervisor.watched[0].pid != before
    assert len(told) == 1
    assert "gateway was killed by SIGKILL" in told[0]


def test_one_that_keeps_dying_is_given_up_with_its_last_words(supervise, told) -> None:
    supervisor = supervise("raise SystemExit('the model is not there')")
    _step_until(supervisor, State.GIVEN_UP)
    assert supervisor.is_settled
    assert len(told) == supervision.MAX_QUICK_DEATHS
    assert "given up. the model is not there" in told[-1]
    assert "gateway.log" in told[-1]
    supervisor.step()
    assert supervisor.watched[0].pid is None


def test_one_whose_settings_are_wrong_is_not_tried_again(supervise, told) -> None:
    supervisor = supervise("import sys; print('GATEWAY_TOKEN is too short.', file=sys.stderr); sys.exit(78)")
    _step_until(supervisor, State.GIVEN_UP)
    assert told == ["gateway cannot begin. GATEWAY_TOKEN is too short."]


def test_one_that_has_served_is_never_given_up(supervise, told) -> None:
    supervisor = supervise(PAGE)
    for _ in range(supervision.MAX_QUICK_DEATHS + 1):
        _step_until(supervisor, State.READY)
        psutil.Process(supervisor.watched[0].pid).kill()
        _step_until(supervisor, State.PAUSING)
    assert len(told) == supervision.MAX_QUICK_DEATHS + 1


def test_a_long_life_forgives_earlier_deaths(supervise, monkeypatch) -> None:
    monkeypatch.setattr(supervision, "QUICK_S", 0.0)
    supervisor = supervise("raise SystemExit(1)")
    for _ in range(supervision.MAX_QUICK_DEATHS + 2):
        _step_until(supervisor, State.PAUSING)
        _step_until(supervisor, State.STARTING)
    assert supervisor.watched[0].quick_deaths <= 1


def test_stop_asks_first(supervise, tmp_path) -> None:
    farewell = "import atexit, pathlib, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    farewell += f"atexit.register(pathlib.Path({str(tmp_path / 'farewell')!r}).touch)\n"
    supervisor = supervise(farewell + PAGE)
    _step_until(supervisor, State.READY)
    process = psutil.Process(supervisor.watched[0].pid)
    supervisor.stop()
    assert not process.is_running()
    assert (tmp_path / "farewell").exists()


def test_stop_does_not_wait_for_ever(supervise, monkeypatch) -> None:
    monkeypatch.setattr(supervision, "PAGE_DRAIN_S", 0.3)
    supervisor = supervise("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PAGE)
    _step_until(supervisor, State.READY)
    process = psutil.Process(supervisor.watched[0].pid)
    supervisor.stop()
    assert not process.is_running()
