"""What the job tests run as a child; the job's spec says how it behaves."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from services.common.errors import InvalidInput
from services.common.jobs import child


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Behave as told."""
    Path(task.spec.get("pid_file") or os.devnull).write_text(str(os.getpid()))
    print("libraries print")  # noqa: T201 - must not reach the runner
    return _BEHAVIOURS[task.spec["do"]](task, report)


def _succeed(task: child.Task, report: child.Report) -> dict[str, Any]:
    report({"stage": "first", "progress": 0.5, "eta_s": 3.0, "step": 5, "steps": 10, "loss": 0.25})
    report({"stage": "second", "progress": 0.2})
    return {"device": task.device, "url": task.settings["storage_url"]}


def _fail(task: child.Task, report: child.Report) -> dict[str, Any]:
    raise InvalidInput("There is no face.", reason="NO_FACE", field="video", values={"second": "3.0"})


def _break(task: child.Task, report: child.Report) -> dict[str, Any]:
    raise RuntimeError(f"cannot read {task.spec.get('secret')}")


def _crash(task: child.Task, report: child.Report) -> dict[str, Any]:
    os._exit(9)


def _hang(task: child.Task, report: child.Report) -> dict[str, Any]:
    try:
        report({"stage": "hang", "progress": 0.1})
        time.sleep(600)
    finally:
        Path(task.spec.get("unwound_file") or os.devnull).write_text("yes")
    return {}


def _resume(task: child.Task, report: child.Report) -> dict[str, Any]:
    checkpoint = task.work_folder / "checkpoint"
    if checkpoint.exists():
        return {"resumed": True}
    checkpoint.write_text("here")
    os._exit(9)


def _crash_until_mended(task: child.Task, report: child.Report) -> dict[str, Any]:
    checkpoint = task.work_folder / "checkpoint"
    with checkpoint.open("a") as file:
        file.write("attempt ")
    if not Path(task.spec["mended_file"]).exists():
        os._exit(9)
    return {"attempts": len(checkpoint.read_text().split())}


def _ramble(task: child.Task, report: child.Report) -> dict[str, Any]:
    report({"stage": "a stage with a name that no column can hold", "loss": float(task.spec.get("loss", 0.5))})
    return {}


def _lose_a_helper(task: child.Task, report: child.Report) -> dict[str, Any]:
    checkpoint = task.work_folder / "checkpoint"
    if checkpoint.exists():
        return {"resumed": True}
    checkpoint.write_text("here")
    with ProcessPoolExecutor(1) as pool:
        pool.submit(os._exit, 9).result()
    return {}


_BEHAVIOURS = {
    "succeed": _succeed, "fail": _fail, "break": _break, "crash": _crash, "hang": _hang, "resume": _resume,
    "lose a helper": _lose_a_helper, "crash until mended": _crash_until_mended, "ramble": _ramble,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(child.run("test", work))
