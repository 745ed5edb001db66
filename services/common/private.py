"""Recordings, faces and work in progress are nobody else's on the machine."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import fsspec
import sqlalchemy as sa

from services.common.settings import ServiceSettings


def keep(settings: ServiceSettings) -> None:
    """What this process and its children make from now on, only its user can read; data from before becomes so too."""
    os.umask(0o077)
    for path in _data(settings):
        with contextlib.suppress(OSError):  # not there yet, another user's, or read-only
            mode = path.stat().st_mode
            if not mode & stat.S_ISVTX:  # set on folders that are shared, like /tmp
                path.chmod(stat.S_IMODE(mode) & 0o700)


def _data(settings: ServiceSettings) -> Iterator[Path]:
    yield settings.work_folder
    storage, root = fsspec.core.url_to_fs(settings.storage_url)
    if "file" in storage.protocol:
        yield Path(root)
    database = sa.make_url(settings.database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        yield Path(database.database)
