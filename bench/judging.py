"""What is told of recordings of one person each, of copies of them that were made worse, and of two people joined.

    python -m bench.judging ../shared/data

The bounds of `services/tts/judging.py` stand between the rows: of the clean ones nothing is to be told, of the others
what was done to them. Of each recording the first minute is taken, of two that are joined the first quarter of one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np

from bench.voice import PEOPLE, recording
from services.common.arrays import Samples
from services.tts import judging, world
from services.tts.voices import REFERENCE_RATE

MINUTE_S, QUARTER_S = 60, 15
NOISE_DB = (20, 15, 10)
OVER_DB = 6
APART = (4, 6, 8, 10, 100)  # semitones between the medians of two people's pitches, up to each


def main() -> None:
    """Print the figures, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the recordings")
    data = parser.parse_args().data
    clean = [taken(recording(data, person.file, (0, MINUTE_S))) for person in PEOPLE]
    judged = [judge(one) for one in clean]
    print(f"{len(clean)} recordings")
    show("clean: speech over noise, dB", (one.signal_to_noise_db for one in judged))
    show("clean: overdriven, %", (100 * one.clipped_share for one in judged))
    show("clean: semitones apart", (one.apart_semitones for one in judged))
    for decibels in NOISE_DB:
        noisy = (judge(with_noise(one, decibels)).signal_to_noise_db for one in clean)
        show(f"white noise mixed in at {decibels} dB: speech over noise, dB", noisy)
    show(f"{OVER_DB} dB over: overdriven, %", (100 * judge(overdriven(one, OVER_DB)).clipped_share for one in clean))
    tell_pairs_apart(clean)


def taken(samples: Samples) -> Samples:
    """A recording as it is judged, at the rate of the judge."""
    return world.resampled(samples, REFERENCE_RATE)


def judge(samples: Samples) -> judging.Judgement:
    """A recording judged whole."""
    return judging.judge(samples, len(samples) / world.SAMPLE_RATE)


def with_noise(samples: Samples, decibels: float) -> Samples:
    """White noise below the mean power of a recording, by so much; the same each time."""
    power = np.mean(samples**2) / 10 ** (decibels / 10)
    noise = np.random.default_rng(0).standard_normal(len(samples)) * np.sqrt(power)
    return np.asarray(samples + noise, np.float32)


def overdriven(samples: Samples, decibels: float) -> Samples:
    """A recording so much louder than there is room for."""
    peak = np.abs(samples).max()
    return np.asarray(np.clip(samples * 10 ** (decibels / 20), -peak, peak), np.float32)


def tell_pairs_apart(people: list[Samples]) -> None:
    """How many pairs are told for two, by how far their pitches lie apart."""
    quarters = [one[: QUARTER_S * world.SAMPLE_RATE] for one in people]
    pitches = [12 * np.log2(np.median(f0[f0 > 0])) for f0 in map(world.pitch, quarters)]
    told: dict[int, list[bool]] = {most: [] for most in APART}
    for (one, pitch), (other, other_pitch) in combinations(zip(quarters, pitches, strict=True), 2):
        most = next(most for most in APART if abs(pitch - other_pitch) < most)
        joined = judge(np.concatenate([one, other]))
        told[most].append(joined.apart_semitones >= judging.APART_SEMITONES)
    for most, ones in told.items():
        print(f"two joined, less than {most} semitones apart: told of {sum(ones)} of {len(ones)}")


def show(what: str, values: Iterable[float]) -> None:
    """The least and the most."""
    ordered = sorted(values)
    print(f"{what}: {ordered[0]:.3g} to {ordered[-1]:.3g}, median {np.median(ordered):.3g}")


if __name__ == "__main__":
    main()
