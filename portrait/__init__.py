"""A person's talking head, learned from a minute of video: train, load, synthesise, evaluate.

Knows nothing of services, jobs or networks; everything is files in, files or frames out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portrait.avatar import Avatar
    from portrait.comparison import Comparison, evaluate
    from portrait.errors import AvatarError, NotComparable, RecordingError
    from portrait.expression import Expression
    from portrait.parameters import STAGES, TrainingParameters
    from portrait.photo import PhotoReport, from_photo
    from portrait.progress import Progress
    from portrait.report_card import page
    from portrait.split import Split
    from portrait.still import is_photo
    from portrait.synthesis import Performance, Synthesizer
    from portrait.training import Report, train
    from portrait.video import FRAME_RATE, SAMPLE_RATE, Movie, Recording, probe

__all__ = [
    "FRAME_RATE", "SAMPLE_RATE", "STAGES", "Avatar", "AvatarError", "Comparison", "Expression", "Movie",
    "NotComparable", "Performance", "PhotoReport", "Progress", "Recording", "RecordingError", "Report", "Split",
    "Synthesizer", "TrainingParameters", "evaluate", "from_photo", "is_photo", "page", "probe", "train",
]  # fmt: skip

_HOMES = {
    "Avatar": "avatar", "AvatarError": "errors", "NotComparable": "errors", "RecordingError": "errors",
    "Comparison": "comparison", "evaluate": "comparison", "page": "report_card", "Expression": "expression",
    "STAGES": "parameters", "TrainingParameters": "parameters", "Performance": "synthesis", "Synthesizer": "synthesis",
    "Split": "split", "Progress": "progress", "Report": "training", "train": "training", "FRAME_RATE": "video",
    "SAMPLE_RATE": "video", "Movie": "video", "Recording": "video", "probe": "video",
    "PhotoReport": "photo", "from_photo": "photo", "is_photo": "still",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when first used: who only wants parameters or a tracker does not wait for torch, nor hold its memory.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"portrait.{_HOMES[name]}"), name)
