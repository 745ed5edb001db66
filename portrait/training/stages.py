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
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file as load_weights

from portrait import workspace
from portrait.arrays import Arrays, Floats
from portrait.avatar.idle import film_idle, write_picture
from portrait.avatar.stored import BASE, EAR, MOTION, Avatar, Ear
from portrait.compute.device import choose
from portrait.compute.workers import Workers, most_workers, wake
from portrait.face.dataset import FaceData
from portrait.face.network import FaceNet
from portrait.face.trained_face import TrainedFace
from portrait.footage import choosing as footage
from portrait.footage.jumps import Looks
from portrait.footage.walk import Footage
from portrait.measuring.report_card import page
from portrait.media.video import CRF, FRAME_RATE, FrameReader, Movie
from portrait.mouth.hearing import State
from portrait.mouth.motion import Motion, Speech, train_motion
from portrait.parameters import STAGES, TrainingParameters
from portrait.progress import SHARE, Progress, Teller
from portrait.sound.encoder import fingerprint
from portrait.tracking.geometry import Canon
from portrait.training import listening, preparing
from portrait.training.calibration import measure_overdraw
from portrait.training.evaluation import HeldOut
from portrait.training.imaging import Budget, FaceTrainer, Moment
from portrait.training.preparing import FRAMES, SOUND, SPEECH, load_crops, load_gallery, load_shapes
from portrait.training.split import Split
from portrait.workspace import Workspace

CHECKPOINT, FACE_WEIGHTS, REPORT_CARD = "face-checkpoint.safetensors", "face.safetensors", "report.html"
PREVIEW_EVERY_S = 15.0
LEAST_EAR_S = 30.0
"""Footage from which on an encoder's tokens help: less of it teaches their many directions the wrong thing."""
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
    encoder: Path | None = None,
) -> Report:
    """Train an avatar from a recording into the folder `out`; called again with the same workdir, it continues.

    `split` says which part of the recording is kept aside for the report. With the folder of an `encoder` (a Whisper
    model for CTranslate2) and enough footage the avatar learns a second motion model, which hears by it too.

    Raises:
        RecordingError: the recording cannot be read, shows too little of one face, or is too short.
    """
    return _Run(video, Workspace(workdir), out, parameters, split, on_progress, encoder).finish()


def listen(
    video: Path,
    workdir: Path,
    parameters: TrainingParameters,
    *,
    split: Split = Split(),  # noqa: B008 - frozen
    encoder: Path | None = None,
) -> HeldOut:
    """Only the stages up to the mouth's motion, in a fraction of the time: what sound tells without any picture drawn.

    Uses what `train` left in the same workdir, and the other way round.

    Raises:
        RecordingError: as `train`.
    """
    out = workdir / "avatar"
    return _Run(video, Workspace(workdir), out, parameters, split, lambda progress: None, encoder).listen()


def prepare(video: Path, workdir: Path, parameters: TrainingParameters) -> tuple[Workspace, int]:
    """Only the stages before anything is learned; returns the workspace and the sound's offset in ms.

    Raises:
        RecordingError: as `train`.
    """
    run = _Run(video, Workspace(workdir), workdir / "avatar", parameters, Split(), lambda progress: None)
    return run.prepare()


