"""Files of a model taken out of folders and archives."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from models import archives, catalogue
from models.errors import SourceFailed
from models.folder import Staging

_BLOCK = 2**20


def take(staging: Staging, source: catalogue.Source, paths: Iterable[Path]) -> None:
    """Take the missing files that lie where the source says in these folders and archives, and join their parts.

    Raises:
        SourceFailed: a file is not there, or is another than it should be.
        BadArchive: an archive is damaged or refused.
    """
    wanted = {place: file for file in staging.missing() for place in source.places(file)}
    try:
        for path in paths:
            for entry in archives.entries(path):
                if entry.name in wanted:
                    archives.copy(entry.stream, staging.part(entry.name), wanted[entry.name].size)
    except FileNotFoundError as error:
        raise SourceFailed("is not there") from error
    except PermissionError as error:
        raise SourceFailed("cannot be read by this user") from error
    for file in staging.missing():
        if not join(staging, source, file):
            raise SourceFailed(f"has no {file.path}, or another one")


def join(staging: Staging, source: catalogue.Source, file: catalogue.File) -> bool:
    """Make a file from its parts, if all have come and it is the right one then; tells whether."""
    first, *others = parts = [staging.part(place) for place in source.places(file)]
    if not all(part.is_file() for part in parts):
        return False
    with first.open("ab") as whole:
        for part in others:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole, _BLOCK)
            part.unlink()
    return staging.offer(first, file)
