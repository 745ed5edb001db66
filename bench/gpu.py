"""What a GPU is worth, beside the processors of the same machine: training and rendering on each, in one run.

    python -m bench.gpu train CLIP                   # seconds of every stage, held-out figures
    python -m bench.gpu render AVATAR speech.wav     # frames a second to H.264, at the avatar's size and at 1024 px
    python -m bench.gpu agree AVATAR speech.wav      # largest and mean difference of the pictures, in grey levels

Without CUDA only the processors are measured, and it says so.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from portrait import TrainingParameters, train
from portrait.avatar import Avatar
from portrait.progress import Progress
from portrait.synthesis import Synthesizer
from portrait.video import SAMPLE_RATE, Samples, audio
from services.render.encoding import SOUND_RATE, Format, MovieFile

ROUNDS, LARGE = 3, 1024
SHOWN = ("psnr", "psnr_face", "psnr_mouth", "ssim_face", "ssim_mouth", "sharpness", "lmd_iod", "aperture_correlation")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "render", "agree"))
    parser.add_argument("input", type=Path, help="a recording, or an avatar's folder")
    parser.add_argument("speech", type=Path, nargs="?", help="what the avatar says")
    parser.add_argument("--seconds", type=float, default=40.0, help="of speech to render")
    parser.add_argument("--size", type=int, default=512, help="of the avatar to train")
    parser.add_argument("--quality", default="standard", help="of the training")
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
    """Train an avatar on each device."""
    for device in options.devices:
        parameters = TrainingParameters(device=device, size=options.size, quality=options.quality)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            report = train(options.input, Path(folder) / "work", Path(folder) / "avatar", parameters, _Stages())
            took = time.perf_counter() - began
        print(f"{device}: {took:.1f} s in all; " + ", ".join(f"{k} {v:.1f}" for k, v in report.seconds.items()))
        print("    " + ", ".join(f"{name} {report.metrics[name]:.3f}" for name in SHOWN), flush=True)


class _Stages:
    """Tells when a stage begins, for whoever waits."""

    def __init__(self) -> None:
        self._began, self._stage = time.perf_counter(), ""

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage:
            self._stage = progress.stage
            print(f"    {time.perf_counter() - self._began:6.1f} s: {self._stage}", flush=True)


def rendering(options: argparse.Namespace) -> None:
    """Render speech to a file on each device, at both sizes."""
    avatar = Avatar.load(options.input)
    speech = np.resize(audio(options.speech), round(options.seconds * SAMPLE_RATE))
    for size in (avatar.size, LARGE):
        for device in options.devices:
            synthesizer = Synthesizer(avatar, size=size, device=device)
            _film(synthesizer, speech[: 4 * SAMPLE_RATE])  # warms up
            synthesizer.renderer.seconds.clear()
            rates = [_film(synthesizer, speech) for _ in range(ROUNDS)]
            frames = ROUNDS * options.seconds * 25
            steps = ", ".join(f"{k} {1000 * v / frames:.2f}" for k, v in synthesizer.renderer.seconds.items())
            print(f"{size} px, {device}: {statistics.median(rates):.0f} frames/s; ms a frame: {steps}", flush=True)


def _film(synthesizer: Synthesizer, speech: Samples) -> float:
    """Frames a second, encoding included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        movie = MovieFile(Path(folder) / "movie.mp4", Format(synthesizer.size, synthesizer.size, 25.0), {})
        performance = synthesizer.stream()
        for at in range(0, len(speech), SAMPLE_RATE):
            movie.hear(np.repeat(speech[at : at + SAMPLE_RATE], SOUND_RATE // SAMPLE_RATE))
            for picture in performance.push(speech[at : at + SAMPLE_RATE]):
                movie.show(picture)
        for picture in performance.flush():
            movie.show(picture)
        movie.close()
        movie.discard()
        return movie.frame_count / (time.perf_counter() - began)


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
