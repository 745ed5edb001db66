"""Logs of bounded size, and what a process leaves behind when it dies."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.local.process import Log, RunningProgram, _trouble, in_words
from cli.local.programs import Program

LONGEST_S = 120  # only ends what would hang


@pytest.fixture
def run(tmp_path: Path):
    """Start a program from its source."""
    started = []

    def start(source: str) -> RunningProgram:
        (tmp_path / "little_program.py").write_text(source)
        program = Program("little", "little_program", "127.0.0.1", 1, "", {"PYTHONPATH": str(tmp_path)})
        started.append(RunningProgram(program, Log(tmp_path / "logs" / "little.log", 100_000)))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def test_a_log_begins_anew_when_it_is_full(tmp_path: Path) -> None:
    log = Log(tmp_path / "a.log", 100)
    for number in range(100):
        log.write(b"line %04d\n" % number)
    log.close()
    now, before = (tmp_path / "a.log").read_bytes(), (tmp_path / "a.log.1").read_bytes()
    assert len(now) <= 100
    assert len(before) <= 100
    assert (before + now).endswith(b"line 0098\nline 0099\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1"]


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for word in (b"one\n", b"two\n"):
        log = Log(tmp_path / "a.log", 100)
        log.write(word)
        log.close()
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"


def test_output_and_errors_are_logged(run, tmp_path: Path) -> None:
    program = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert program.wait(LONGEST_S)
    assert program.last_words() == "err"
    assert program.exit_status == 3
    assert set((tmp_path / "logs" / "little.log").read_text().split()) == {"out", "err"}


def test_last_words_are_the_sentence_of_a_refused_setting(run) -> None:
    source = """
        from pydantic import BaseModel, model_validator
        class Settings(BaseModel):
            token: str
            @model_validator(mode="after")
            def check(self):
                raise ValueError("GATEWAY_HOST is open to others: set GATEWAY_TOKEN.")
        Settings(token="a secret")
    """
    program = run("\n".join(line[8:] for line in source.splitlines()))
    assert program.wait(LONGEST_S)
    assert program.last_words() == "Value error, GATEWAY_HOST is open to others: set GATEWAY_TOKEN."


def test_kill_takes_what_it_started_along(run) -> None:
    program = run(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    while not program.last_words():
        pass
    child = psutil.Process(int(program.last_words()))
    program.kill()
    gone, _ = psutil.wait_procs([child], timeout=LONGEST_S)
    assert gone or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_no_process_outlives_us(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "little_program.py").write_text(
        f"import pathlib, time; pathlib.Path({str(tmp_path / 'runs')!r}).touch(); time.sleep(600)"
    )
    source = (
        "import pathlib, time\n"
        "from cli.local.process import Log, RunningProgram\n"
        "from cli.local.programs import Program\n"
        f"log = Log(pathlib.Path({str(tmp_path)!r}) / 'log', 1000)\n"
        f"program = Program('x', 'little_program', '127.0.0.1', 1, '', {{'PYTHONPATH': {str(tmp_path)!r}}})\n"
        "print(RunningProgram(program, log).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as parent:
        little = psutil.Process(int(parent.stdout.readline()))
        until = time.monotonic() + LONGEST_S
        while not (tmp_path / "runs").exists():  # by then it has been tied to its parent
            assert time.monotonic() < until
            time.sleep(0.01)
        parent.kill()
    gone, _ = psutil.wait_procs([little], timeout=LONGEST_S)
    assert gone or little.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"level": "INFO", "event": "call", "outcome": "OK"}', ""),
        ('{"level": "ERROR", "event": "no room left"}', "no room left"),
        ('{"level": "ERROR", "event": "broke", "trace": "Traceback\\nOSError: no room left"}', "OSError: no room left"),
        ("ModuleNotFoundError: No module named 'torch'", "ModuleNotFoundError: No module named 'torch'"),
        ("42", "42"),
        ("    For further information visit a page", ""),
    ],
)
def test_only_trouble_is_told(line: str, words: str) -> None:
    assert _trouble(line) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "ended with status 1"),
        (0, "ended with status 0"),
        (-15, "was killed by SIGTERM"),
        (-9, "was killed by SIGKILL, perhaps because memory ran out"),
    ],
)
def test_endings_in_words(status: int, words: str) -> None:
    assert in_words(status) == words
