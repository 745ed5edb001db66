"""The models that are here. Each lies in a folder of its name, which appears when every file in it is the right one.

whisper-base/             a model: its files, and
whisper-base/.sums.json     the sum that each had when it was checked
.pulling/whisper-base/    what a pull has so far; the next one goes on from there
.pulling/whisper-base.lock  held by whoever changes the model
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from models import catalogue
from models.catalogue import File, Model
from models.errors import InUse, NotThere
from models.settings import ModelSettings

SUMS = ".sums.json"
PULLING = ".pulling"


class State(StrEnum):
    """Where a model stands."""

    MISSING = "missing"
    BEGUN = "begun"  # a pull that was broken off has a part of it
    WHOLE = "whole"
    DAMAGED = "damaged"  # or another version than the catalogue's


def sha256_of(path: Path) -> str:
    """The sum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_right(path: Path, file: File) -> bool:
    """Whether a file is there and has the size and the sum that it should have. Reads all of it."""
    return _has_size(path, file) and sha256_of(path) == file.sha256


def _has_size(path: Path, file: File) -> bool:
    return path.is_file() and path.stat().st_size == file.size


class ModelFolder:
    """The folder of models of this machine.

    Args:
        root: the folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def here(cls) -> ModelFolder:
        """The one that the settings name."""
        return cls(ModelSettings().folder)

    def path(self, model: Model) -> Path:
        """The folder of a model, whatever its state."""
        return self.root / model.name

    def get(self, model: Model) -> Path:
        """The folder of a model that is whole.

        Raises:
            NotThere: it is not; the message says how to get it.
        """
        state = self.state(model)
        if state is not State.WHOLE:
            told = "damaged" if state is State.DAMAGED else "not here"
            remedy = f"visavis models pull {model.name}"
            raise NotThere(f"The model {model.name} is {told}.", remedy=remedy, model=model.name)
        return self.path(model)

    # Looked at

    def state(self, model: Model) -> State:
        """How a model stands, by the sizes of its files and the sums they had when they were checked. Cheap."""
        if not self.path(model).is_dir():
            return State.BEGUN if self.begun_bytes(model) else State.MISSING
        is_whole = self._sums(model) == _sums_of(model) and all(
            _has_size(self.path(model) / f.path, f) for f in model.files
        )
        return State.WHOLE if is_whole else State.DAMAGED

    def begun_bytes(self, model: Model) -> int:
        """How much of a model an unfinished pull has."""
        return _bytes_below(self._pulling(model))

    def verify(self, model: Model) -> list[str]:
        """Read every file of a model; the paths of those that are missing or wrong, none if it is whole.

        What was found is kept: one that is wrong counts as damaged from now on, one that is right as whole.
        """
        wrong = [file.path for file in model.files if not is_right(self.path(model) / file.path, file)]
        if not wrong and self.state(model) is not State.WHOLE:
            self._write_sums(self.path(model), model)
        if wrong and self.path(model).is_dir():
            (self.path(model) / SUMS).unlink(missing_ok=True)
        return wrong

    def _sums(self, model: Model) -> dict[str, str]:
        try:
            told = json.loads((self.path(model) / SUMS).read_text())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    # Changed

    def remove(self, model: Model) -> int:
        """Delete a model, and what an unfinished pull has of it; how many bytes that frees.

        Raises:
            InUse: it is being pulled.
        """
        with self.changing(model):
            gone = self._pulling(model).with_suffix(".removed")
            shutil.rmtree(gone, ignore_errors=True)
            size = self.begun_bytes(model) + _bytes_below(self.path(model))
            if self.path(model).is_dir():
                self.path(model).rename(gone)  # at once: nobody sees a part of it
            shutil.rmtree(gone, ignore_errors=True)
            shutil.rmtree(self._pulling(model), ignore_errors=True)
            return size

    @contextlib.contextmanager
    def changing(self, model: Model) -> Iterator[Staging]:
        """Be the only one who changes a model; ends with the process, however that ends.

        Raises:
            InUse: somebody else is.
        """
        self._pulling(model).parent.mkdir(parents=True, exist_ok=True)
        with (self.root / PULLING / f"{model.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"The model {model.name} is being pulled right now. Wait for that, or cancel it."
                raise InUse(message, model=model.name) from None
            yield Staging(self, model, self._pulling(model))

    def _pulling(self, model: Model) -> Path:
        return self.root / PULLING / model.name

    def _write_sums(self, folder: Path, model: Model) -> None:
        _write_durably(folder / SUMS, json.dumps(_sums_of(model), indent=1).encode())


def find(name: str) -> Path:
    """The folder of a model of this machine, by its name in the catalogue.

    Raises:
        UnknownModel: there is none of that name.
        NotThere: it is not here, or damaged; the message says how to get it.
        CatalogueWrong: a catalogue cannot be read.
    """
    return ModelFolder.here().get(catalogue.load()[name])


class Staging:
    """Where a model is put together. What is in `files` was checked; `parts` are on their way.

    Made by `ModelFolder.changing`.
    """

    def __init__(self, folder: ModelFolder, model: Model, root: Path) -> None:
        self._folder, self.model, self.root = folder, model, root
        self._files, self.parts = root / "files", root / "parts"

    def open(self) -> None:
        """Begin or go on: take what is right already, here or in a damaged copy. Reads all of that."""
        self.parts.mkdir(parents=True, exist_ok=True)
        self._files.mkdir(exist_ok=True)
        for file in self.model.files:
            if (self._files / file.path).exists() and not is_right(self._files / file.path, file):
                (self._files / file.path).unlink()
            old = self._folder.path(self.model) / file.path
            if not (self._files / file.path).exists() and is_right(old, file):
                target = self._target(file)
                target.unlink(missing_ok=True)
                _copy_or_link(old, target)

    def missing(self) -> list[File]:
        """The files that are still to come."""
        return [file for file in self.model.files if not (self._files / file.path).is_file()]

    def part_bytes(self) -> int:
        """How much is on its way already."""
        return _bytes_below(self.parts)

    def part(self, name: str) -> Path:
        """Where something on its way is kept, by a name of any shape."""
        return self.parts / hashlib.sha256(name.encode()).hexdigest()[:16]

    def offer(self, path: Path, file: File) -> bool:
        """Take a file that has come, if it is the right one; tells whether. Reads all of it, and takes it away."""
        is_good = is_right(path, file)
        if is_good:
            path.replace(self._target(file))
        else:
            path.unlink(missing_ok=True)
        return is_good

    def commit(self) -> Path:
        """Let the model appear, now that nothing is missing; its folder."""
        for path in self._files.rglob("*"):
            _flush(path)
        self._folder._write_sums(self._files, self.model)
        target = self._folder.path(self.model)
        if target.exists():
            shutil.rmtree(self.root / "damaged", ignore_errors=True)
            target.rename(self.root / "damaged")
        self._files.rename(target)
        _flush(self._folder.root)
        self.clear()
        return target

    def clear(self) -> None:
        """Forget what was on its way."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _target(self, file: File) -> Path:
        target = self._files / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _sums_of(model: Model) -> dict[str, str]:
    return {file.path: file.sha256 for file in model.files}


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a pull goes on meanwhile
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _copy_or_link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _write_durably(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _flush(path: Path) -> None:
    """Have a file or a folder on the disk, so that not even a power cut leaves less than there seemed to be."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
