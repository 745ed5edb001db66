"""Speech in, frames out: offline and live are the same code, fed at once or piece by piece."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from portrait.arrays import Floats, Frame
from portrait.avatar.stored import BASE, Avatar
from portrait.errors import EncoderError
from portrait.footage.reel import Reel
from portrait.footage.walk import Mix
from portrait.media.video import SAMPLES_PER_FRAME
from portrait.mouth.closures import Closures
from portrait.mouth.expression import NEUTRAL, Expression
from portrait.mouth.motion import FUTURE, PAST
from portrait.sound.audio import FEATURE_SIZE, FeatureStream
from portrait.sound.encoder import BLOCK, BLOCK_SAMPLES, BlockStream, Encoder, fingerprint, load

BATCH = 8
LISTEN = 48
"""Frames whose shapes are heard at once: each call hears its past again."""
ENCODED = 2 * BLOCK_SAMPLES
"""Samples that an encoder hears at once: a batch of frames."""
FADE = 5
"""Frames over which a reply's footage turns into the idle loop at its end."""
BLEND = 5
"""Frames over which the mouth leaves and returns to rest."""


class Synthesizer:
    """An avatar made ready to render; `stream` starts as many performances as wanted, one at a time per thread."""

    def __init__(
        self, avatar: Avatar, *, size: int | None = None, device: str = "auto", encoder: Path | None = None
    ) -> None:
        """`size` is the width and height of the frames; the avatar's own by default.

        With the folder of the `encoder` that the avatar has learned with, it hears by that, too; with any other, one
        that cannot be used or none, as avatars do that have learned without.
        """
        self.avatar, self.size = avatar, size or avatar.size
        self._folder = encoder if encoder and avatar.ear and fingerprint(encoder) == avatar.ear.encoder else None
        self.renderer = avatar.face.renderer(avatar.canon, device)
        self.walk = lru_cache(maxsize=8)(avatar.walk)  # wandering through the footage anew would delay every reply

    @property
    def encoder(self) -> Encoder | None:
        """What it hears by beside the sound's own features; loaded when first asked for, one for all avatars."""
        try:
            return load(self._folder) if self._folder else None
        except EncoderError:  # parts of it may be gone by now
            self._folder = None
            return None

    def stream(self, start_frame: int = 0, expression: Expression = NEUTRAL) -> Performance:
        """Begin speaking at a position of the base sequence."""
        return Performance(self, start_frame, expression)

    def idle(self, count: int, start_frame: int = 0) -> Iterator[Frame]:
        """`count` frames of the person listening, mouth at rest, from a position of the idle loop on."""
        walk = self.walk(0)
        with contextlib.closing(Reel(self.avatar.folder / BASE)) as reel:
            for first in range(start_frame, start_frame + count, BATCH):
                mix = walk.at(range(first, min(first + BATCH, start_frame + count)))
                then = walk.at(range(first + BATCH, first + 2 * BATCH))
                yield from self.frames(reel, mix, np.repeat(self.avatar.rest[None], len(mix), axis=0), then)

    def frames(self, reel: Reel, mix: Mix, coefficients: Floats, then: Mix) -> list[Frame]:
        """Frames of the footage, mixed, with mouths given by coefficients (N, 12); `then` is what may come next."""
        with self.renderer.timed("decode"):
            pictures = reel.show(mix)
            reel.expect(then)
        avatar, poses = self.avatar, mix.blend(self.avatar.poses)
        shown = avatar.shape.expand(mix.blend(avatar.shown), poses)
        mouths = avatar.shape.expand(avatar.shape.overdrawn(coefficients, avatar.rest, avatar.face.overdraw), poses)
        made = self.renderer.render(pictures, mix.blend(avatar.matrices), shown, mouths)
        if self.size == self.avatar.size:
            return made
        smaller = cv2.INTER_AREA if self.size < self.avatar.size else cv2.INTER_CUBIC
        size = self.size, self.size
        return [np.asarray(cv2.resize(frame, size, interpolation=smaller), np.uint8) for frame in made]


