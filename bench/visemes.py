"""Fit the viseme table of photo avatars, and measure it on people it has not seen.

python -m bench.visemes fit GRID.mp4 … --out portrait/mouth/visemes.safetensors
python -m bench.visemes measure CLIP.mp4 … [--photo FACE.jpg]

With a photo, its avatar also speaks each clip's sound, and its lips are tracked in the decoded video.

Fit only on recordings whose derivatives may be given away: the table that ships is of GRID (CC BY 4.0).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from portrait import Avatar, Synthesizer, from_photo
from portrait.arrays import Arrays, Floats
from portrait.measuring.metrics import aperture, correlation
from portrait.media import video
from portrait.media.video import Movie
from portrait.mouth.motion import window
from portrait.mouth.shape import Shape, mouths_of, pose_base
from portrait.mouth.visemes import LEAD, REACH, Table, Visemes, smoothed, table
from portrait.sound import audio
from portrait.sound.audio import PHONES, POSTERIOR, SILENCE
from portrait.tracking.faces import Tracker, fill
from portrait.tracking.framing import survey
from portrait.tracking.geometry import make_canon
from portrait.tracking.segments import cuts, glimpse

COMPONENTS = 6
RIDGE = 0.3
"""Added to each phone's weight, in mean weights: what 51 words hardly ever say stays near the phonetician's guess."""
SILENT = 0.95
"""Of a silent frame's weight that is taken off: commands are nearly half silence, speech is not."""
MOST = 1500
"""Frames of one person that count; more say little about people."""
NOISES = [PHONES.index("+NSN+"), PHONES.index("+SPN+")]
OPENING = {
    "AA": 1, "AE": 0.9, "AH": 0.55, "AO": 0.7, "AW": 0.9, "AY": 0.95, "B": -1, "CH": 0, "D": 0.1, "DH": 0, "EH": 0.6,
    "ER": 0.15, "EY": 0.5, "F": -0.6, "G": 0.2, "HH": 0.35, "IH": 0.3, "IY": 0.15, "JH": 0, "K": 0.2, "L": 0.2,
    "M": -1, "N": 0.1, "NG": 0.2, "OW": 0.3, "OY": 0.35, "P": -1, "R": -0.1, "S": 0, "SH": -0.05, "SIL": -0.8,
    "T": 0.05, "TH": 0.1, "UH": 0, "UW": -0.35, "V": -0.6, "W": -0.5, "Y": 0.1, "Z": 0, "ZH": -0.05,
}  # fmt: skip
"""How open the mouth is, from phonetics: the guess that recordings correct."""
GUESS = np.array([OPENING.get(phone, 0.0) for phone in PHONES], np.float32)
LAGS = range(-24, 25)
ROUNDS = 3


@dataclass(frozen=True)
class Clip:
    """One person speaking: features (100 Hz), mouths without pose and without their mean (T, 114), true aperture."""

    name: str
    features: Floats
    mouths: Floats
    opening: Floats
    usable: NDArray[np.bool_]


def watch(path: Path, cache: Path | None) -> Arrays:
    """Landmarks, glimpses and features of a recording, kept in `cache`."""
    kept = cache / f"{path.stem}.safetensors" if cache else None
    if kept and kept.exists():
        return load_file(kept)
    length = min(20.0, video.probe(path).duration_s)
    take = survey(path, length, lambda step, steps: None, least_s=1.0).takes[0]
    seen, glimpses = [], []
    with Tracker() as tracker:
        for _, picture in video.frames(path):
            square = np.ascontiguousarray(take.cut(picture, 1.0))
            seen.append(tracker.landmarks(square))
            glimpses.append(glimpse(square))
    track = fill(seen)
    arrays: Arrays = {"points": track.points, "found": track.found.astype(np.uint8), "glimpses": np.stack(glimpses),
              "features": audio.features(video.audio(path))}  # fmt: skip
    if kept:
        save_file(arrays, kept)
    return arrays


def clip(path: Path, cache: Path | None) -> Clip:
    """A recording, its head's pose taken out."""
    seen = watch(path, cache)
    points, found = seen["points"], seen["found"].astype(bool)
    segments = cuts(points, found, seen["glimpses"])
    canon, matrices = make_canon(points, segments)
    base = pose_base(points, matrices, canon, segments, np.ones(len(points), bool))
    mouths = (mouths_of(points, matrices, canon) - base).reshape(len(points), -1)
    return Clip(path.stem, seen["features"], mouths - mouths[found].mean(axis=0), aperture(points), found)


def heard(each: Clip, lag: int) -> Floats:
    """Posteriors (T, 42) that belong to each frame, smoothed, when the sound comes `lag` features late."""
    rows = smoothed(np.pad(each.features[:, POSTERIOR], ((REACH, REACH), (0, 0)), mode="edge"))
    rows[:, NOISES] = 0
    return rows[np.clip(4 * np.arange(len(each.mouths)) + 2 + LEAD + lag, 0, len(rows) - 1)]


def best_lag(each: Clip, weights: Floats) -> int:
    """The lag at which posteriors say best what the lips do."""
    scores = [_agreement(heard(each, lag) @ weights, each.mouths, each.usable) for lag in LAGS]
    return LAGS[int(np.argmax(scores))]