class _Run:
    def __init__(
        self, recording: Path, work: Workspace, out: Path, parameters: TrainingParameters, split: Split,
        on_progress: Callable[[Progress], None], encoder: Path | None = None,
    ) -> None:  # fmt: skip
        self._recording, self._work, self._out = recording, work, out
        self._parameters, self._split, self._encoder = parameters, split, encoder
        self._teller = Teller(on_progress, parameters.face_seconds)
        self._keys = _keys(recording, parameters, split, fingerprint(encoder) if encoder else "")
        self._notes: dict[str, dict[str, Any]] = {}
        self._last_preview = 0.0
        self._preview_before: Path | None = None  # kept one more round: somebody may just be reading it
        self._tail: HeldOut | None = None
        device = choose(parameters.device)
        self._workers = Workers(most_workers(device), "portrait.training.preloaded", partial(wake, device))

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
        training = load_shapes(self._work)[2]["training"].astype(bool)
        encoder = self._encoder if training.sum() >= LEAST_EAR_S * FRAME_RATE else None
        parts = 2 if encoder else 1
        self._work.save(
            MOTION, self._learn_motion(lambda net, nets, loss: self._teller.step(net, parts * nets, loss)).state
        )
        if encoder is None:
            return {}
        shift = self._notes["align"]["shift"]
        learned, heard = listening.listen(self._work.path(SOUND), encoder, shift, training, self._workers)
        self._work.save(listening.HEARD, {name: each.astype(np.float16) for name, each in heard.items()})
        ear = self._learn_motion(lambda net, nets, loss: self._teller.step(nets + net, 2 * nets, loss), learned, heard)
        self._work.save(EAR, ear.state)
        return {"ear": {"name": encoder.name, "encoder": fingerprint(encoder)}}

    def _learn_motion(
        self, on_step: Callable[[int, int, float], None], learned: State | None = None,
        heard: Mapping[str, Floats] = MappingProxyType({}),
    ) -> Motion:  # fmt: skip
        """The motion model that hears today's features, and the directions learned from an encoder if there are any."""
        _, shape, arrays = load_shapes(self._work)
        training = arrays["training"].astype(bool)
        count = int(np.flatnonzero(training)[-1]) + 1  # what comes after it is held out, its sound too
        shift = self._notes["align"]["shift"]
        features = self._work.load(SPEECH)
        speeches = [
            Speech(features[name], shift, heard.get(name)) for name in ("clean", *sorted({*features} - {"clean"}))
        ]
        return train_motion(speeches, arrays["coefficients"][:count], training[:count], shape.aperture,
                            seed=self._parameters.seed, steps=self._parameters.motion_steps,
                            workers=self._workers, on_step=on_step, directions=learned)  # fmt: skip

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
            self._tail = self._heard_by(EAR if self._ear_card else MOTION)
        return self._tail

    @property
    def _ear_card(self) -> dict[str, Any] | None:
        """What the card says of the encoder that the avatar has learned with, if it has."""
        return self._notes["motion"].get("ear")

    def _heard_by(self, model: str) -> HeldOut:
        encoder = self._encoder if model == EAR else None
        return HeldOut(self._work, Motion(self._work.load(model)), self._notes["align"]["shift"], encoder)

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
        told = self._ear_card
        ear = Ear(Motion(self._work.load(EAR)), told["encoder"]) if told else None
        avatar = Avatar(folder, self._parameters.size, canon, shape, Motion(self._work.load(MOTION)),
                        self._trained(), arrays["rest"], arrays["matrices"][kept], arrays["base"][kept],
                        arrays["shown"][kept], base, ear, self._card(base))  # fmt: skip
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
            **({"ear": self._ear_card | {"without": self._heard_by(MOTION).heard()}} if self._ear_card else {}),
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


def _keys(recording: Path, parameters: TrainingParameters, split: Split, encoder: str) -> dict[str, str]:
    """What each stage's result depends on; the device changes nothing."""
    prepared = workspace.key(RECIPE, workspace.digest(recording), parameters.size, parameters.seconds)
    aligned = workspace.key(prepared, split)
    motion = workspace.key(aligned, parameters.seed, parameters.motion_steps, *([encoder] if encoder else []))
    face = workspace.key(motion, parameters.face_steps, parameters.face_seconds, parameters.width)
    package = workspace.key(face, parameters.loop_seconds)
    return {
        "preprocess": prepared, "track": prepared, "align": aligned, "motion": motion, "face": face, "evaluate": face,
        "package": package,
    }  # fmt: skip
