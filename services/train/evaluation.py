"""`python -m services.train.evaluation`: compare a generated video with the true one, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from services.common.hosting import Engines
from services.common.jobs import child
from services.train import engines
from services.train.engine import TrainEngine
from services.train.settings import TrainSettings


def work(task: child.Task, _report: child.Report) -> dict[str, Any]:
    """Have the engine that the service chose judge one of the two files that it wrote down by the other."""
    hosted: Engines[TrainEngine] = Engines(engines, "train", TrainSettings(**task.settings))
    true, generated, page = (task.spec[name] for name in ("true_video", "generated_video", "page"))
    return hosted.keep(task.spec["engine"]).evaluate(Path(true), Path(generated), Path(page) if page else None)


if __name__ == "__main__":
    sys.exit(child.run("train", work))