def _agreement(made: Floats, true: Floats, usable: NDArray[np.bool_]) -> float:
    a, b = made[usable] - made[usable].mean(axis=0), true[usable] - true[usable].mean(axis=0)
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def fit(clips: list[Clip]) -> Table:
    """Ridge regression of all speakers' mouths on posteriors, alternating with each clip's offset."""
    lags = [0] * len(clips)
    for _ in range(ROUNDS):
        weights = _regress(clips, lags)
        lags = [best_lag(each, weights) for each in clips]
    weights = _regress(clips, lags)
    left, spread, directions = np.linalg.svd(weights, full_matrices=False)
    used = np.concatenate([heard(each, lag) @ weights for each, lag in zip(clips, lags, strict=True)])
    components = directions[:COMPONENTS].astype(np.float32)
    deviation = (used @ components.T).std(axis=0).astype(np.float32)
    rows = (left[:, :COMPONENTS] * spread[:COMPONENTS]) / deviation
    return Table(rows.astype(np.float32), Shape(np.zeros(components.shape[1], np.float32), components, deviation))


def _regress(clips: list[Clip], lags: list[int]) -> Floats:
    """(42, 114): every speaker's movements, scaled to the same size, on their posteriors."""
    gram, moment, sizes = np.zeros((42, 42)), np.zeros((42, clips[0].mouths.shape[1])), []
    for each, lag in zip(clips, lags, strict=True):
        rows, mouths = heard(each, lag)[each.usable], each.mouths[each.usable]
        weight = 1 - SILENT * rows[:, SILENCE]
        rows = rows - np.average(rows, axis=0, weights=weight).astype(np.float32)
        mouths = mouths - np.average(mouths, axis=0, weights=weight).astype(np.float32)
        size = float(np.sqrt(np.square(mouths).mean()))
        weight *= np.sqrt(min(len(rows), MOST)) / weight.sum()
        gram += (rows * weight[:, None]).T @ rows
        moment += (rows * weight[:, None]).T @ mouths / size
        sizes.append(size)
    guess = np.outer(GUESS, GUESS @ moment / (GUESS @ gram @ GUESS))
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return (np.mean(sizes) * (guess + np.linalg.solve(gram + ridge, moment - gram @ guess))).astype(np.float32)


def measure(each: Clip, made: Table) -> dict[str, float]:
    """How well the clip's own sound opens a photo's mouth as the speaker's opened."""
    best, result = -1.0, {}
    for lag in LAGS:
        coefficients = Visemes.of(made).coefficients(window(each.features, 0, len(each.mouths), lag))
        gap = coefficients @ made.shape.aperture
        score = correlation(each.opening[each.usable], gap[each.usable])
        if score > best:
            best = score
            result = {"correlation": score, "lag_ms": 10.0 * lag,
                      "spread": float(gap.std() / each.opening[each.usable].std())}  # fmt: skip
    return result


def filmed(avatar: Avatar, path: Path, each: Clip, lag_ms: float, folder: Path) -> dict[str, float]:
    """The avatar speaks the clip's sound, `lag_ms` of its beginning left out: how its tracked lips follow, and time."""
    sound = video.audio(path)
    skipped = round(lag_ms * video.SAMPLE_RATE / 1000)
    sound = sound[skipped:] if skipped > 0 else np.pad(sound, (-skipped, 0))
    synthesizer, movie = Synthesizer(avatar), folder / "spoken.mp4"
    performance = synthesizer.stream()
    began = time.process_time()
    with Movie(movie, size=(avatar.size, avatar.size)) as file:
        for frame in itertools.chain(performance.push(sound), performance.flush()):
            file.push(frame)
    seconds = time.process_time() - began
    with Tracker() as tracker:
        made = aperture(tracker.track(frame for _, frame in video.frames(movie)).points)
    count = min(len(made), len(each.opening))
    usable = each.usable[:count]
    true = each.opening[:count][usable]
    return {"drawn": correlation(true, made[:count][usable]), "drawn_spread": float(made[:count].std() / true.std()),
            "ms_a_frame": 1000 * seconds / max(1, len(made))}  # fmt: skip


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="where the fitted table goes")
    parser.add_argument("--photo", type=Path, help="draw what is measured, too, with an avatar from this photo")
    parser.add_argument("--size", type=int, default=512, help="of its video")
    parser.add_argument("--cache", type=Path, help="keep landmarks and features here")
    options = parser.parse_args()
    clips = [clip(path, options.cache) for path in options.clips]
    if options.what == "fit":
        made = fit(clips)
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in options.clips)).hexdigest()
        shape = made.shape
        save_file({"rows": made.rows, "components": shape.components, "deviation": shape.deviation}, options.out,
                  {"source": "GRID audio-visual corpus (Cooke et al. 2006), CC BY 4.0", "sha256": digest})  # fmt: skip
        for phone, gap in sorted(zip(PHONES, made.rows @ shape.aperture, strict=True), key=lambda pair: pair[1]):
            sys.stdout.write(f"{phone} {gap:+.4f}\n")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.photo:
            from_photo(options.photo, folder / "avatar", size=options.size)
        for path, each in zip(options.clips, clips, strict=True):
            found = measure(each, table())
            if options.photo:
                found |= filmed(Avatar.load(folder / "avatar"), path, each, found["lag_ms"], folder)
            values = "".join(f" | {name} {value:.3f}" for name, value in found.items())
            sys.stdout.write(f"{each.name}{values}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
