"""What an encoder makes of a recording's sound, and of altered renderings of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portrait.arrays import Floats, Samples
from portrait.compute.workers import Workers
from portrait.mouth.hearing import PAST, Directions, State
from portrait.sound.encoder import BLOCK, BLOCK_SAMPLES, BlockStream, Encoder
from portrait.training.preparing import VOICES, altered

HEARD = "heard.safetensors"
"""In the work folder: every rendering of the sound, in the directions that count."""
PIECE = 256 * BLOCK_SAMPLES
"""Samples whose tokens are held at once."""
OWN = slice(PAST // 2, PAST // 2 + 2 * BLOCK)
"""Of a block's tokens, those that stand for its own frames."""


def listen(
    sound: Path, folder: Path, shift: int, usable: NDArray[np.bool_], workers: Workers
) -> tuple[State, dict[str, Floats]]:
    """The directions that count of what the encoder in a folder makes of a sound, and by name every rendering in them.

    The sound comes `shift` features later than the picture; what is learned is learned from the `usable` frames (N,).
    """
    learned = workers.submit(_learned, sound, folder, shift, usable).result()
    count = len(VOICES)
    heard = workers.map(_heard, [sound] * count, VOICES, [folder] * count, [shift] * count, [learned] * count)
    return learned, dict(zip(VOICES, heard, strict=True))


def hear(encoder: Encoder, samples: Samples, shift: int, told: Callable[[Floats], Floats], warp: float = 1.0) -> Floats:
    """What is told of the tokens of each block (ceil(N / 4), 43, width), of as many frames as have begun."""
    stream = BlockStream(encoder, shift=shift, warp=warp)
    pieces = [told(stream.push(samples[start : start + PIECE])) for start in range(0, len(samples), PIECE)]
    return np.concatenate([*pieces, told(stream.flush())])


@lru_cache(maxsize=1)
def _encoder(folder: Path) -> Encoder:
    return Encoder(folder)


def _learned(sound: Path, folder: Path, shift: int, usable: NDArray[np.bool_]) -> State:
    samples: Samples = np.load(sound, allow_pickle=False)
    tokens = hear(_encoder(folder), samples, shift, lambda block: block[:, OWN])
    used = usable[::BLOCK][: len(tokens)]
    return Directions.learn(tokens[: len(used)][used].reshape(-1, tokens.shape[2]))


def _heard(sound: Path, name: str, folder: Path, shift: int, learned: State) -> Floats:
    samples, warp = altered(sound, name)
    return hear(_encoder(folder), samples, shift, Directions(learned), warp)
