"""What of a program lies where, what is missing, and what is said when it does not start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from services.common.engine import Lack
from services.common.errors import Unavailable

_PACKAGES = {
    "faiss": "faiss-cpu",
    "ffmpeg": "ffmpeg-python",
    "parselmouth": "praat-parselmouth",
    "dotenv": "python-dotenv",
}
"""What brings a module, where that has another name."""


@dataclass(frozen=True)
class Program:
    """A program whose packages a Python has, run from its checkout.

    Attributes:
        name: as people write it.
        prefix: of its settings' variables.
        script: the name of the file beside this that asks it.
        marks: files of its checkout, of which any shows that it is one.
        whole: what of its model's files can be unreadable: their names, the setting and the remedy, by the word for it.
    """

    name: str
    prefix: str
    script: str
    marks: tuple[str, ...]
    python: str
    source: str
    whole: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)

    def lack(self) -> Lack | None:
        """What is missing of it. Cheap: only names are read."""
        if not self.source or not any((Path(self.source) / mark).is_file() for mark in self.marks):
            return self._missing(f"a checkout of {self.name}", "SOURCE")
        if not self.python or not which(self.python):
            return self._missing(f"a Python with {self.name}'s packages", "PYTHON")
        return None

    def file_missing(self, file: str, setting: str, remedy: str) -> Lack:
        """That a file of its model is not there."""
        values = {"kind": self.name, "file": file, "setting": setting}
        return Lack("MODEL_FILE_MISSING", f"It is {self.name}, but {file} is missing.", remedy, values)

    def refused(self, error: str, what: str) -> Unavailable:
        """Why it could not be loaded, by the word that its process tells."""
        python = f"{self.prefix}PYTHON"
        if error == "package":
            remedy = f'"${python}" -m pip install {_PACKAGES.get(what, what)}'
            message = f"The Python of {python} lacks the package '{what}'. Run: {remedy}"
            return Unavailable(message, reason="PACKAGE_MISSING", values={"package": what, "remedy": remedy})
        if error in self.whole:
            file, setting, remedy = self.whole[error]
            message = f"{file} of its model cannot be read ({what}). {remedy}"
            return Unavailable(message, reason="MODEL_FILE_UNREADABLE", values={"file": file, "setting": setting})
        return self.failed(f"no device {what}" if error == "device" else what)

    def failed(self, what: str) -> Unavailable:
        """It does not start."""
        python = f"{self.prefix}PYTHON"
        message = (
            f"{self.name} does not start ({what}). Run its own demo with the Python of {python}, and mend what it says."
        )
        values = {"program": self.name, "what": what, "setting": python}
        return Unavailable(message, reason="PROGRAM_FAILED", values=values)

    def _missing(self, program: str, setting: str) -> Lack:
        bare, variable = program.removeprefix("a "), f"{self.prefix}{setting}"
        values = {"program": bare, "setting": variable}
        return Lack("PROGRAM_MISSING", f"It finds no {bare}.", f"Set {variable} to {program}.", values)
