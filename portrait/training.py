"""From a recording to an avatar, in named stages that continue where a killed run stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file as load_weights

from portrait import footage, preparing, workspace
from portrait.avatar import BASE, MOTION, Avatar
from portrait.calibration import measure_overdraw
from portrait.dataset import FaceData
from portrait.device import choose
from portrait.evaluation import HeldOut
from portrait.geometry import Canon
from portrait.idle import film_idle, write_picture
from portrait.imaging import Budget, FaceTrainer, Moment
from portrait.jumps import Looks
from portrait.motion import Motion, Speech, train_motion
from portrait.network import FaceNet
from portrait.parameters import STAGES, TrainingParameters
from portrait.preparing import FRAMES, SPEECH, load_crops, load_gallery, load_shapes
from portrait.progress import SHARE, Progress, Teller
from portrait.report_card import page
from portrait.split import Split
from portrait.trained_face import TrainedFace
from portrait.video import CRF, FRAME_RATE, FrameReader, Movie
from portrait.walk import Footage
from portrait.workers import Workers, most_workers, wake
from portrait.workspace import Arrays, Workspace

CHECKPOINT, FACE_WEIGHTS, REPORT_CARD = "face-checkpoint.safetensors", "face.safetensors", "report.html"
PREVIEW_EVERY_S = 15.0
RECIPE = 3
"""Raised whenever a stage leaves something else than it used to: old work folders then begin anew."""
BASE_BITS = 0.28
"""Most bits for a pixel of the base footage: 14 MB for a minute at 512 px, however busy the picture."""


@dataclass(frozen=True)
class Report:
    """What came out: held-out metrics beside baselines, the clip's offset, and the seconds each stage took."""

    avatar: Path
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    offset_ms: int
    frames: int
    seconds: dict[str, float] = field(default_factory=dict)


def train(
    video: Path,
    workdir: Path,
    out: Path,
    parameters: TrainingParameters,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    *,
    split: Split = Split(),  # noqa: B008 - frozen
) -> Report:
    """Train an avatar from a recording into the folder `out`; called again with the same workdir, it continues.

    `split` says which part of the recording is kept aside for the report. Raises RecordingError, in plain words, for a
    recording that cannot become an avatar.
    """
    return _Run(video, Workspace(workdir), out, parameters, split, on_progress).finish()


def listen(
    video: Path,
    workdir: Path,
    parameters: TrainingParameters,
    *,
    split: Split = Split(),  # noqa: B008 - frozen
) -> HeldOut:
    """Only the stages up to the mouth's motion, in a fraction of the time: what sound tells without any picture drawn.

    Uses what `train` left in the same workdir, and the other way round. Raises RecordingError.
    """
    return _Run(video, Workspace(workdir), workdir / "avatar", parameters, split, lambda progress: None).listen()


def prepare(video: Path, workdir: Path, parameters: TrainingParameters) -> tuple[Workspace, int]:
    """Only the stages before anything is learned; returns the workspace and the sound's offset in ms."""
    run = _Run(video, Workspace(workdir), workdir / "avatar", parameters, Split(), lambda progress: None)
    return run.prepare()


