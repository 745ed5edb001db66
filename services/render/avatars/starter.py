"""Avatars that come with Visavis, put into storage once: one that the user deletes stays deleted."""

from __future__ import annotations

import logging
from pathlib import Path

from services.common.avatars import MANIFEST, Avatars
from services.common.errors import StorageFull
from services.common.storage import Storage

logger = logging.getLogger(__name__)

MARKERS = "starters"


def install(storage: Storage, source: Path) -> list[str]:
    """Copy each avatar folder below `source` that was never installed here; returns their names."""
    avatars, installed = Avatars(storage), []
    for folder in sorted(path.parent for path in source.glob(f"*/{MANIFEST}")):
        name = folder.name
        if storage.exists(f"{MARKERS}/{name}"):
            continue
        try:
            if not avatars.is_taken(name):
                avatars.keep(name, folder)
                installed.append(name)
            storage.write(f"{MARKERS}/{name}", b"")
        except (OSError, StorageFull):
            logger.exception("no room for a starter avatar")  # next time; the service is useful without it
    return installed
