"""The first three stages: a recording becomes square frames, tracks, and aligned shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Arrays, Floats, Frame, Samples
from portrait.compute.workers import NO_WORKERS, Workers
from portrait.errors import RecordingError
from portrait.face.detail import Gallery, choose_gallery
from portrait.media import video
from portrait.media.video import FRAME_RATE, Movie
from portrait.mouth.shape import Shape, fit_shape, inner_gap, mouths_of, pose_base
from portrait.sound import audio
from portrait.sound.offset import CERTAIN, STEP_MS, estimate
from portrait.tracking.faces import STABLE, Tracker, fill
from portrait.tracking.framing import Survey, Take, survey
from portrait.tracking.geometry import MOUTH_POINTS, Canon, cut_out, make_canon, similarities, steady
from portrait.tracking.segments import cuts, glimpse, runs
from portrait.training.split import Split
from portrait.workspace import Workspace

FRAMES, TAKES, LANDMARKS, SOUND, SHAPES, SPEECH, CROPS, GALLERY = (
    "frames.mp4", "takes.safetensors", "landmarks.safetensors", "sound.npy", "shapes.safetensors", "speech.safetensors",
    "crops.npy", "gallery.safetensors",
)  # fmt: skip
LEAST_SEGMENT = FRAME_RATE
"""Frames between two cuts that are worth learning from."""
LEAST_TRAINING_S = 3.0
SYNC_MS = 40
"""Lag at which speech best predicts the mouth of a clip in synchrony: lips move before they are heard."""
VOICES = ("clean", "warp0.9", "warp1.1", "noisy")
"""Renderings of the sound that are learned from: as it is, as other voices, in a noisy room. Ears must stand all."""
PIECE, LEAD = 250, 25
"""Frames that are followed at once, and before them: by then where a face was first seen makes no difference."""
Step = Callable[[int, int], None]


def preprocess(recording: Path, work: Workspace, size: int, seconds: float, on_step: Step) -> dict[str, object]:
    """Cut squares around the face out of what serves, at 25 fps; write frames.mp4 and the sound at 16 kHz."""
    about = video.probe(recording)
    if not about.has_audio:
        raise RecordingError(
            "no-audio", "This recording has no sound; the avatar learns from picture and sound together."
        )
    length = min(about.duration_s, seconds)
    surveyed = survey(recording, length, lambda step, steps: on_step(step, 2 * steps))
    joins, last, done = [0], 0, 0
    with Movie(work.path(FRAMES), size=(size, size), crf=12, seekable=True) as movie:
        for number, picture in _shown(recording, surveyed, size):
            movie.push(fit(picture, size))
            joins += [done] if number != last else []
            last, done = number, done + 1
            on_step(surveyed.frames + done, 2 * surveyed.frames)
    _save_sound(work, recording, surveyed.takes)
    work.save(TAKES, {"starts": np.array(joins, np.int64)})
    return {
        "frames": done,
        "takes": [[take.start_s, take.end_s, take.x, take.y, take.side] for take in surveyed.takes],
        "copies": surveyed.cadence.period if surveyed.cadence else 0,
        "source": [about.width, about.height],
        "fps": about.fps,
    }


def _shown(recording: Path, surveyed: Survey, size: int) -> Iterator[tuple[int, Frame]]:
    """(Number of the take, its square) for every frame of the takes."""
    scale = min(1.0, size / min(take.side for take in surveyed.takes))
    wanted = {tick: number for number, take in enumerate(surveyed.takes) for tick in take.ticks}
    end_s = (max(wanted) + 1) / FRAME_RATE
    for second, picture in video.frames(recording, end_s=end_s, scale=scale, cadence=surveyed.cadence):
        number = wanted.get(round(second * FRAME_RATE))
        if number is not None:
            yield number, surveyed.takes[number].cut(picture, scale)


def _save_sound(work: Workspace, recording: Path, takes: tuple[Take, ...]) -> None:
    """Write what is heard during the takes, one after the other; silence where nothing is heard."""
    part = work.path(f"{SOUND}.part")
    count = sum(len(take.ticks) for take in takes) * video.SAMPLES_PER_FRAME
    sound = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(count,))
    spans = [(take.ticks.start * video.SAMPLES_PER_FRAME, take.ticks.stop * video.SAMPLES_PER_FRAME) for take in takes]
    at = 0
    for block in video.audio_blocks(recording):
        to = 0
        for start, end in spans:
            first, last = max(start, at), min(end, at + len(block))
            if last > first:
                sound[to + first - start : to + last - start] = block[first - at : last - at]
            to += end - start
        at += len(block)
        if at >= spans[-1][1]:
            break
    sound.flush()
    del sound
    part.replace(work.path(SOUND))


def fit(picture: Frame, size: int) -> Frame:
    """A square picture scaled to `size`."""
    if picture.shape[0] == size:
        return np.ascontiguousarray(picture)
    smaller = picture.shape[0] > size
    return np.asarray(
        cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC), np.uint8
    )


def track(work: Workspace, frames: int, on_step: Step, workers: Workers = NO_WORKERS) -> dict[str, object]:
    """Follow the face mesh through every frame, in pieces."""
    seen: list[Floats | None] = []
    glimpses: list[Frame] = []
    starts = range(0, frames, PIECE)
    stops = [min(start + PIECE, frames) for start in starts]
    for points, small in workers.map(_track, [work.path(FRAMES)] * len(starts), starts, stops):
        seen += points
        glimpses += small
        on_step(len(seen), frames)
    found = fill(seen)
    share = float(found.found.mean())
    if share < 0.5:
        raise RecordingError("no-face", f"A face was seen in only {share:.0%} of the frames.")
    work.save(
        LANDMARKS, {"points": found.points, "found": found.found.astype(np.uint8), "glimpses": np.stack(glimpses)}
    )
    return {"frames": len(seen), "found": share}


def _track(movie: Path, start: int, stop: int) -> tuple[list[Floats | None], list[Frame]]:
    """The mesh in some frames, where there is one, and a glimpse of each."""
    points, small = [], []
    with Tracker() as tracker:
        for index, picture in enumerate(video.stretch(movie, max(0, start - LEAD), stop), max(0, start - LEAD)):
            found = _whole(tracker.landmarks(picture), picture)
            if index >= start:
                points.append(found)
                small.append(glimpse(picture))
    return points, small


def _whole(points: Floats | None, picture: Frame) -> Floats | None:
    """A mesh whose mouth and chin are in the picture, or nothing: beyond the edge it is only guessed."""
    if points is None:
        return None
    mouth = points[list(MOUTH_POINTS), :2]
    return points if (mouth >= 0).all() and (mouth < picture.shape[1::-1]).all() else None


def align(work: Workspace, split: Split, on_step: Step, workers: Workers = NO_WORKERS) -> dict[str, object]:
    """Find the canonical crop, the mouth's shape model and the sound's offset, all on the training part only."""
    landmarks = work.load(LANDMARKS)
    points, found = landmarks["points"], landmarks["found"].astype(bool)
    segments = cuts(points, found, landmarks["glimpses"], work.load(TAKES)["starts"])
    allowed, held_out = split.training(len(points)), split.held_out(len(points))
    training = _enough(allowed & _usable(found, segments))
    canon, matrices = _canon(points, segments, training)
    mouths, base = mouths_of(points, matrices, canon), pose_base(points, matrices, canon, segments, training)
    shape = fit_shape(mouths[training], base[training])
    coefficients = shape.project(mouths, base).astype(np.float32)
    offset, shift = _listen(work, coefficients, training, workers, on_step)
    rest = _rest(coefficients[training], inner_gap(mouths[training]))
    work.save(SHAPES, {
        "template": canon.template, "iod": np.array([canon.iod], np.float32), "mask": canon.mask,
        "mean": shape.mean, "components": shape.components, "deviation": shape.deviation, "rest": rest,
        "matrices": matrices, "mouths": mouths, "base": base, "coefficients": coefficients,
        "shown": steady(coefficients, segments),
        "training": training.astype(np.uint8), "held_out": np.array([held_out.start, held_out.stop], np.int64),
        "segments": np.array(segments, np.int64),
    })  # fmt: skip
    crops = cut_crops(work, canon, matrices, workers)
    gallery = choose_gallery(crops, mouths, np.flatnonzero(training), canon)
    work.save(GALLERY, {"crops": gallery.crops, "mouths": gallery.mouths})
    return {"offset_ms": offset, "shift": shift, "segments": len(segments), "iod": canon.iod, "side": canon.side}


def _canon(points: Floats, segments: list[tuple[int, int]], allowed: NDArray[np.bool_]) -> tuple[Canon, Floats]:
    before = np.concatenate([[0], np.cumsum(allowed)]).tolist()
    parts = [(a + int(first), a + int(last)) for a, b in segments for first, last in runs(allowed[a:b])]
    canon, _ = make_canon(points[allowed], [(before[a], before[b]) for a, b in parts])
    return canon, similarities(steady(points[:, list(STABLE), :2], segments), canon.template)


def _usable(found: NDArray[np.bool_], segments: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """Frames with a face, not right at a cut, where smoothing saw only one side, nor in a scrap between two cuts."""
    usable = found.copy()
    for start, end in segments:
        usable[max(0, start - 1) : start + (1 if end - start >= LEAST_SEGMENT else end - start)] = False
    usable[0] = found[0] and segments[0][1] >= LEAST_SEGMENT
    return usable


def _enough(training: NDArray[np.bool_]) -> NDArray[np.bool_]:
    seconds = training.sum() / FRAME_RATE
    if seconds < LEAST_TRAINING_S:
        raise RecordingError(
            "too-many-cuts",
            f"Only {seconds:.1f} seconds of this recording are pieces of a second or longer without a cut, with a face "
            "in view. Record one piece without cuts.",
            {"seconds": f"{seconds:.1f}"},
        )
    return training


def _rest(coefficients: Floats, gaps: Floats) -> Floats:
    """The mean of the most closed tenth of the training mouths."""
    return np.asarray(coefficients[gaps <= np.quantile(gaps, 0.1)].mean(axis=0), np.float32)


def _listen(
    work: Workspace, coefficients: Floats, usable: NDArray[np.bool_], workers: Workers, on_step: Step
) -> tuple[int, int]:
    """Save features of the clean and the altered sound; returns the offset in ms, and as feature frames to shift by."""
    features: Arrays = {}
    for name, heard in zip(VOICES, workers.map(_hear, [work.path(SOUND)] * len(VOICES), VOICES), strict=True):
        features[name] = heard
        on_step(len(features), len(VOICES))
    work.save(SPEECH, features)
    last = int(np.flatnonzero(usable)[-1]) + 1  # what comes after it is held out, its sound too
    lag, scores = estimate(features["clean"][: 4 * last], coefficients[:last, :4], usable[:last])
    offset = lag - SYNC_MS if scores.max() > CERTAIN else 0
    return offset, round(offset / STEP_MS)


def _hear(path: Path, name: str) -> Floats:
    sound, warp = altered(path, name)
    return audio.features(sound, warp=warp)


def altered(path: Path, name: str) -> tuple[Samples, float]:
    """The sound in one of the VOICES, and how it is to be warped (vocal tract length)."""
    sound: Samples = np.load(path, allow_pickle=False)
    if name == "noisy":
        level = float(np.sqrt((sound**2).mean())) + 1e-6
        white = np.random.default_rng(0).normal(0, 1, len(sound)).astype(np.float32)
        sound = sound + white * level * 10 ** (-18 / 20)
    return sound, float(name.removeprefix("warp")) if name.startswith("warp") else 1.0


def cut_crops(work: Workspace, canon: Canon, matrices: Floats, workers: Workers) -> NDArray[np.uint8]:
    """Write every frame's canonical crop to a memory-mapped file; returns them."""
    part = work.path(f"{CROPS}.part")
    shape = (len(matrices), canon.side, canon.side, 3)
    np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape).flush()
    starts = range(0, len(matrices), PIECE)
    moved = [matrices[start : start + PIECE] for start in starts]
    for _ in workers.map(_cut, [work.path(FRAMES)] * len(starts), [part] * len(starts), starts, moved):
        pass
    part.replace(work.path(CROPS))
    return load_crops(work)


