"""Recordings, faces and work in progress are nobody else's on the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import sqlalchemy as sa

from basics import private
from services.common.settings import ServiceSettings


def keep(settings: ServiceSettings) -> None:
    """What this process and its children make from now on, only its user can read; data from before becomes so too."""
    private.from_now_on()
    for path in _data(settings):
        with contextlib.suppress(OSError):  # not there yet, another user's, or read-only
            private.close(path)


def _data(settings: ServiceSettings) -> Iterator[Path]:
    yield settings.work_folder
    storage, root = fsspec.core.url_to_fs(settings.storage_url)
    if "file" in storage.protocol:
        yield Path(root)
    database = sa.make_url(settings.database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        yield Path(database.database)
