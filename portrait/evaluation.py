"""How close a generated talking head comes to the person: clip against clip, or an avatar on its held-out tail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait import video
from portrait.geometry import Canon, Floats, paste
from portrait.metrics import aperture, compare, correlation
from portrait.motion import Motion, Speech
from portrait.network import FaceNet
from portrait.preparing import FRAMES, LANDMARKS, SPEECH, load_crops, load_gallery, load_shapes
from portrait.shape import inner_gap
from portrait.synthesis import BATCH, Renderer
from portrait.tracking import Track, Tracker
from portrait.video import FRAME_RATE, Frame, Movie
from portrait.workspace import Workspace

HELD_OUT_MOVIE = "held-out.mp4"
Metrics = dict[str, float]


def evaluate(true: Path, generated: Path) -> Metrics:
    """Every metric of a generated video against the true one, both decoded; ValueError if they cannot be compared."""
    about = [video.probe(path) for path in (true, generated)]
    if (about[0].width, about[0].height) != (about[1].width, about[1].height):
        sizes = " and ".join(f"{each.width}x{each.height}" for each in about)
        raise ValueError(f"the videos differ in size: {sizes}")
    tracks = [_track(path) for path in (true, generated)]
    if abs(len(tracks[0]) - len(tracks[1])) > 2:
        raise ValueError(f"the videos differ in length: {len(tracks[0])} and {len(tracks[1])} frames at 25 fps")
    for name, track in zip(("true", "generated"), tracks, strict=True):
        if track.found.mean() < 0.9:
            raise ValueError(f"a face is seen in only {track.found.mean():.0%} of the {name} video")
    count = min(map(len, tracks))
    pairs = zip(_pictures(true), _pictures(generated), strict=False)
    return compare(islice(pairs, count), tracks[0].points[:count], tracks[1].points[:count])


def _track(path: Path) -> Track:
    with Tracker() as tracker:
        return tracker.track(_pictures(path))


def _pictures(path: Path, start: int = 0) -> Iterator[Frame]:
    return (picture for _, picture in video.frames(path, start_s=start / FRAME_RATE))


class HeldOut:
    """The held-out part of a clip, drawn by an avatar in training from its sound alone, and the baselines beside it."""

    def __init__(self, work: Workspace, motion: Motion, shift: int) -> None:
        self._work = work
        self._canon, self._shape, self._arrays = load_shapes(work)
        self._gallery = load_gallery(work)
        self._start, self._stop = self._arrays["held_out"].tolist()
        self._count = self._stop - self._start
        self._points = work.load(LANDMARKS)["points"][self._start : self._stop]
        windowed = Speech(work.load(SPEECH)["clean"], shift).window(self._start, self._count)
        self._heard = motion.coefficients(windowed)
        self._shown = self._mouths(self._held("shown"))

    def drawn_by(self, net: FaceNet, *, overdraw: float = 1.0, device: str = "auto") -> HeldOut:
        """Use this image network from now on."""
        self._renderer, self._overdraw = Renderer(net, self._canon, self._gallery, device=device), overdraw
        return self

    def metrics(self) -> Metrics:
        """Metrics of the speech-driven face, H.264-decoded, with the wrong sound's correlation as a leak control."""
        movie = self._work.path(HELD_OUT_MOVIE)
        result = self._measure(self._drawn(self._heard), movie)
        half = self._count // 2
        rolled = self._measure_lips(self._drawn(np.roll(self._heard, half, axis=0)))
        return result | {"aperture_correlation_rolled": rolled} | self._shape_metrics()

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

    def sheet(self, columns: int = 4) -> Frame:
        """True frames above what is drawn from their sound, spread over the stretch."""
        picks = np.linspace(0, self._count - 1, columns).round().astype(int)
        wanted = dict.fromkeys(picks.tolist())
        for index, picture in enumerate(islice(_pictures(self._work.path(FRAMES), self._start), self._count)):
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

    def _shape_metrics(self) -> Metrics:
        """How well the mouth's opening is heard, before any picture is drawn."""
        true = inner_gap(self._held("mouths"))
        return {"shape_correlation": correlation(true, inner_gap(self._mouths(self._heard)))}

    def _drawn(self, coefficients: Floats) -> Iterator[Frame]:
        mouths = self._mouths(self._shape.overdrawn(coefficients, self._arrays["rest"], self._overdraw))
        pictures = _pictures(self._work.path(FRAMES), self._start)
        for first in range(0, self._count, BATCH):
            batch = list(islice(pictures, BATCH))
            span = slice(first, first + len(batch))
            yield from self._rendered(batch, span, mouths)

    def _pasted(self, crops: Iterable[Frame]) -> Iterator[Frame]:
        canon: Canon = self._canon
        triples = zip(_pictures(self._work.path(FRAMES), self._start), crops, self._held("matrices"),
                      strict=False)  # fmt: skip
        for picture, crop, matrix in triples:
            yield paste(picture, crop, canon.feather, matrix)

    def _measure(self, made: Iterator[Frame], movie: Path | None = None) -> Metrics:
        target = movie or self._work.path("baseline.mp4")
        track = self._film(made, target)
        pairs = zip(_pictures(self._work.path(FRAMES), self._start), _pictures(target), strict=False)
        metrics = compare(islice(pairs, len(track)), self._points[: len(track)], track.points)
        if movie is None:
            target.unlink()
        return metrics

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
        return _track(target)


def contact_sheet(true: Path, generated: Path, *, columns: int = 8, start: int = 0, every: int | None = None) -> Frame:
    """Frames of two videos one above the other, for looking at; `every` frames apart, or spread over the whole."""
    pairs = list(islice(zip(_pictures(true, start), _pictures(generated), strict=False), 4000))
    picks: list[int] = (
        [i * every for i in range(columns)]
        if every
        else np.linspace(0, len(pairs) - 1, columns).round().astype(int).tolist()
    )
    rows: list[Callable[[int], Frame]] = [lambda i: pairs[i][0], lambda i: pairs[i][1]]
    return np.concatenate([np.concatenate([row(i) for i in picks], axis=1) for row in rows])