def _cut(movie: Path, target: Path, start: int, matrices: Floats) -> None:
    crops = np.lib.format.open_memmap(target, mode="r+")
    pictures = video.stretch(movie, start, start + len(matrices))
    for index, (picture, matrix) in enumerate(zip(pictures, matrices, strict=True), start):
        crops[index] = cut_out(picture, matrix, crops.shape[1])
    crops.flush()


def load_crops(work: Workspace) -> NDArray[np.uint8]:
    """(T, side, side, 3) canonical crops, memory-mapped."""
    crops: NDArray[np.uint8] = np.load(work.path(CROPS), mmap_mode="r", allow_pickle=False)
    return crops


def load_gallery(work: Workspace) -> Gallery:
    """The real mouths that `align` chose."""
    arrays = work.load(GALLERY)
    return Gallery(arrays["crops"], arrays["mouths"])


def load_shapes(work: Workspace) -> tuple[Canon, Shape, Arrays]:
    """What `align` found: the canonical crop, the shape model, and per-frame arrays."""
    arrays = work.load(SHAPES)
    canon = Canon(arrays["template"], float(arrays["iod"][0]), int(arrays["mask"].shape[0]), arrays["mask"])
    return canon, Shape(arrays["mean"], arrays["components"], arrays["deviation"]), arrays
