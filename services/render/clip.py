"""`python -m services.render.clip`: have a batch engine make one clip, in a process that can be ended at any time."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.common.jobs import child
from services.render.avatars.cast import open_cast
from services.render.engine import ClipTask
from services.render.heads import make_clip
from services.render.settings import RenderSettings


def work(task: child.Task, report: child.Report) -> dict[str, Any]:
    """Make the clip that the service wrote down."""
    spec = task.spec
    name, folder, engine = open_cast(RenderSettings(**task.settings)).batch(spec["avatar"])
    closures = tuple((start_s, end_s) for start_s, end_s in spec["closures"])
    clip = ClipTask(
        folder, Path(spec["speech"]), Path(spec["out"]), task.work_folder, spec["parameters"], task.device, closures
    )
    make_clip(engine, name, clip, lambda progress: report(asdict(progress)))
    return {}


if __name__ == "__main__":
    sys.exit(child.run("render", work))
