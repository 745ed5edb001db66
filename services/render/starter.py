"""Avatars that come with Visavis, put into storage once: one that the user deletes stays deleted."""

from __future__ import annotations

import logging
from pathlib import Path

from services.common.storage import Storage
from services.render.avatars import FOLDER, MANIFEST

logger = logging.getLogger(__name__)

MARKERS = "starters"


def install(storage: Storage, source: Path) -> list[str]:
    """Copy each avatar folder below `source` that was never installed here; returns their names."""
    installed = []
    for folder in sorted(path.parent for path in source.glob(f"*/{MANIFEST}")):
        name = folder.name
        if storage.exists(f"{MARKERS}/{name}"):
            continue
        try:
            if not storage.exists(f"{FOLDER}/{name}/{MANIFEST}"):
                storage.put_folder(folder, f"{FOLDER}/{name}", MANIFEST)
                installed.append(name)
            storage.write(f"{MARKERS}/{name}", b"")
        except OSError:
            logger.exception("no room for a starter avatar")  # next time; the service is useful without it
    return installed
