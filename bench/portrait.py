"""The talking head's public benchmark: `make bench-portrait ARGS="clip.mp4[:seconds] …"`; docs/benchmarks.md says how.

Without a clip, the demo's presenter is drawn and used. Start it with OMP_WAIT_POLICY=PASSIVE where anything else runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.heads import closure, cross, tables
from portrait import Avatar, RecordingError, Split, TrainingParameters, train
from portrait.arrays import Floats
from portrait.avatar.stored import BASE
from portrait.measuring.comparison import follow
from portrait.measuring.metrics import aperture
from portrait.parameters import Quality
from portrait.training.evaluation import HeldOut
from portrait.training.split import Fold
from portrait.training.stages import listen


@dataclass(frozen=True)
class Run:
    """One training: which clip, how much of it, in which quality, what is held out, and the seed."""

    clip: str
    seconds: float
    quality: Quality | Literal["motion only"]
    fold: Fold
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, {self.quality}, {self.fold} 15 % held out, seed {self.seed}"

    @property
    def name(self) -> str:
        """The clip's name, with the seconds used of it."""
        return Path(self.clip).stem + (f"-{self.seconds:g}s" if self.seconds != WHOLE else "")


WHOLE = 300.0
"""Seconds used of a clip unless its argument says otherwise."""


