"""What of OpenVoice lies where, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shutil import which

from services.common.engine import Lack, folder_unnamed

PYTHON, SOURCE, CHECKPOINTS = (f"TTS_OPENVOICE_{name}" for name in ("PYTHON", "SOURCE", "CHECKPOINTS"))
CHECKPOINT_FILE = "checkpoint.pth"


@dataclass(frozen=True)
class Files:
    """A Python with OpenVoice's packages, its checkout, and the folder of a converter."""

    python: str
    source: str
    checkpoints: str

    @property
    def config(self) -> Path:
        return self._converter / "config.json"

    @property
    def checkpoint(self) -> Path:
        return self._converter / CHECKPOINT_FILE

    @property
    def _converter(self) -> Path:
        """The folder that was named, or the converter's in it."""
        folder = Path(self.checkpoints)
        return folder / "converter" if (folder / "converter").is_dir() else folder

    def lack(self) -> Lack | None:
        """What is missing. Cheap: only names are read."""
        if not self.checkpoints:
            return folder_unnamed(CHECKPOINTS, "OpenVoice's checkpoints (`checkpoints_v2`)")
        if not self.source or not (Path(self.source) / "openvoice" / "api.py").is_file():
            return _missing("a checkout of OpenVoice", SOURCE)
        if not self.python or not which(self.python):
            return _missing("a Python with OpenVoice's packages", PYTHON)
        for path in (self.config, self.checkpoint):
            if not path.is_file():
                values = {"kind": "OpenVoice", "file": path.name, "setting": CHECKPOINTS}
                remedy = f"Set {CHECKPOINTS} to the whole folder `checkpoints_v2`."
                return Lack("MODEL_FILE_MISSING", f"It is OpenVoice, but {path.name} is missing.", remedy, values)
        return None


def _missing(program: str, setting: str) -> Lack:
    reason, remedy = f"It finds no {program.removeprefix('a ')}.", f"Set {setting} to {program}."
    return Lack("PROGRAM_MISSING", reason, remedy, {"program": program.removeprefix("a "), "setting": setting})
