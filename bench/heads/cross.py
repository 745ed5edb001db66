"""An avatar driven by other people's recordings, judged by their mouths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait import Avatar, Movie, Synthesizer, TrainingParameters
from portrait.arrays import Floats, Samples
from portrait.measuring.comparison import follow
from portrait.measuring.metrics import aperture, correlation, lag_curve
from portrait.media.video import FRAME_RATE, SAMPLE_RATE
from portrait.tracking.faces import Track
from portrait.training.evaluation import HeldOut
from portrait.training.preparing import LANDMARKS, SOUND
from portrait.training.stages import prepare

COLUMNS = {
    "seconds": ".0f", "offset_ms": ".0f", "shape_correlation": ".3f", "shape_best": ".3f", "shape_lag_ms": ".0f",
    "rendered_correlation": ".3f", "rendered_best": ".3f", "rendered_lag_ms": ".0f",
}  # fmt: skip


@dataclass(frozen=True)
class Speaker:
    """Somebody else: their sound, how far their mouth is open in each frame, and their offset."""

    name: str
    sound: Samples
    openings: Floats
    offset_ms: int


def speaker(clip: Path, scratch: Path, size: int = 512) -> Speaker:
    """Track somebody's recording and estimate its own audio/video offset; RecordingError under five seconds."""
    work, offset_ms = prepare(clip, scratch / clip.stem, TrainingParameters(size=size))
    sound = np.load(work.path(SOUND), allow_pickle=False)
    return Speaker(clip.stem, sound, aperture(work.load(LANDMARKS)["points"]), offset_ms)


def heard(who: Speaker, held_out: HeldOut) -> dict[str, float]:
    """Correlation of their mouth's opening with the one that the avatar's ear makes of their sound."""
    told = held_out.openings(who.sound, round(who.offset_ms / 10))
    return _agreement(who, told, "shape")


def rendered(who: Speaker, avatar: Avatar, target: Path, encoder: Path | None = None) -> dict[str, float]:
    """The same through the whole avatar: drawn on its own footage, coded, decoded and tracked again."""
    track = perform(avatar, shifted(who.sound, who.offset_ms), target, encoder=encoder)
    count = min(len(track), len(who.openings))
    return _agreement(who, aperture(track.points[:count]), "rendered")


def _agreement(who: Speaker, told: Floats, level: str) -> dict[str, float]:
    true = who.openings[: len(told)]
    lags, scores = lag_curve(true, told)
    # The best lag is picked on the very clip that is judged, so it flatters; it shows what a wrong offset would cost.
    found = {
        "correlation": correlation(true, told),
        "best": float(scores.max()),
        "lag_ms": float(lags[scores.argmax()]),
    }
    told_of = {"seconds": len(who.openings) / FRAME_RATE, "offset_ms": float(who.offset_ms)}
    return told_of | {f"{level}_{name}": value for name, value in found.items()}


def shifted(sound: Samples, offset_ms: int) -> Samples:
    """The sound moved so that it is in step with its picture; as long as before."""
    late = round(offset_ms * SAMPLE_RATE / 1000)
    moved = np.roll(sound, -late)
    if late > 0:
        moved[-late:] = 0
    elif late < 0:
        moved[:-late] = 0
    return moved


def perform(
    avatar: Avatar, sound: Samples, target: Path, closures: Iterable[tuple[float, float]] = (),
    encoder: Path | None = None,
) -> Track:  # fmt: skip
    """Film an avatar speaking, told when its lips are shut, and follow its face in what comes out of the decoder."""
    performance = Synthesizer(avatar, encoder=encoder).stream()
    for span in closures:
        performance.shut(*span)
    with Movie(target, size=(avatar.size, avatar.size)) as movie:
        for first in range(0, len(sound), SAMPLE_RATE):
            for frame in performance.push(sound[first : first + SAMPLE_RATE]):
                movie.push(frame)
        for frame in performance.flush():
            movie.push(frame)
    return follow(target)
