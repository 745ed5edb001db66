"""A generated video judged by a true one: what can be compared is, what cannot is refused in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.signal import correlate

from portrait.arrays import Frame, Samples
from portrait.errors import NotComparable
from portrait.measuring import metrics
from portrait.measuring.metrics import LIPS, Flicker, Measurement, aperture, box_around, detail, jitter
from portrait.measuring.showing import Showing, showing
from portrait.media import video
from portrait.media.video import FRAME_RATE, SAMPLE_RATE, Recording
from portrait.tracking.faces import STABLE, Track, Tracker, interocular
from portrait.workspace import digest

LEAST_FRAMES = 15
FACE_SHARE, CROWD_SHARE = 0.9, 0.2
"""Least share of frames with a face, and the share of looked-at frames with two from which a video shows two people."""
LOOK_EVERY = 12
RATE_RATIO = 1.25
"""Frame rates farther apart than 24 and 30 are not compared."""
SAME_SOUND = 0.5
"""Least peak of the normalised cross-correlation of two sound tracks that are one; coding costs a few hundredths."""
SOUND_REACH_S, SOUND_S = 0.5, 60
SILENT = 1e-4
SAME_PLACE = 0.15
"""Most distance, in inter-ocular distances, between the upper faces of two videos that show the same head."""

Against = Literal["same-frames", "speaker", "footage"]
"""What the true video is: the same moments; whoever said it; or other footage of the person, who says other things."""


@dataclass(frozen=True)
class Comparison:
    """A generated video beside a true one. Figures that mean nothing for this pair are absent, not zero."""

    against: Against
    frames: int
    measured: Measurement
    lip_sync: dict[str, float | str]
    """LSE-C and LSE-D of both videos, or why they were not measured."""
    warnings: tuple[str, ...] = ()
    showing: Showing = field(default_factory=Showing, repr=False)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Whether the sound is that of the true video's own frames, or somebody else's."""
        return "self-driven" if self.against == "same-frames" else "cross-driven"

    @property
    def has_truth(self) -> bool:
        """Whether the true video tells how the mouth ought to move."""
        return self.against != "footage"

    def as_dict(self) -> dict[str, object]:
        """The comparison as JSON, without pictures and what belongs to single frames."""
        lags = {name: self.measured.series[name] for name in ("lag_ms", "lag_correlation") if self.has_truth}
        return {
            "kind": self.kind, "against": self.against, "frames": self.frames, "metrics": self.measured.metrics,
            "lag_curve": lags, "lip_sync": self.lip_sync, "warnings": list(self.warnings),
        }  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """One of the two videos: what it says about itself, its face in every frame, and its sound."""

    path: Path
    about: Recording
    track: Track
    sound: Samples

    def pictures(self) -> Iterator[Frame]:
        """Its frames, 25 a second."""
        return pictures(self.path)


def evaluate(true: Path, generated: Path, *, syncnet: Path | None = None) -> Comparison:
    """Judge a generated video by a true one, both decoded at 25 fps; `syncnet` is the published checkpoint, if any.

    Raises:
        NotComparable: they differ in size, length or rate, one is too short or has no sound, or shows not one face.
        RecordingError: one cannot be read as a video.
    """
    _check_rates(video.probe(true), video.probe(generated))
    one, other = _watch(true, "true"), _watch(generated, "generated")
    warnings = _warnings(one, other)
    if not _same_sound(one.sound, other.sound):
        return _beside_footage(one, other, warnings, syncnet)
    count = _common_length(one.track, other.track)
    if _same_head(one, other, count):
        return _frame_by_frame(one, other, count, warnings, syncnet)
    return _by_the_speaker(one, other, count, warnings, syncnet)


def pictures(path: Path, start: int = 0) -> Iterator[Frame]:
    """A video's frames from the given one on, 25 a second."""
    return (picture for _, picture in video.frames(path, start_s=start / FRAME_RATE))


def follow(path: Path) -> Track:
    """The face in every frame of a video."""
    with Tracker() as tracker:
        return tracker.track(pictures(path))


def _check_rates(true: Recording, made: Recording) -> None:
    if not 1 / RATE_RATIO <= true.fps / made.fps <= RATE_RATIO:
        rates = f"{true.fps:.3g} and {made.fps:.3g}"
        raise NotComparable("frame-rate", "generated", f"the videos differ in frame rate: {rates} frames per second")


def _watch(path: Path, name: str) -> Watched:
    about = video.probe(path)
    sound = video.audio(path) if about.has_audio else np.zeros(0, np.float32)
    if len(sound) == 0 or np.sqrt(np.mean(sound**2)) < SILENT:
        message = f"the {name} video has no sound; sound tells whether both say the same"
        raise NotComparable("no-sound", name, message)
    with Tracker() as tracker:
        crowd: list[bool] = []
        track = tracker.track(_looking(pictures(path), tracker, crowd))
    if len(track) < LEAST_FRAMES:
        raise NotComparable("too-short", name, f"the {name} video is shorter than {LEAST_FRAMES} frames")
    if np.mean(crowd) > CROWD_SHARE:
        message = f"two faces are seen in {np.mean(crowd):.0%} of the {name} video; only one may be"
        raise NotComparable("two-faces", name, message)
    if track.found.mean() < FACE_SHARE:
        message = f"a face is seen in only {track.found.mean():.0%} of the {name} video"
        raise NotComparable("no-face", name, message)
    return Watched(path, about, track, sound)


