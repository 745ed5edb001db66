"""A person's talking head, learned from a minute of video: train, load, synthesise, evaluate.

Knows nothing of services, jobs or networks; everything is files in, files or frames out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portrait.avatar.stored import Avatar
    from portrait.avatar.synthesis import Performance, Synthesizer
    from portrait.errors import AvatarError, EncoderError, NotComparable, RecordingError
    from portrait.measuring.comparison import Comparison, evaluate
    from portrait.measuring.report_card import page
    from portrait.media.still import is_photo
    from portrait.media.video import FRAME_RATE, SAMPLE_RATE, Movie, Recording, probe
    from portrait.mouth.expression import Expression
    from portrait.parameters import STAGES, TrainingParameters
    from portrait.progress import Progress
    from portrait.sound.encoder import Encoder
    from portrait.tracking.checking import check_photo, check_video
    from portrait.training.photo import PhotoReport, from_photo
    from portrait.training.split import Split
    from portrait.training.stages import Report, train

__all__ = [
    "FRAME_RATE", "SAMPLE_RATE", "STAGES", "Avatar", "AvatarError", "Comparison", "Encoder", "EncoderError",
    "Expression", "Movie", "NotComparable", "Performance", "PhotoReport", "Progress", "Recording", "RecordingError",
    "Report", "Split", "Synthesizer", "TrainingParameters", "check_photo", "check_video", "evaluate", "from_photo",
    "is_photo", "page", "probe", "train",
]  # fmt: skip

_HOMES = {
    "Avatar": "avatar.stored", "AvatarError": "errors", "NotComparable": "errors", "RecordingError": "errors",
    "Encoder": "sound.encoder", "EncoderError": "errors",
    "Comparison": "measuring.comparison", "evaluate": "measuring.comparison", "page": "measuring.report_card",
    "Expression": "mouth.expression", "STAGES": "parameters", "TrainingParameters": "parameters",
    "Performance": "avatar.synthesis", "Synthesizer": "avatar.synthesis", "Split": "training.split",
    "Progress": "progress", "Report": "training.stages", "train": "training.stages",
    "FRAME_RATE": "media.video", "SAMPLE_RATE": "media.video", "Movie": "media.video", "Recording": "media.video",
    "probe": "media.video", "PhotoReport": "training.photo", "from_photo": "training.photo", "is_photo": "media.still",
    "check_photo": "tracking.checking", "check_video": "tracking.checking",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when first used: who only wants parameters or a tracker does not wait for torch, nor hold its memory.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"portrait.{_HOMES[name]}"), name)
