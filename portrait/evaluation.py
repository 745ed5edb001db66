"""How close an avatar in training comes to the person, on the part of the clip that it has never seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.comparison import Comparison, follow, pictures
from portrait.face import Face
from portrait.geometry import Canon, Floats, paste
from portrait.metrics import Measurement, aperture, correlation, measure
from portrait.motion import Motion, Speech
from portrait.preparing import FRAMES, LANDMARKS, SPEECH, load_crops, load_shapes
from portrait.shape import inner_gap
from portrait.showing import showing
from portrait.synthesis import BATCH
from portrait.tracking import Track
from portrait.video import Frame, Movie
from portrait.workspace import Workspace

HELD_OUT_MOVIE = "held-out.mp4"
Metrics = dict[str, float]


class HeldOut:
    """The held-out part of a clip, drawn by an avatar in training from its sound alone, and the baselines beside it."""

    def __init__(self, work: Workspace, motion: Motion, shift: int) -> None:
        self._work = work
        self._canon, self._shape, self._arrays = load_shapes(work)
        self._start, self._stop = self._arrays["held_out"].tolist()
        self._count = self._stop - self._start
        self._points = work.load(LANDMARKS)["points"][self._start : self._stop]
        self._motion = motion
        windowed = Speech(work.load(SPEECH)["clean"], shift).window(self._start, self._count)
        self._heard = motion.coefficients(windowed)
        self._shown = self._mouths(self._held("shown"))

    def drawn_by(self, face: Face, device: str = "auto") -> HeldOut:
        """Use this face from now on."""
        self._renderer, self._overdraw = face.renderer(self._canon, device), face.overdraw
        return self

    def metrics(self) -> Metrics:
        """Metrics of the speech-driven face, H.264-decoded, with the wrong sound's correlation as a leak control."""
        track = self._film(self._drawn(self._heard), self._work.path(HELD_OUT_MOVIE))
        measured = self._measured(self._work.path(HELD_OUT_MOVIE), track)
        half = self._count // 2
        rolled = self._measure_lips(self._drawn(np.roll(self._heard, half, axis=0)))
        figures = measured.metrics | {"aperture_correlation_rolled": rolled}
        figures |= {"shape_correlation": self.heard()["shape_correlation"]}
        self._outcome = Measurement(figures, measured.series), track
        return figures

    def comparison(self, baselines: dict[str, Metrics]) -> Comparison:
        """What `metrics` has found, with the pictures that a report shows."""
        measured, track = self._outcome
        made = pictures(self._work.path(HELD_OUT_MOVIE))
        shown = showing(self._true(), made, self._points[: len(track)], track.points,
                        np.array(measured.series["lmd_iod"]))  # fmt: skip
        unmeasured: dict[str, float | str] = {"not_measured": "no-checkpoint"}
        return Comparison("same-frames", len(track), measured, unmeasured, (), shown, baselines)

    def baselines(self) -> dict[str, Metrics]:
        """A closed mouth, a looped training mouth and the mean crop, pasted the same way; and the true shapes drawn."""
        crops = load_crops(self._work)
        usable = np.flatnonzero(self._arrays["training"])
        rest = np.square(self._arrays["coefficients"][usable] - self._arrays["rest"]).sum(axis=1)
        closed = np.asarray(crops[usable[rest.argmin()]])
        mean = np.mean([crops[i] for i in usable[:: max(1, len(usable) // 500)]], axis=0).round().astype(np.uint8)
        loop = [usable[i % len(usable)] for i in range(self._count)]
        return {
            "closed_mouth": self._measure(self._pasted(closed for _ in loop)),
            "looped_mouth": self._measure(self._pasted(np.asarray(crops[i]) for i in loop)),
            "mean_crop": self._measure(self._pasted(mean for _ in loop)),
            "true_shapes": self._measure(self._drawn(self._held("coefficients"))),
        }

    def coded_truth(self) -> Metrics:
        """The true frames through the same H.264: the best that anything drawn could score."""
        return self._measure(self._true())

    def sheet(self, columns: int = 4) -> Frame:
        """True frames above what is drawn from their sound, spread over the stretch."""
        picks = np.linspace(0, self._count - 1, columns).round().astype(int)
        wanted = dict.fromkeys(picks.tolist())
        for index, picture in enumerate(self._true()):
            if index in wanted:
                wanted[index] = picture
        true = [wanted[i] for i in picks.tolist()]
        made = self._rendered(true, picks, self._mouths(self._heard))
        return np.concatenate([np.concatenate(true, axis=1), np.concatenate(made, axis=1)])

    def _held(self, name: str) -> Floats:
        return self._arrays[name][self._start : self._stop]

    def _mouths(self, coefficients: Floats) -> Floats:
        return self._shape.expand(coefficients, self._held("base"))

    def _rendered(self, pictures: list[Frame], at: slice | NDArray[np.intp], mouths: Floats) -> list[Frame]:
        return self._renderer.render(pictures, self._held("matrices")[at], self._shown[at], mouths[at])

    def openings(self, features: Floats, count: int, shift: int = 0) -> Floats:
        """The mouth's opening (count,) that any speech's features (T, 248) cause on a head that is held still."""
        told = self._motion.coefficients(Speech(features, shift).window(0, count))
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
        mouths = self._mouths(self._shape.overdrawn(coefficients, self._arrays["rest"], self._overdraw))
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

    def _measure(self, made: Iterator[Frame]) -> Metrics:
        target = self._work.path("baseline.mp4")
        metrics = self._measured(target, self._film(made, target)).metrics
        target.unlink()
        return metrics

    def _measured(self, movie: Path, track: Track) -> Measurement:
        pairs = zip(self._true(), pictures(movie), strict=False)
        return measure(islice(pairs, len(track)), self._points[: len(track)], track.points)

    def _true(self) -> Iterator[Frame]:
        return islice(pictures(self._work.path(FRAMES), self._start), self._count)

    def _measure_lips(self, made: Iterator[Frame]) -> float:
        target = self._work.path("rolled.mp4")
        track = self._film(made, target)
        target.unlink()
        return correlation(aperture(self._points[: len(track)]), aperture(track.points))

    def _film(self, made: Iterator[Frame], target: Path) -> Track:
        first = next(made)
        with Movie(target, size=(first.shape[1], first.shape[0])) as movie:
            movie.push(first)
            for picture in made:
                movie.push(picture)
        return follow(target)
