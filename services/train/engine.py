"""The contract of a training engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.common.engine import BaseEngine, Value


@dataclass(frozen=True)
class TrainingTask:
    """What to train from, where to work and where to leave the avatar."""

    recording: Path
    work_folder: Path  # kept when the process is killed: training goes on from what it finds there
    avatar_folder: Path  # does not exist yet; must hold `avatar.json` at the end
    parameters: dict[str, Value]
    device: str  # "cpu", "cuda:0"


@dataclass(frozen=True)
class Progress:
    """How far a training is; `progress` is the share of the whole, 0 to 1."""

    stage: str
    progress: float
    step: int = 0
    steps: int = 0
    loss: float | None = None
    eta_s: float | None = None
    preview: Path | None = None  # a new preview picture, JPEG


class TrainEngine(BaseEngine):
    """Makes avatars. `info` and `parameters` run in the service and load no model; `train` has a process of its own."""

    def load(self) -> None:
        """Nothing to load before a training."""

    @abstractmethod
    def train(self, task: TrainingTask, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Train an avatar, or go on training one that was interrupted.

        Returns:
            The report card as JSON: `metrics` and `baselines` at least.

        Raises:
            InvalidInput: the recording cannot become an avatar (`field` is "video"), in plain words.
        """
