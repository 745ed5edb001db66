"""How close an avatar in training comes to the person, on the part of the clip that it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats, Frame, Samples
from portrait.avatar.synthesis import BATCH
from portrait.compute.workers import Workers
from portrait.face.renderer import Face, Renderer
from portrait.measuring.comparison import Comparison, follow, pictures
from portrait.measuring.metrics import Measurement, aperture, correlation, measure
from portrait.measuring.showing import showing
from portrait.media.video import SAMPLES_PER_FRAME, Movie, stretch
from portrait.mouth.motion import Motion, Speech
from portrait.mouth.shape import inner_gap
from portrait.sound.audio import features
from portrait.sound.encoder import BLOCK, Encoder
from portrait.tracking.faces import Track
from portrait.tracking.geometry import Canon, paste
from portrait.training.listening import HEARD, hear
from portrait.training.preparing import FRAMES, LANDMARKS, SPEECH, load_crops, load_shapes
from portrait.workspace import Workspace

HELD_OUT_MOVIE = "held-out.mp4"
FILMS = ("spoken", "rolled", "closed_mouth", "looped_mouth", "mean_crop", "true_shapes")
Metrics = dict[str, float]


@dataclass(frozen=True)
class _Watched:
    """A film of the held-out part, measured and followed."""

    measured: Measurement
    track: Track


class HeldOut:
    """The held-out part of a clip, drawn by an avatar in training from its sound alone, and the baselines beside it.

    Can be pickled: what draws is made anew in every process.
    """

    def __init__(self, work: Workspace, motion: Motion, shift: int, encoder: Path | None = None) -> None:
        """`encoder` is the folder of the one that the motion model has learned with, if any."""
        self._work, self._encoder = work, encoder
        self._canon, self._shape, self._arrays = load_shapes(work)
        self._start, self._stop = self._arrays["held_out"].tolist()
        self._count = self._stop - self._start
        self._points = work.load(LANDMARKS)["points"][self._start : self._stop]
        self._motion = motion
        directions = work.load(HEARD)["clean"] if encoder else None
        self._heard = _coefficients(
            motion, Speech(work.load(SPEECH)["clean"], shift, directions), self._start, self._stop
        )
        self._shown = self._mouths(self._held("shown"))

    def drawn_by(self, face: Face, device: str = "auto") -> HeldOut:
        """Use this face from now on."""
        self._face, self._device = face, device
        self.__dict__.pop("_renderer", None)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_renderer"}

    @cached_property
    def _renderer(self) -> Renderer:
        return self._face.renderer(self._canon, self._device)

    def judge(self, workers: Workers, on_step: Callable[[int, int], None]) -> tuple[Metrics, dict[str, Metrics]]:
        """Metrics of the speech-driven face, H.264-decoded, with the wrong sound's correlation as a leak control.

        And those of a closed mouth, a looped training mouth and the mean crop, pasted into the same frames, and of the
        true shapes, drawn. Each is one piece of work.
        """
        films: dict[str, _Watched] = {}
        for name, watched in zip(FILMS, workers.map(self._watch, FILMS), strict=True):
            films[name] = watched
            on_step(len(films), len(FILMS))
        spoken, rolled = films.pop("spoken"), films.pop("rolled")
        leak = correlation(aperture(self._points[: len(rolled.track)]), aperture(rolled.track.points))
        figures = spoken.measured.metrics | {"aperture_correlation_rolled": leak}
        figures |= {"shape_correlation": self.heard()["shape_correlation"]}
        self._outcome = Measurement(figures, spoken.measured.series), spoken.track
        return figures, {name: watched.measured.metrics for name, watched in films.items()}

    def comparison(self, baselines: dict[str, Metrics]) -> Comparison:
        """What `judge` has found, with the pictures that a report shows."""
        measured, track = self._outcome
        made = pictures(self._movie("spoken"))
        shown = showing(self._true(), made, self._points[: len(track)], track.points,
                        np.array(measured.series["lmd_iod"]))  # fmt: skip
        unmeasured: dict[str, float | str] = {"not_measured": "no-checkpoint"}
        return Comparison("same-frames", len(track), measured, unmeasured, (), shown, baselines)

    def coded_truth(self) -> Metrics:
        """The true frames through the same H.264: the best that anything drawn could score."""
        return self._watch("coded_truth").measured.metrics

    def _watch(self, name: str) -> _Watched:
        """Film what is asked for, and look at it."""
        movie = self._movie(name)
        track = self._film(self._scene(name), movie)
        pairs = zip(self._true(), pictures(movie), strict=False)
        measured = measure(islice(pairs, len(track)), self._points[: len(track)], track.points)
        if name != "spoken":
            movie.unlink()
        return _Watched(measured, track)

    def _movie(self, name: str) -> Path:
        return self._work.path(HELD_OUT_MOVIE if name == "spoken" else f"{name}.mp4")

    def _scene(self, name: str) -> Iterator[Frame]:
        """The held-out frames as they are filmed under a name."""
        drawn = {"spoken": self._heard, "rolled": np.roll(self._heard, self._count // 2, axis=0),
                 "true_shapes": self._held("coefficients")}  # fmt: skip
        if name in drawn:
            return self._drawn(drawn[name])
        return self._true() if name == "coded_truth" else self._pasted(self._crops(name))

    def _crops(self, name: str) -> Iterator[Frame]:
        """The training crops that a baseline pastes."""
        crops = load_crops(self._work)
        usable = np.flatnonzero(self._arrays["training"])
        if name == "looped_mouth":
            return (np.asarray(crops[usable[i % len(usable)]]) for i in range(self._count))
        if name == "mean_crop":
            some = [crops[i] for i in usable[:: max(1, len(usable) // 500)]]
            return repeat(np.mean(some, axis=0).round().astype(np.uint8))
        rest = np.square(self._arrays["coefficients"][usable] - self._arrays["rest"]).sum(axis=1)
        return repeat(np.asarray(crops[usable[rest.argmin()]]))

    def sheet(self, columns: int = 4) -> Frame:
        """True frames above what is drawn from their sound, spread over the stretch."""
        picks = np.linspace(0, self._count - 1, columns).round().astype(int)
        chosen: list[int] = picks.tolist()
        shown = {index: picture for index, picture in enumerate(self._true()) if index in chosen}
        true = [shown[index] for index in chosen]
        made = self._rendered(true, picks, self._mouths(self._heard))
        return np.concatenate([np.concatenate(true, axis=1), np.concatenate(made, axis=1)])

    def _held(self, name: str) -> Floats:
        return self._arrays[name][self._start : self._stop]

    def _mouths(self, coefficients: Floats) -> Floats:
        return self._shape.expand(coefficients, self._held("base"))

    def _rendered(self, pictures: list[Frame], at: slice | NDArray[np.intp], mouths: Floats) -> list[Frame]:
        return self._renderer.render(pictures, self._held("matrices")[at], self._shown[at], mouths[at])

    def openings(self, samples: Samples, shift: int = 0) -> Floats:
        """The mouth's opening (N,) in each frame of any speech, `shift` features late, on a head that is held still."""
        count = len(samples) // SAMPLES_PER_FRAME
        directions = None
        if self._encoder and self._motion.directions:
            directions = hear(Encoder(self._encoder), samples, shift, self._motion.directions)
        told = _coefficients(self._motion, Speech(features(samples), shift, directions), 0, count)
        still = self._arrays["base"][self._arrays["training"].astype(bool)].mean(axis=0)
        return inner_gap(self._shape.expand(told, np.repeat(still[None], count, axis=0)))

    def own_openings(self) -> tuple[Floats, Floats]:
        """The mouth's opening in the training frames, as shapes have it and as tracked faces have it (`aperture`)."""
        training = self._arrays["training"].astype(bool)
        return inner_gap(self._arrays["mouths"][training]), aperture(self._work.load(LANDMARKS)["points"][training])

    def heard(self) -> Metrics:
        """How well the mouth's opening is heard before any picture is drawn, and with the sound rolled by half."""
        true, half = inner_gap(self._held("mouths")), self._count // 2
        told, rolled = (inner_gap(self._mouths(c)) for c in (self._heard, np.roll(self._heard, half, axis=0)))
        return {
            "shape_correlation": correlation(true, told),
            "shape_correlation_rolled": correlation(true, rolled),
            "shape_std_ratio": float(told.std() / true.std()),
        }

    def _drawn(self, coefficients: Floats) -> Iterator[Frame]:
        mouths = self._mouths(self._shape.overdrawn(coefficients, self._arrays["rest"], self._face.overdraw))
        footage = self._true()
        for first in range(0, self._count, BATCH):
            batch = list(islice(footage, BATCH))
            span = slice(first, first + len(batch))
            yield from self._rendered(batch, span, mouths)

    def _pasted(self, crops: Iterable[Frame]) -> Iterator[Frame]:
        canon: Canon = self._canon
        triples = zip(self._true(), crops, self._held("matrices"),
                      strict=False)  # fmt: skip
        for picture, crop, matrix in triples:
            yield paste(picture, crop, canon.feather, matrix)

    def _true(self) -> Iterator[Frame]:
        return stretch(self._work.path(FRAMES), self._start, self._stop)

    def _film(self, made: Iterator[Frame], target: Path) -> Track:
        first = next(made)
        with Movie(target, size=(first.shape[1], first.shape[0])) as movie:
            movie.push(first)
            for picture in made:
                movie.push(picture)
        return follow(target)


def _coefficients(motion: Motion, speech: Speech, start: int, stop: int) -> Floats:
    """What a motion model tells of the frames from `start` to `stop`."""
    first = start - start % speech.stride
    directions = None if speech.directions is None else speech.directions[first // BLOCK : -(-stop // BLOCK)]
    return motion.coefficients(speech.window(first, stop - first), directions=directions)[start - first :]