@dataclass(frozen=True)
class Passage:
    """Consecutive frames of an utterance, heard and not drawn yet: all that is needed of the speech to draw them."""

    first: int
    """Which frame of the utterance the first one is."""
    features: Floats
    """(4 N + 69, 248) what is heard around N frames."""
    told: Floats
    """(N,) how far lips are told to be shut."""
    total: int | None
    """Frames of the utterance, once its end has been heard."""
    directions: Floats | None = None
    """(ceil(N / 4), 43, 64) what an encoder makes of it, if one listens."""

    def __len__(self) -> int:
        return len(self.told)


class Performance:
    """One utterance: `push` speech as it comes, get frames as soon as what they look ahead to is known.

    After `flush` exactly ceil(samples / 640) frames have come, 25 for every second, and the last one is a frame of the
    idle loop. Memory does not grow with length. `hear` and `end` do the same without drawing: any performance that
    began alike, in another process too, can `draw` the passages they give, in any order.
    """

    def __init__(self, synthesizer: Synthesizer, start_frame: int, expression: Expression) -> None:
        self._synthesizer, self._expression = synthesizer, expression
        self._walk, self._idle = synthesizer.walk(expression.head_motion), synthesizer.walk(0)
        self._start = self._walk.entry(start_frame % len(self._idle))
        self._total: int | None = None
        self._reel = Reel(synthesizer.avatar.folder / BASE)
        self._hearing, self._told = FeatureStream(), Closures()
        self._blocks: BlockStream | None = None
        self._directions: deque[Floats] = deque()
        """Of the blocks that are not passed yet."""
        self._features = np.zeros((0, FEATURE_SIZE), np.float32)
        self._first = -PAST
        """Index of the first feature kept; those before 0 repeat the first."""
        self._heard = self._passed = 0
        self._reel.expect(self._shown(0, BATCH, None))

    @property
    def frame_index(self) -> int:
        """Position of the idle loop after the frames made so far, where it can go on."""
        return (self.idle_frame(self._passed - 1) + 1) % len(self._idle) if self._passed else self.idle_frame(0)

    def idle_frame(self, index: int) -> int:
        """The position of the idle loop most like a frame of the utterance."""
        if self._total is not None and index >= self._total - FADE:  # by then it has turned into the loop
            return (self._landing(self._total) - (self._total - 1 - index)) % len(self._idle)
        return self._walk.landing(self._start + index)

    def shut(self, start_s: float, end_s: float) -> None:
        """Tell, in order and before the speech they lie in, when the lips are shut: who speaks knows, ears guess.

        Seconds from the beginning of the utterance; ValueError if the second is not after the first.
        """
        self._told.add(start_s, end_s)

    def push(self, samples: Floats) -> Iterator[Frame]:
        """Take mono float32 samples at 16 kHz; iterate to get the RGB frames (H, W, 3) that became certain."""
        for passage in self.hear(samples):
            yield from self.draw(passage)

    def flush(self) -> Iterator[Frame]:
        """End the utterance: the remaining frames, in which the mouth comes to rest."""
        for passage in self.end():
            yield from self.draw(passage)
        self.close()

    def hear(self, samples: Floats) -> Iterator[Passage]:
        """Take speech as `push` does; iterate to get what became certain."""
        if not self._heard:
            self._begin_to_hear()
        self._heard += len(samples)
        if self._blocks is None:
            with self._synthesizer.renderer.timed("features"):
                self._keep(self._hearing.push(samples))
            yield from self._pass(self._known)
            return
        # Piece by piece, or the first frame would wait for the windows of the last.
        for start in range(0, len(samples), ENCODED):
            piece = samples[start : start + ENCODED]
            with self._synthesizer.renderer.timed("features"):
                self._keep(self._hearing.push(piece))
            with self._synthesizer.renderer.timed("encoder"):
                self._take(self._blocks.push(piece))
            yield from self._pass(self._known - self._known % BLOCK)

    def end(self) -> Iterator[Passage]:
        """End the utterance: the remaining passages."""
        with self._synthesizer.renderer.timed("features"):
            self._keep(self._hearing.flush())
        if self._blocks:
            with self._synthesizer.renderer.timed("encoder"):
                self._take(self._blocks.flush())
        total = -(-self._heard // SAMPLES_PER_FRAME)
        missing = 4 * total + FUTURE - (self._first + len(self._features))
        if len(self._features) and missing > 0:
            self._features = np.concatenate([self._features, self._features[-1:].repeat(missing, axis=0)])
        self._total = total or None
        yield from self._pass(total)

    def draw(self, passage: Passage) -> Iterator[Frame]:
        """The frames of a passage."""
        with self._synthesizer.renderer.timed("motion"):
            coefficients = self._settle(self._shapes(passage), passage)
        for first in range(0, len(passage), BATCH):
            yield from self._draw(coefficients[first : first + BATCH], passage.first + first, passage.total)

    def close(self) -> None:
        """Give back what the utterance holds; `flush` does, too."""
        self._reel.close()

    @property
    def _known(self) -> int:
        """How many frames can be told from the features so far."""
        return (self._first + len(self._features) - FUTURE) // 4 + 1

    def _begin_to_hear(self) -> None:
        """Whoever only draws what others have heard needs no encoder."""
        encoder = self._synthesizer.encoder
        self._blocks = BlockStream(encoder) if encoder else None

    def _take(self, tokens: Floats) -> None:
        ear = self._synthesizer.avatar.ear
        if ear and ear.motion.directions:
            self._directions.extend(ear.motion.directions(tokens))

    def _shapes(self, passage: Passage) -> Floats:
        avatar = self._synthesizer.avatar
        if passage.directions is None or avatar.ear is None:
            return avatar.motion.coefficients(passage.features, passage.told)
        return avatar.ear.motion.coefficients(passage.features, passage.told, passage.directions)

    def _keep(self, features: Floats) -> None:
        if len(features) and not len(self._features):
            self._features = features[:1].repeat(PAST, axis=0)
        self._features = np.concatenate([self._features, features])

    def _pass(self, until: int) -> Iterator[Passage]:
        while self._passed < until:
            count = min(LISTEN, until - self._passed)
            at = 4 * self._passed - PAST - self._first
            heard = self._features[at : at + 4 * count + PAST + FUTURE - 4]
            told = self._told.over(self._passed, count)
            passage = Passage(self._passed, heard, told, self._total, self._directions_of(count))
            self._passed += count
            yield passage
            self._forget()

    def _directions_of(self, count: int) -> Floats | None:
        """Of the next blocks, as many as so many frames need."""
        if self._blocks is None:
            return None
        return np.stack([self._directions.popleft() for _ in range(-(-count // BLOCK))])

    def _draw(self, coefficients: Floats, first: int, total: int | None) -> list[Frame]:
        end = first + len(coefficients)
        then = self._shown(end, end + BATCH if total is None else min(end + BATCH, total), total)
        return self._synthesizer.frames(self._reel, self._shown(first, end, total), coefficients, then)

    def _shown(self, first: int, end: int, total: int | None) -> Mix:
        """What the footage shows in some frames; the last ones turn into the idle loop."""
        mix = self._walk.at(range(self._start + first, self._start + end))
        if total is None or end <= total - FADE:
            return mix
        before = total - 1 - self._landing(total)
        idle = self._idle.at(range(first - before, end - before))
        share = np.clip((np.arange(first, end) + 1 - total + FADE) / FADE, 0, 1)
        return mix.faded(idle, share.astype(np.float32))

    def _landing(self, total: int) -> int:
        """Where an utterance of so many frames ends in the idle loop."""
        return self._walk.landing(self._start + total - 1)

    def _settle(self, coefficients: Floats, passage: Passage) -> Floats:
        """Give the mouth its amplitude; lead it out of rest at the beginning and back to it at the end."""
        avatar = self._synthesizer.avatar
        coefficients = self._expression.shape(coefficients, avatar.rest, avatar.shape.aperture)
        index = passage.first + np.arange(len(passage))
        edge = index + 1 if passage.total is None else np.minimum(index + 1, passage.total - index)
        weight = np.clip(edge / (BLEND + 1), 0, 1)
        weight = (weight * weight * (3 - 2 * weight))[:, None]
        return (avatar.rest + weight * (coefficients - avatar.rest)).astype(np.float32)

    def _forget(self) -> None:
        spare = 4 * self._passed - PAST - self._first
        if spare > 0:
            self._features, self._first = self._features[spare:], self._first + spare