def main() -> None:
    """Run everything that was asked for; tables go to stdout as they are ready, and all figures to --json."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        work, out = options.work or Path(scratch) / "work", options.out or Path(scratch) / "avatars"
        bench = Bench(options, work, out)
        if options.avatar:
            bench.judge(options.avatar)
            return
        clips = options.clips or [str(_drawn(Path(scratch)))]
        for run in _runs(clips, options):
            bench.run(run)
        bench.sum_up()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", help="a video, optionally with :seconds to use only its beginning")
    parser.add_argument("--fold", nargs="+", default=["last"], choices=("last", "first", "middle"))
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--quality", nargs="+", default=["standard"], choices=("draft", "standard", "high"))
    parser.add_argument("--param", nargs="+", default=[], metavar="NAME=VALUE", help="other training parameters")
    parser.add_argument("--motion-only", action="store_true", help="sound to shape only; draws nothing, takes seconds")
    parser.add_argument(
        "--drive", nargs="+", type=Path, default=[], help="recordings of others to drive the avatar with"
    )
    parser.add_argument("--phones", action="store_true", help="measure lip closure on speech with known phones")
    parser.add_argument(
        "--voice", nargs="+", type=Path, default=[], help="recordings to clone voices from, for --phones"
    )
    parser.add_argument("--encoder", type=Path, help="a Whisper model's folder: hear by its encoder, too")
    parser.add_argument("--avatar", type=Path, help="only measure an avatar that is there, with --phones")
    parser.add_argument("--work", type=Path, help="keep working files here, and continue from them")
    parser.add_argument("--out", type=Path, help="keep the avatars here")
    parser.add_argument("--json", type=Path, help="write every figure here")
    return parser.parse_args()


def _parameter(text: str) -> tuple[str, Any]:
    """A training parameter from `name=value`, of the type that its default has."""
    name, _, value = text.partition("=")
    kinds = {name: type(default) for name, default in asdict(TrainingParameters()).items()}
    if name not in kinds or not value:
        raise SystemExit(f"--param {text}: give one of {', '.join(kinds)} as name=value")
    return name, kinds[name](value)


def _drawn(folder: Path) -> Path:
    from demo import clip

    clip.make(folder / "presenter.mp4", seconds=60)
    return folder / "presenter.mp4"


def _runs(clips: list[str], options: argparse.Namespace) -> Iterator[Run]:
    # What changes least comes first: stages that a run shares with the one before are not done again.
    for clip, fold, seed, quality in itertools.product(clips, options.fold, options.seed, options.quality):
        path, _, seconds = clip.partition(":")
        if not Path(path).is_file():
            raise SystemExit(f"{path}: there is no such file")
        yield Run(path, float(seconds or WHOLE), "motion only" if options.motion_only else quality, fold, seed)


class Bench:
    """Trains, measures, tells."""

    def __init__(self, options: argparse.Namespace, work: Path, out: Path) -> None:
        self._options, self._work, self._out = options, work, out
        self._results: list[dict[str, Any]] = []
        self._speakers = list(self._others())
        self._recitals = closure.recitals(options.voice) if options.phones else []

    def _others(self) -> Iterator[cross.Speaker]:
        for clip in self._options.drive:
            try:
                yield cross.speaker(clip, self._work / "others")
            except RecordingError as error:
                sys.stdout.write(f"{clip.name} cannot drive: {error}\n\n")

    def run(self, run: Run) -> None:
        """One training with all that is measured on it."""
        result: dict[str, Any] = {"run": asdict(run)}
        held_out, avatar = self._trained(run, result)
        if self._speakers:
            result["cross"] = {who.name: self._driven(who, held_out, avatar) for who in self._speakers}
            _tell("Driven by other people's recordings, against their mouths", result["cross"], cross.COLUMNS)
        if self._recitals:
            result["closure"] = self._closures(held_out, avatar)
            _tell("Lip closure. " + closure.DEFINITION, result["closure"], closure.COLUMNS)
        self._results.append(result)
        self._save()

    def _trained(self, run: Run, result: dict[str, Any]) -> tuple[HeldOut, Avatar | None]:
        motion_only = self._options.motion_only
        quality: Quality = "draft" if run.quality == "motion only" else run.quality
        told: dict[str, Any] = {"quality": quality, "seed": run.seed, "seconds": run.seconds}
        told |= dict(_parameter(each) for each in self._options.param)
        parameters = TrainingParameters(**told)
        work, out, split = self._work / run.name, self._out / run.name, Split(run.fold)
        encoder = self._options.encoder
        rows: dict[str, dict[str, float]] = {}
        if not motion_only:
            report = train(Path(run.clip), work, out, parameters, split=split, encoder=encoder)
            rows |= {"driven by sound": report.metrics, **report.baselines}
            result |= {"frames": report.frames, "offset_ms": report.offset_ms, "seconds": report.seconds}
        held_out = listen(Path(run.clip), work, parameters, split=split, encoder=encoder)
        result["heard"] = held_out.heard()
        if rows:
            rows["coded truth"] = held_out.coded_truth()
            result["rows"] = rows
            _tell(f"{run}{_timing(result)}", rows, tables.COLUMNS)
        else:
            _tell(str(run), {"sound to shape": result["heard"]}, tables.HEARD)
        return held_out, None if motion_only else Avatar.load(out)

    def _driven(self, who: cross.Speaker, held_out: HeldOut, avatar: Avatar | None) -> dict[str, float]:
        found = cross.heard(who, held_out)
        encoder = self._options.encoder
        return found | (cross.rendered(who, avatar, self._work / "driven.mp4", encoder) if avatar else {})

    def _closures(self, held_out: HeldOut, avatar: Avatar | None) -> dict[str, dict[str, float]]:
        rows: dict[str, dict[str, float]] = {}
        as_shape, as_seen = held_out.own_openings()
        for recital in self._recitals:
            heard = held_out.openings(recital.samples)
            rows[f"{recital.voice}, shape"] = closure.shares(recital, heard, as_shape)
            if avatar:
                rows |= self._drawn_closures(recital, avatar, as_seen)
        return rows

    def _drawn_closures(self, recital: closure.Recital, avatar: Avatar, own: Floats) -> dict[str, dict[str, float]]:
        """By ear alone, and told by who speaks as it is when our own synthesis does."""
        rows = {}
        for how, closures in (("heard", ()), ("told", recital.closures)):
            film, encoder = self._work / f"recital-{how}.mp4", self._options.encoder
            track = cross.perform(avatar, recital.samples, film, closures, encoder)
            rows[f"{recital.voice}, drawn, {how}"] = closure.shares(recital, aperture(track.points), own)
        return rows

    def judge(self, folder: Path) -> None:
        """Lip closure of an avatar that is there, by the mouths of its own footage."""
        avatar = Avatar.load(folder)
        self._work.mkdir(parents=True, exist_ok=True)
        own = aperture(follow(folder / BASE).points)
        rows: dict[str, dict[str, float]] = {}
        for recital in self._recitals:
            rows |= self._drawn_closures(recital, avatar, own)
        self._results.append({"run": {"avatar": avatar.name}, "closure": rows})
        _tell(f"Lip closure of {avatar.name}. " + closure.DEFINITION, rows, closure.COLUMNS)
        self._save()

    def _save(self) -> None:
        if self._options.json:
            self._options.json.write_text(json.dumps(self._results, indent=1, ensure_ascii=False), encoding="utf-8")

    def sum_up(self) -> None:
        """Mean and deviation over folds, seeds and clips, where there is more than one run of a quality."""
        for quality in dict.fromkeys(result["run"]["quality"] for result in self._results):
            same = [result for result in self._results if result["run"]["quality"] == quality]
            if len(same) < 2:
                continue
            _tell(
                f"{quality}, sound to shape over {len(same)} runs",
                tables.summary([r["heard"] for r in same]),
                tables.HEARD,
            )
            if "rows" in same[0]:
                driven = [result["rows"]["driven by sound"] for result in same]
                _tell(f"{quality}, driven by sound over {len(same)} runs", tables.summary(driven), tables.COLUMNS)


def _timing(result: dict[str, Any]) -> str:
    stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in result["seconds"].items())
    total = sum(result["seconds"].values())
    return f": {result['frames']} frames, offset {result['offset_ms']} ms, {total:.0f} s ({stages})"


def _tell(title: str, rows: dict[str, dict[str, float]], columns: dict[str, str]) -> None:
    if len(rows) > 1 and columns is cross.COLUMNS:
        rows = rows | tables.summary(list(rows.values()))
    heading = f"## {title}" if not title.startswith("Lip closure") else f"### {title}"
    sys.stdout.write(f"{heading}\n\n{tables.table(rows, columns)}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