def _looking(seen: Iterator[Frame], tracker: Tracker, crowd: list[bool]) -> Iterator[Frame]:
    """Count faces in some of the frames that pass by."""
    for index, picture in enumerate(seen):
        if index % LOOK_EVERY == 0:
            crowd.append(len(tracker.faces(picture)) > 1)
        yield picture


def _warnings(true: Watched, made: Watched) -> tuple[str, ...]:
    found = []
    if digest(true.path) == digest(made.path):
        found.append("same-file")
    if abs(true.about.fps - made.about.fps) > 0.1:
        found.append("frame-rates-differ")
    if min(len(true.track), len(made.track)) < 5 * FRAME_RATE:
        found.append("short")
    return tuple(found)


def _same_sound(true: Samples, made: Samples) -> bool:
    count = min(len(true), len(made), SOUND_S * SAMPLE_RATE)
    a, b = true[:count] - true[:count].mean(), made[:count] - made[:count].mean()
    agreement = np.abs(correlate(a, b, mode="full", method="fft"))
    reach = min(count - 1, round(SOUND_REACH_S * SAMPLE_RATE))
    peak = agreement[count - 1 - reach : count + reach].max()
    return bool(peak > SAME_SOUND * np.sqrt((a**2).sum() * (b**2).sum()))


def _common_length(true: Track, made: Track) -> int:
    if abs(len(true) - len(made)) > 2:
        message = f"the videos differ in length: {len(true)} and {len(made)} frames at 25 fps"
        raise NotComparable("length", "generated", message)
    return min(len(true), len(made))


def _same_head(true: Watched, made: Watched, count: int) -> bool:
    """Whether eyes and nose are in the same place throughout; if only the size differs, that is to be mended."""
    sizes = [np.array([each.about.width, each.about.height]) for each in (true, made)]
    a, b = (each.track.points[:count, list(STABLE), :2] / size for each, size in zip((true, made), sizes, strict=True))
    apart = np.linalg.norm((a - b) * sizes[0], axis=-1).mean(axis=1) / interocular(true.track.points[:count])
    same = bool(np.median(apart) < SAME_PLACE)
    if same and tuple(sizes[0]) != tuple(sizes[1]):
        both = " and ".join(f"{width}x{height}" for width, height in sizes)
        raise NotComparable("size", "generated", f"the videos differ in size: {both}; scale one to the other's")
    return same


def _frame_by_frame(
    true: Watched, made: Watched, count: int, warnings: tuple[str, ...], syncnet: Path | None
) -> Comparison:
    points = true.track.points[:count], made.track.points[:count]
    measured = metrics.measure(islice(zip(true.pictures(), made.pictures(), strict=False), count), *points)
    shown = showing(true.pictures(), made.pictures(), *points, np.array(measured.series["lmd_iod"]))
    return Comparison("same-frames", count, measured, _lip_sync(true, made, syncnet), warnings, shown)


def _by_the_speaker(
    true: Watched, made: Watched, count: int, warnings: tuple[str, ...], syncnet: Path | None
) -> Comparison:
    points = true.track.points[:count], made.track.points[:count]
    measured = Measurement(metrics.compare_motion(*points), metrics.motion_series(*points))
    apart = np.abs(aperture(points[0]) - aperture(points[1]))
    shown = showing(true.pictures(), made.pictures(), *points, apart)
    return Comparison("speaker", count, measured, _lip_sync(true, made, syncnet), warnings, shown)


def _beside_footage(true: Watched, made: Watched, warnings: tuple[str, ...], syncnet: Path | None) -> Comparison:
    """Only what does not depend on what is said: each video is measured by itself."""
    looks = [_looks(each) for each in (true, made)]
    figures = {name: looks[1][name] / max(looks[0][name], 1e-9) for name in looks[0]}
    count = min(len(true.track), len(made.track))
    points = true.track.points[:count], made.track.points[:count]
    series = {"aperture_made": aperture(made.track.points).tolist()}
    shown = showing(true.pictures(), made.pictures(), *points, np.arange(count))
    lip_sync = _lip_sync(true, made, syncnet)
    return Comparison("footage", len(made.track), Measurement(figures, series), lip_sync, warnings, shown)


def _looks(one: Watched) -> dict[str, float]:
    points, sharp, flicker = one.track.points, [], Flicker(one.track.points)
    for index, picture in enumerate(one.pictures()):
        margin = metrics.MOUTH_MARGIN * float(interocular(points[index]))
        sharp.append(detail(picture[box_around(points[index, list(LIPS), :2], margin, picture.shape[:2])]))
        flicker.add(picture)
    return {"sharpness": float(np.mean(sharp)), "aperture_std_ratio": float(aperture(points).std()),
            "jitter": jitter(points), "flicker": float(np.median(flicker.changes)) + metrics.STILL}  # fmt: skip


def _lip_sync(true: Watched, made: Watched, checkpoint: Path | None) -> dict[str, float | str]:
    from portrait.measuring import syncnet  # torch is slow to load, and rarely needed here

    if checkpoint is None:
        return {"not_measured": "no-checkpoint"}
    if not syncnet.is_published(checkpoint):
        return {"not_measured": "unknown-checkpoint"}
    net = syncnet.load(checkpoint)
    result: dict[str, float | str] = {"checkpoint": syncnet.CHECKSUM, "face_box": "mesh"}
    for name, each in (("true", true), ("generated", made)):
        found = syncnet.judge(net, syncnet.face_crops(each.pictures(), each.track.points), each.sound)
        result |= {f"lse_c_{name}": found.confidence, f"lse_d_{name}": found.distance,
                   f"offset_frames_{name}": found.offset_frames}  # fmt: skip
    return result
