"""One thing that the doctor has seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    NOTE = "note"  # an extra that is not there
    WARNING = "warning"  # works, but not well
    MISSING = "missing"  # needed


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and the command that mends it."""

    level: Level
    subject: str
    text: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)
