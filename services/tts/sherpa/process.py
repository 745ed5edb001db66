"""The parent's side of the process in which a model speaks; see `child.py`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from services.common.arrays import Samples
from services.tts.sherpa.files import Files

LONGEST_S = 120.0  # of a sentence; one that takes longer hangs
LONGEST_LOAD_S = 600.0


class Died(Exception):
    """The process has ended, or was ended because it hung."""


class SpeakingProcess:
    """A model in a process of its own, which ends with this one. Several threads may call it; they take turns.

    Raises:
        Died: the model cannot be loaded.
    """

    def __init__(self, files: Files, *, threads: int, provider: str) -> None:
        self._task = {"kind": files.kind.value, "paths": files.paths, "threads": threads, "provider": provider}
        self._turns = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        with self._turns:
            told = self._started()
        self.rate, self.speakers = int(told["rate"]), int(told["speakers"])

    def speak(self, gone: threading.Event, **asked: Any) -> Samples:
        """Float32 samples at `rate`; none where the model cannot say any of the text.

        Args:
            gone: set when nobody waits any more; if it is before its turn, nothing is said.

        Raises:
            Died: it did, in the middle of this. It is started anew for the next text.
        """
        with self._turns:
            if gone.is_set():
                return np.zeros(0, np.float32)
            if self._process is None:
                self._started()
            process = self._running()
            with self._ended(process, LONGEST_S):
                told = self._told(process, asked)
                data = _pipe(process.stdout).read(4 * int(told["count"]))
                if len(data) < 4 * int(told["count"]):
                    raise EOFError
        return np.frombuffer(data, np.float32)

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
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.tts.sherpa.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with self._ended(self._process, LONGEST_LOAD_S):
            return self._told(self._process, self._task)

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
        except (OSError, EOFError, ValueError, LookupError) as error:
            self.close()
            raise Died from error
        finally:
            timer.cancel()

    @staticmethod
    def _told(process: subprocess.Popen[bytes], asked: dict[str, Any]) -> dict[str, Any]:
        requests = _pipe(process.stdin)
        requests.write(json.dumps(asked).encode() + b"\n")
        requests.flush()
        told: dict[str, Any] = json.loads(_pipe(process.stdout).readline())
        return told


def _pipe(pipe: Any) -> Any:
    if pipe is None:
        raise EOFError
    return pipe
