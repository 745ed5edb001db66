"""One running program: its process, and its log of bounded size."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

from cli.local.programs import Program
from cli.settings import child_environment

READ_BYTES = 64 * 1024


class Log:
    """A file that begins anew when it has grown to `limit` bytes; the one before it stays as `NAME.1`."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self._limit = path, limit
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def write(self, data: bytes) -> None:
        """Append. A full disk must not stop the service, so what cannot be written is lost."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # ValueError: it could not be opened anew
            if self._file.tell() + len(data) > self._limit:
                self._file.close()
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._file = self.path.open("ab")
            self._file.write(data)
            self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()


class RunningProgram:
    """A program's process. Start it from the main thread: it is told to end when the thread that started it does."""

    def __init__(self, program: Program, log: Log) -> None:
        self._log = log
        self._last_lines: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            [*_tied_to_us(), sys.executable, "-u", "-m", program.module],
            env=child_environment(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order
        )
        self._reader = threading.Thread(target=self._keep_log, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to finish what it does and end."""
        self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def kill(self) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """The last line that tells of trouble; empty when there is none."""
        self._reader.join(1)
        return next(filter(None, map(_trouble, reversed(self._last_lines))), "")[:300]

    def _keep_log(self) -> None:
        assert self._process.stdout
        with self._process.stdout as pipe:
            for line in iter(lambda: pipe.readline(READ_BYTES), b""):
                self._log.write(line)
                self._last_lines.append(line.decode(errors="replace"))


def _trouble(line: str) -> str:
    """What a line says: the whole of plain text, without what follows the sentence in a validation error; of our own
    JSON lines only errors."""
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        if isinstance(entry, dict):
            trace = entry.get("trace", "").splitlines()
            return (trace or [entry.get("event", "")])[-1] if entry.get("level") in ("ERROR", "CRITICAL") else ""
    words = re.sub(r" \[type=.*", "", line).strip()
    return "" if words.startswith("For further information") else words


def _tied_to_us() -> list[str]:
    """A prefix by which Linux ends the process when we die, however we die."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def in_words(exit_status: int) -> str:
    """How a process ended."""
    if exit_status >= 0:
        return f"ended with status {exit_status}"
    name = signal.Signals(-exit_status).name
    return f"was killed by {name}" + (", perhaps because memory ran out" if name == "SIGKILL" else "")
