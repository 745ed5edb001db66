"""The child's side of a job: a command line that reads its task from stdin and tells its progress on stdout.

`python -m services.<svc>.job` is started with one JSON line on stdin (`{"id", "spec", "device", "work_folder",
"settings"}`) and prints one JSON object per line: `{"progress": {...}}` any number of times, then `{"result": {...}}`
or `{"error": {...}}`. A progress may hold `warnings`, all that there are by then, with those that the job began with.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from basics import logs
from services.common import errors
from services.common.interceptors import to_service_error

logger = logging.getLogger(__name__)
STDIN = 0


@dataclass(frozen=True)
class Task:
    """What a child has to do."""

    id: str
    spec: dict[str, Any]
    device: str
    work_folder: Path  # kept between attempts, so a killed job can go on
    settings: dict[str, Any]  # of the service that started it


Report = Callable[[dict[str, Any]], None]


def part(report: Report, begin: float) -> Report:
    """Takes the reports of the part of a job that is left once the share `begin` is done."""

    def told(progress: dict[str, Any]) -> None:
        report(progress | {"progress": begin + (1 - begin) * progress.get("progress", 0.0)})

    return told


def run(service: str, work: Callable[[Task, Report], dict[str, Any]], *, most_bytes: int = 0) -> int:
    """Run `work` as this process's job, with at most `most_bytes` of memory (0: any); returns the exit status."""
    channel = _claim_stdout()
    if most_bytes:
        _limit_memory(most_bytes)
    logs.configure(service, "INFO")
    signal.signal(signal.SIGTERM, _unwind)
    task = json.loads(sys.stdin.readline())
    task["work_folder"] = Path(task["work_folder"])
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        result = work(Task(**task), lambda progress: _send(channel, {"progress": progress}))
    except BrokenExecutor:  # a helper was killed, for memory most likely: the runner lets it be tried again
        logger.exception("a process of the job died", extra={"fields": {"job": task["id"]}})
        return 2
    except Exception as error:  # noqa: BLE001 - any failure must reach the job's row
        answer = to_service_error(error)
        if isinstance(answer, errors.Internal):
            logger.exception("job broke", extra={"fields": {"job": task["id"]}})
        _send(channel, {"error": asdict(answer.problem), "type": type(answer).__name__})
        return 1
    _send(channel, {"result": result})
    return 0


def _claim_stdout() -> TextIO:
    # Libraries print; only our messages may go where the runner reads.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return channel


def _limit_memory(most_bytes: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # a stricter limit is in force, or the system knows none
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def _send(channel: TextIO, message: dict[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _unwind(signum: int, _frame: object) -> None:
    # An exception, so that `finally` blocks take half-written files away; the runner kills whoever takes too long.
    raise SystemExit(128 + signum)


def _die_with_parent() -> None:
    # The runner holds the other end of stdin; when it dies, however it dies, this read returns. Not sys.stdin.read():
    # a thread that holds sys.stdin's lock makes the interpreter abort when the work is done.
    while os.read(STDIN, 4096):
        pass
    os._exit(3)
