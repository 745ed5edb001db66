"""What a report card says, in English and in Chinese; the words lie beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Words = tuple[str, str]
"""English, Chinese."""


@dataclass(frozen=True)
class Figure:
    """How a figure is shown: its name, in which direction better lies, and what it means in one sentence."""

    better: Literal["up", "down", "one", "zero"]
    digits: int
    label: Words
    meaning: Words


def _figures(told: dict[str, dict[str, Any]]) -> dict[str, Figure]:
    return {name: Figure(**(each | {"label": tuple(each["label"]), "meaning": tuple(each["meaning"])}))
            for name, each in told.items()}  # fmt: skip


_TOLD = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
FIGURES, LIP_SYNC = _figures(_TOLD["figures"]), _figures(_TOLD["lip_sync"])
"""By the name of the metric, in the order of the report."""
WORDS: dict[str, Words] = {key: (english, chinese) for key, (english, chinese) in _TOLD["words"].items()}
