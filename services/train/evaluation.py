"""`python -m services.train.evaluation`: compare a generated video with the true one, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from services.common.errors import InvalidInput
from services.common.jobs import child
from services.train.settings import TrainSettings


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Judge one of the two files that the service wrote down by the other; write the page if one is wanted.

    Raises:
        InvalidInput: they cannot be compared.
    """
    import portrait

    true, generated = (_readable(task, field) for field in ("true_video", "generated_video"))
    try:
        comparison = portrait.evaluate(true, generated, syncnet=TrainSettings(**task.settings).syncnet)
    except portrait.NotComparable as error:
        message = f"These videos cannot be compared: {error}."
        raise InvalidInput(message, reason="NOT_COMPARABLE", field=f"{error.video}_video") from error
    if task.spec["page"]:
        Path(task.spec["page"]).write_text(portrait.page(comparison), encoding="utf-8")
    return comparison.as_dict()


def _readable(task: child.Task, field: str) -> Path:
    import portrait

    path = Path(task.spec[field])
    try:
        portrait.probe(path)
    except portrait.RecordingError as error:
        raise InvalidInput(str(error), reason="UNREADABLE_MEDIA", field=field) from error
    return path


if __name__ == "__main__":
    sys.exit(child.run("train", work))