class _Run:
    def __init__(
        self, recording: Path, work: Workspace, out: Path, parameters: TrainingParameters, split: Split,
        on_progress: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self._recording, self._work, self._out = recording, work, out
        self._parameters, self._split = parameters, split
        self._teller = Teller(on_progress, parameters.face_seconds)
        self._keys = _keys(recording, parameters, split)
        self._notes: dict[str, dict[str, Any]] = {}
        self._last_preview = 0.0
        self._preview_before: Path | None = None  # kept one more round: somebody may just be reading it
        self._tail: HeldOut | None = None
        device = choose(parameters.device)
        self._workers = Workers(most_workers(device), "portrait.preloaded", partial(wake, device))

    def finish(self) -> Report:
        """Run every stage that is not done yet."""
        with self._workers:
            self._run(STAGES)
        return self._report()

    def listen(self) -> HeldOut:
        """Run the stages that need no image network."""
        with self._workers:
            self._run(STAGES[: STAGES.index("face")])
        return self._held_out()

    def prepare(self) -> tuple[Workspace, int]:
        """Run the stages that learn nothing."""
        with self._workers:
            self._run(STAGES[: STAGES.index("motion")])
        return self._work, self._notes["align"]["offset_ms"]

    def _run(self, stages: tuple[str, ...]) -> None:
        for stage in stages:
            self._teller.stage = stage
            note = self._work.note(stage, self._keys[stage])
            if note is None or (stage == "package" and not self._out.exists()):
                began = time.monotonic()
                self._teller.step(0, 1)
                made: Mapping[str, object] = getattr(self, f"_{stage}")()
                note = {**made, "seconds": round(time.monotonic() - began, 2)}
                self._work.finish(stage, self._keys[stage], note)
            self._notes[stage] = note
            self._teller.step(1, 1)

    def _preprocess(self) -> Mapping[str, object]:
        size, seconds = self._parameters.size, self._parameters.seconds
        return preparing.preprocess(self._recording, self._work, size, seconds, self._teller.step)

    def _track(self) -> Mapping[str, object]:
        return preparing.track(self._work, self._notes["preprocess"]["frames"], self._teller.step, self._workers)

    def _align(self) -> Mapping[str, object]:
        return preparing.align(self._work, self._split, self._teller.step, self._workers)

    def _motion(self) -> Mapping[str, object]:
        _, shape, arrays = load_shapes(self._work)
        training = arrays["training"].astype(bool)
        count = int(np.flatnonzero(training)[-1]) + 1  # what comes after it is held out, its sound too
        features = self._work.load(SPEECH)
        shift = self._notes["align"]["shift"]
        clean = Speech(features.pop("clean"), shift)
        speeches = [clean, *(Speech(each, shift) for _, each in sorted(features.items()))]
        motion = train_motion(speeches, arrays["coefficients"][:count], training[:count], shape.aperture,
                              seed=self._parameters.seed, steps=self._parameters.motion_steps,
                              workers=self._workers, on_step=self._teller.step)  # fmt: skip
        self._work.save(MOTION, motion.state)
        return {}

    def _face(self) -> Mapping[str, object]:
        canon, shape, arrays = load_shapes(self._work)
        spread = (shape.components * shape.deviation[:, None]).reshape(len(shape.components), -1, 2)
        usable = np.flatnonzero(arrays["training"])
        budget = Budget(self._parameters.face_steps, self._parameters.face_seconds, self._parameters.least_face_steps)
        trainer = FaceTrainer(FaceData(canon, load_crops(self._work), arrays["mouths"], spread, usable), budget,
                              seed=self._parameters.seed, device=choose(self._parameters.device),
                              key=self._keys["face"], width=self._parameters.width, workers=self._workers)  # fmt: skip
        trainer.run(self._work.path(CHECKPOINT), lambda moment: self._on_moment(moment, trainer))
        self._work.save(FACE_WEIGHTS, {k: v.cpu().numpy() for k, v in trainer.net.state_dict().items()})
        renderer = TrainedFace(trainer.net, load_gallery(self._work)).renderer(canon, self._parameters.device)
        return {"steps": trainer.step, "overdraw": measure_overdraw(self._work, renderer)}

    def _on_moment(self, moment: Moment, trainer: FaceTrainer) -> None:
        preview, now = None, time.monotonic()
        if now - self._last_preview > PREVIEW_EVERY_S or moment.fraction >= 1:
            preview = self._preview(trainer.net, moment.step)
            self._last_preview = time.monotonic()
        left = moment.seconds * (1 - moment.fraction) / max(moment.fraction, 1e-3)
        rest = (moment.seconds + left) * (SHARE["evaluate"] + SHARE["package"]) / SHARE["face"]
        steps = max(moment.step, round(moment.step / max(moment.fraction, 1e-3)))
        self._teller.step(moment.step, steps, moment.loss, preview, left + rest)

    def _preview(self, net: FaceNet, step: int) -> Path:
        sheet = self._drawn_by(TrainedFace(net, load_gallery(self._work))).sheet()
        path = self._work.path(f"preview-{step:06d}.jpg")
        write_picture(path, sheet, width=1024)
        for other in self._work.folder.glob("preview-*.jpg"):
            if other not in (path, self._preview_before):
                other.unlink(missing_ok=True)
        self._preview_before = path
        return path

    def _held_out(self) -> HeldOut:
        if self._tail is None:
            self._tail = HeldOut(self._work, Motion(self._work.load(MOTION)), self._notes["align"]["shift"])
        return self._tail

    def _drawn_by(self, face: TrainedFace) -> HeldOut:
        return self._held_out().drawn_by(face, self._parameters.device)

    def _trained(self) -> TrainedFace:
        net = FaceNet.of(load_weights(self._work.path(FACE_WEIGHTS)))
        return TrainedFace(net, load_gallery(self._work), self._notes["face"]["overdraw"])

    def _evaluate(self) -> Mapping[str, object]:
        held_out = self._drawn_by(self._trained())
        metrics, baselines = held_out.judge(self._workers, self._teller.step)
        write_picture(self._work.path("held-out.jpg"), held_out.sheet(), width=2048)
        self._work.write_text(REPORT_CARD, page(held_out.comparison(baselines)))
        return {"metrics": metrics, "baselines": baselines}

    def _package(self) -> Mapping[str, object]:
        canon, shape, arrays = load_shapes(self._work)
        kept, base = self._footage(canon, arrays)
        folder = self._work.path("avatar")
        shutil.rmtree(folder, ignore_errors=True)
        avatar = Avatar(folder, self._parameters.size, canon, shape, Motion(self._work.load(MOTION)),
                        self._trained(), arrays["rest"], arrays["matrices"][kept], arrays["base"][kept],
                        arrays["shown"][kept], base, self._card(base))  # fmt: skip
        avatar.save()
        self._base(folder / BASE, kept)
        film_idle(avatar, self._teller.step, self._parameters.device)
        self._out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._out, ignore_errors=True)
        shutil.move(folder, self._out)
        return {"base": len(kept)}

    def _footage(self, canon: Canon, arrays: Arrays) -> tuple[NDArray[np.intp], Footage]:
        seen = self._work.load(preparing.LANDMARKS)
        segments = [(int(a), int(b)) for a, b in arrays["segments"]]
        most = round(self._parameters.loop_seconds * FRAME_RATE)
        parts = footage.stretches(segments, seen["found"].astype(bool), most)
        looks = Looks.of(seen["points"], seen["glimpses"], arrays["matrices"], canon, parts, self._parameters.size)
        return footage.choose(looks, parts)

    def _base(self, path: Path, kept: NDArray[np.intp]) -> None:
        size = self._parameters.size
        rate = round(BASE_BITS * size * size * FRAME_RATE)
        with (
            contextlib.closing(FrameReader(self._work.path(FRAMES))) as reader,
            Movie(path, size=(size, size), crf=15, seekable=True, most_bits=rate) as movie,
        ):
            for index in kept:
                movie.push(reader[int(index)])

    def _card(self, base: Footage) -> dict[str, Any]:
        return {
            "frames": len(base.activity),
            "idle_frames": base.idle_length,
            "jumps": len(base.jumps),
            "metrics": self._notes["evaluate"]["metrics"],
            "metrics_are": f"self-driven, held-out {self._split}, from H.264-decoded output (crf {CRF})",
            "baselines": self._notes["evaluate"]["baselines"],
            "offset_ms": self._notes["align"]["offset_ms"],
            "training": {
                "parameters": dataclasses.asdict(self._parameters),
                "frames": self._notes["track"]["frames"],
                "seconds": {stage: note["seconds"] for stage, note in self._notes.items()},
            },
        }

    def _report(self) -> Report:
        notes = self._notes
        return Report(
            self._out, notes["evaluate"]["metrics"], notes["evaluate"]["baselines"], notes["align"]["offset_ms"],
            notes["track"]["frames"], {stage: note["seconds"] for stage, note in notes.items()},
        )  # fmt: skip


def _keys(recording: Path, parameters: TrainingParameters, split: Split) -> dict[str, str]:
    """What each stage's result depends on; the device changes nothing."""
    prepared = workspace.key(RECIPE, workspace.digest(recording), parameters.size, parameters.seconds)
    aligned = workspace.key(prepared, split)
    motion = workspace.key(aligned, parameters.seed, parameters.motion_steps)
    face = workspace.key(motion, parameters.face_steps, parameters.face_seconds, parameters.width)
    package = workspace.key(face, parameters.loop_seconds)
    return {
        "preprocess": prepared, "track": prepared, "align": aligned, "motion": motion, "face": face, "evaluate": face,
        "package": package,
    }  # fmt: skip
