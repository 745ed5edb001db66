"""What a GPU is worth, beside the processors of the same machine: training and rendering on each, in one run.

    python -m bench.gpu train CLIP                   # seconds of every stage, held-out figures
    python -m bench.gpu render AVATAR speech.wav     # frames a second to H.264 and AAC, by one process and by several
    python -m bench.gpu agree AVATAR speech.wav      # largest and mean difference of the pictures, in grey levels

Without CUDA only the processors are measured, and it says so.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from bench.filming import pool_of, scene_of
from portrait import TrainingParameters, train
from portrait.arrays import Samples
from portrait.avatar.idle import write_picture
from portrait.avatar.stored import Avatar
from portrait.avatar.synthesis import Synthesizer
from portrait.compute.workers import most_workers
from portrait.media.video import SAMPLE_RATE, audio, frames
from portrait.progress import Progress
from services.render.film.making import Film, worth
from services.render.video.encoding import SOUND_RATE


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "render", "agree"))
    parser.add_argument("input", type=Path, help="a recording, or an avatar's folder")
    parser.add_argument("speech", type=Path, nargs="?", help="what the avatar says")
    parser.add_argument("--seconds", type=float, default=300.0, help="of speech to render")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024], help="of the video")
    parser.add_argument("--processes", type=int, nargs="+", help="that draw; one, and as many as there may be")
    parser.add_argument("--size", type=int, default=512, help="of the avatar to train")
    parser.add_argument("--quality", nargs="+", default=["standard"], help="of the training; one after another")
    parser.add_argument("--keep", type=Path, help="folder for the held-out sheets, and the last picture of each film")
    parser.add_argument("--devices", nargs="+", default=_devices(), help="cpu, cuda")
    options = parser.parse_args()
    {"train": training, "render": rendering, "agree": agreement}[options.what](options)


def _devices() -> list[str]:
    if torch.cuda.is_available():
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
        return ["cpu", "cuda"]
    print("there is no CUDA here: only the processors are measured")
    return ["cpu"]


def training(options: argparse.Namespace) -> None:
    """Train an avatar on each device; a second quality goes on from what it shares with the first."""
    for device in options.devices:
        with tempfile.TemporaryDirectory() as folder:
            for quality in options.quality:
                parameters = TrainingParameters(device=device, size=options.size, quality=quality)
                work = Path(folder) / "work"
                report = train(options.input, work, Path(folder) / "avatar", parameters, _Stages())
                took = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.seconds.items())
                print(f"{device}, {quality}: {sum(report.seconds.values()):.1f} s in all; {took}")
                print("    " + ", ".join(f"{name} {value:.4f}" for name, value in report.metrics.items()), flush=True)
                if options.keep:
                    shutil.copy(work / "held-out.jpg", options.keep / f"held-out-{device}-{quality}.jpg")


class _Stages:
    """Tells when a stage begins, for whoever waits."""

    def __init__(self) -> None:
        self._began, self._stage = time.perf_counter(), ""

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._stage = progress.stage
            print(f"    {time.perf_counter() - self._began:6.1f} s: {self._stage}", flush=True)


def rendering(options: argparse.Namespace) -> None:
    """Render speech to a file on each device, at both sizes, by one process and by several."""
    speech = np.resize(audio(options.speech, rate=SOUND_RATE), round(options.seconds * SOUND_RATE))
    for size in options.sizes:
        for device in options.devices:
            for processes in options.processes or (1, most_workers(torch.device(device))):
                filmed = _film(options.input, size, device, speech, processes, options.keep)
                print(f"{size} px, {device}, {processes} processes: {filmed}", flush=True)


def _film(avatar: Path, size: int, device: str, speech: Samples, processes: int, keep: Path | None) -> str:
    """Frames a second to H.264 and AAC: in all, and from the first piece on, which waits for processes to start."""
    scene = scene_of(avatar, size, device, processes)
    began, first = time.perf_counter(), (0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        pool = pool_of(worth(processes, len(speech) / SOUND_RATE))
        film = Film(path, scene, {}, rate=SOUND_RATE, pool=pool)
        try:
            for at in range(0, len(speech), SOUND_RATE):
                film.push(speech[at : at + SOUND_RATE])
                if film.frame_count and not first[1]:
                    first = time.perf_counter(), film.frame_count
            for done in film.finish():
                first = first if first[1] else (time.perf_counter(), done)
            ended, count = time.perf_counter(), film.frame_count
            size_mb = path.stat().st_size / 2**20
            if keep:
                _last_picture(path, keep / f"film-{size}-{device}-{processes}.jpg")
        finally:
            film.close()
    later = (count - first[1]) / (ended - first[0])
    return (
        f"{count / (ended - began):.0f} frames/s in all, {later:.0f} after {first[0] - began:.1f} s; {size_mb:.1f} MB"
    )


def _last_picture(movie: Path, target: Path) -> None:
    for _, picture in frames(movie):
        last = picture
    write_picture(target, last, width=last.shape[1])


def agreement(options: argparse.Namespace) -> None:
    """Draw the same four seconds on every device; differences are against the first."""
    speech = audio(options.speech)[: 4 * SAMPLE_RATE]
    drawn = {device: _pictures(options.input, speech, device) for device in options.devices}
    first, *others = drawn
    for device in others:
        apart = np.abs(drawn[device].astype(int) - drawn[first])
        print(f"{device} against {first}: at most {apart.max()}, mean {apart.mean():.4f} grey levels")


def _pictures(avatar: Path, speech: Samples, device: str) -> np.ndarray:
    performance = Synthesizer(Avatar.load(avatar), device=device).stream()
    try:
        return np.stack(list(islice(performance.push(speech), 75)))
    finally:
        performance.close()


if __name__ == "__main__":
    main()
