"""A process that a model has for itself: it is asked in lines of JSON, and answers in those; samples follow either."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from services.common.arrays import Samples

_NONE = np.zeros(0, np.float32)


class Died(Exception):
    """The process has ended, or was ended because it hung or answered nonsense."""


class Refused(Exception):
    """The process goes on, but cannot do this; `told` is what it says of it, with a short word under `error`."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["error"])
        self.told = told


class ModelProcess:
    """A model in a process of its own, which ends with this one. Several threads may ask it; they take turns.

    Args:
        command: what is run. It reads a line of JSON, the task, and answers with another; so with each question. Where
            a line has a `count`, as many samples follow it, float32 of this machine.
        longest_load_s: the answer to the task takes no longer.

    Raises:
        Died: it cannot be started, or not be loaded.
        Refused: it says why not.
    """

    def __init__(self, command: Sequence[str], task: dict[str, Any], *, longest_load_s: float) -> None:
        self._command, self._task, self._longest_load_s = list(command), task, longest_load_s
        self._turns = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        with self._turns:
            self.loaded = self._started()

    def ask(
        self, gone: threading.Event, asked: dict[str, Any], samples: Samples | None = None, *, longest_s: float
    ) -> Samples:
        """The samples of its answer.

        Args:
            gone: set when nobody waits any more; if it is before its turn, nothing is asked.
            longest_s: one that takes longer hangs, and is ended.

        Raises:
            Died: it did, in the middle of this. It is started anew for the next question.
            Refused: it cannot do this.
        """
        with self._turns:
            if gone.is_set():
                return _NONE
            if self._process is None:
                self._started()
            process = self._running()
            with self._ended(process, longest_s):
                told = self._told(process, asked, samples)
                data = b"" if "error" in told else _read(process, int(told["count"]))
        return np.frombuffer(_answer(told, data), np.float32)

    def close(self) -> None:
        """End the process."""
        if process := self._process:
            self._process = None
            process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with suppress(OSError):  # what it was not told any more
                    pipe.close()

    def _started(self) -> dict[str, Any]:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise Died from error
        with self._ended(self._process, self._longest_load_s):
            told = self._told(self._process, self._task)
        if "error" in told:
            self.close()
            raise Refused(told)
        return told

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise Died
        return self._process

    @contextmanager
    def _ended(self, process: subprocess.Popen[bytes], seconds: float) -> Generator[None, None, None]:
        """Whatever goes wrong, the process ends: what it would say next is no answer to what is asked next."""
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
            self.close()
            raise Died from error
        finally:
            timer.cancel()

    @staticmethod
    def _told(
        process: subprocess.Popen[bytes], asked: dict[str, Any], samples: Samples | None = None
    ) -> dict[str, Any]:
        requests = _pipe(process.stdin)
        counted = asked if samples is None else {**asked, "count": len(samples)}
        requests.write(json.dumps(counted).encode() + b"\n")
        if samples is not None:
            requests.write(samples.astype(np.float32).tobytes())
        requests.flush()
        told = json.loads(_pipe(process.stdout).readline())
        if not isinstance(told, dict):
            raise ValueError("no answer")
        return told


def _read(process: subprocess.Popen[bytes], count: int) -> bytes:
    if count < 0:
        raise ValueError("no count")
    data: bytes = _pipe(process.stdout).read(4 * count)
    if len(data) < 4 * count:
        raise EOFError
    return data


def _answer(told: dict[str, Any], data: bytes) -> bytes:
    if "error" in told:
        raise Refused(told)
    return data


def _pipe(pipe: Any) -> Any:
    if pipe is None:
        raise EOFError
    return pipe
