"""`python -m services.train.pull`: fetch one model. Started by the job runner; see services/common/jobs/child.py."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from models import catalogue
from models.folder import ModelFolder
from models.progress import Progress
from models.pull import pull
from models.settings import ModelSettings
from services.common.jobs import child
from services.train.models import told

MEGABYTE = 10**6


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Fetch the model into the folder of models; whatever came before, also from another process, is gone on with."""

    def tell(progress: Progress) -> None:
        share = progress.done_bytes / progress.total_bytes if progress.total_bytes else 0.0
        step, steps = progress.done_bytes // MEGABYTE, progress.total_bytes // MEGABYTE
        report({"stage": progress.stage, "progress": share, "eta_s": progress.eta_s, "step": step, "steps": steps})

    with told():
        model = catalogue.load()[task.spec["model"]]
        asyncio.run(pull(model, ModelFolder.here(), ModelSettings(), tell))
    return {"size_bytes": model.size}


if __name__ == "__main__":
    sys.exit(child.run("train", work))
