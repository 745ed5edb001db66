"""Forgetting what is kept too long, in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)
SWEEP_S = 30.0


def sweep_forever(*sweeps: Callable[[], object]) -> None:
    """Run these now and then, in a thread that does not keep the process alive."""

    def run() -> None:
        while True:
            time.sleep(SWEEP_S)
            for sweep in sweeps:
                _try(sweep)

    threading.Thread(target=run, daemon=True).start()


def _try(sweep: Callable[[], object]) -> None:
    try:
        sweep()
    except Exception:  # noqa: BLE001 - sweeping must go on whatever broke now
        logger.exception("sweeping stumbled")


def delete_older_than(folder: Path, hours: float) -> None:
    """Delete the files of a folder, if there is one, that are older than so many hours."""
    for path in folder.glob("*"):
        try:
            is_old = path.stat().st_mtime < time.time() - hours * 3600
        except FileNotFoundError:
            continue  # another request was quicker
        if is_old:
            path.unlink(missing_ok=True)
