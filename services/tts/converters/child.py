"""The process in which a program of other people's converts speech: a file beside this, run by that program's Python.

So it imports nothing of the house. It reads lines of JSON, first what to load, then what to do, each with its samples;
it answers each with a line of JSON, and with samples. See `model_process.py`.
"""

from __future__ import annotations

import json
import os
import sys
import wave
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, Any


class Wrong(Exception):
    """It cannot be loaded: a short word for why, and what."""

    def __init__(self, error: str, what: str) -> None:
        super().__init__(error)
        self.told = {"error": error, "what": what}


def serve(load: Callable[..., tuple[Any, int]], answer: Callable[..., bytes]) -> None:
    """Serve until stdin ends, as it does with whoever started this.

    Args:
        load: makes the program, and tells its rate, of what is to be loaded; may raise `Wrong`.
        answer: the samples, float32, of the program, what is asked of it, and samples.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # such programs print what they do
    requests = sys.stdin.buffer
    task = json.loads(requests.readline())
    sys.path[0] = task["source"]  # instead of the folder of this file
    sys.argv = sys.argv[:1]
    try:
        program, rate = load(task)
    except Wrong as error:
        _tell(answers, error.told)
        return
    _tell(answers, {"rate": rate})
    for line in requests:
        asked = json.loads(line)
        data = requests.read(4 * asked["count"])
        try:
            samples = answer(program, asked, data)
        except Exception as error:  # noqa: BLE001 - whatever its libraries raise; the next sentence may do
            _tell(answers, {"error": "failed", "what": type(error).__name__})
        else:
            _tell(answers, {"count": len(samples) // 4}, samples)


@contextmanager
def importing() -> Generator[None, None, None]:
    """Raises:
    Wrong: a package is missing, or fails as it is imported, as an old one may by anything with a new Python.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise Wrong("package", (error.name or "").partition(".")[0]) from error
    except Exception as error:
        raise Wrong("failed", type(error).__name__) from error


def have(device: str, torch: Any) -> None:
    """Raises:
    Wrong: there is no such device.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise Wrong("device", device)


def written(path: str, data: bytes, rate: int) -> str:
    """A WAV file of samples."""
    import numpy as np

    samples = np.clip(np.frombuffer(data, np.float32), -1, 1)
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def _tell(answers: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    answers.write(json.dumps(head).encode() + b"\n" + body)
    answers.flush()
