"""The parent's side of a child process: it gets its task on stdin and is heard on stdout; see `child.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from basics.problem import Problem
from services.common import errors

TERMINATE_GRACE_S = 5.0
LONGEST_LINE = 2**22


async def spawn(module: str, task: dict[str, Any]) -> Process:
    """Start `python -m module` and hand it its task."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
    )
    assert process.stdin
    with contextlib.suppress(ConnectionError):  # it died at once; its exit tells
        process.stdin.write(json.dumps(task).encode() + b"\n")  # stdin stays open: its end tells the child to die
        await process.stdin.drain()
    return process


async def messages(process: Process) -> AsyncIterator[dict[str, Any]]:
    """What the child says, until it has ended."""
    assert process.stdout
    async for line in process.stdout:
        yield json.loads(line)
    await process.wait()


async def terminate(process: Process) -> None:
    """End a child: politely, then not."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), TERMINATE_GRACE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        except asyncio.CancelledError:  # nobody can wait any more
            process.kill()
            raise


async def call(module: str, spec: dict[str, Any], settings: dict[str, Any], work_folder: Path) -> dict[str, Any]:
    """Do something heavy or risky in a child and wait for it; raises as `run`."""
    async with contextlib.aclosing(run(module, spec, settings, work_folder)) as told:
        async for message in told:
            if "result" in message:
                result: dict[str, Any] = message["result"]
                return result
    raise crashed()


async def run(
    module: str, spec: dict[str, Any], settings: dict[str, Any], work_folder: Path, device: str = ""
) -> AsyncGenerator[dict[str, Any], None]:
    """Do something in a child: yields `{"progress": …}` as it comes, and `{"result": …}`.

    When the caller goes away, so does the child.

    Raises:
        ServiceError: what the child raised.
        Internal: it died without a word.
    """
    task = {"id": module, "spec": spec, "device": device, "work_folder": str(work_folder), "settings": settings}
    process = await spawn(module, task)
    is_told = False
    try:
        async for message in messages(process):
            if "error" in message:
                raise getattr(errors, message["type"]).of(Problem(**message["error"]))
            is_told = "result" in message
            yield message
    finally:
        await terminate(process)
    if not is_told:
        raise crashed()


def crashed() -> errors.Internal:
    """A child ended without an answer."""
    return errors.Internal("A part of this service stopped unexpectedly. Try again.", reason="PART_CRASHED")
