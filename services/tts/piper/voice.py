"""A voice of Piper's in memory."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from services.common.arrays import Floats, Samples
from services.tts import espeak_ng, phonemes
from services.tts.espeak_ng import Clause
from services.tts.phonemic import FIRST_S, PhonemicVoice, Sound, session
from services.tts.piper.files import Files, speaker_of, wrong
from services.tts.piper.graph import SPEAKER, chunks, part

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PAD, _BEGIN, _END = "_", "^", "$"
_FLOW_CONTEXT = 32  # frames to each side: four couplings of four convolutions that see two
_CONTEXT = 16  # frames to each side that a frame depends on: twelve in the networks of middle quality, measured
_FIRST_PHONES, _MOST_PHONES = 24, 60
_SHUT_S = (-0.06, 0.01)  # a network's b, m or p begins where the lips open: docs/voices.md


class Voice(PhonemicVoice):
    """A voice of Piper's; the first piece of a sentence is there before the rest is drawn.

    Args:
        threads: how many processors a computation uses.
        speaker: name or number of one of several; empty for the first.

    Raises:
        WrongVoice: the network cannot be used, or has no such speaker.
    """

    def __init__(self, files: Files, *, threads: int, speaker: str = "") -> None:
        config, number = files.config, speaker_of(files, speaker)
        super().__init__(
            espeak_ng.voices()[config.espeak.voice], config.audio.sample_rate, _SHUT_S,
            first_phones=_FIRST_PHONES, most_phones=_MOST_PHONES,
        )  # fmt: skip
        self._config = config
        self._who: dict[str, Any] = {} if number is None else {SPEAKER: np.array([number], np.int64)}
        self._parts, broken = part(files.network), wrong(files.network.name, "ONNX Runtime cannot read it")
        self._encoder = session(self._parts.encoder, threads, broken)
        self._flow = session(self._parts.flow, threads, broken)
        self._vocoder = session(self._parts.vocoder, threads, broken)
        self._hop = self._measured_hop()
        self.warm()

    def _measured_hop(self) -> int:
        """Samples to a frame."""
        latent, _ = self._encoded([], 1.0)
        count = int(latent.shape[2])
        return len(self._draw(self._flowed(latent, 0, count))) // count

    def _sound(self, clauses: Sequence[Clause], rate: float, first_s: float = FIRST_S) -> Sound:
        latent, durations_and_owners = self._encoded(clauses, rate)
        durations, owners = durations_and_owners
        frame_s = self._hop / self._config.audio.sample_rate
        edges = np.concatenate([[0], np.cumsum(durations)]) * frame_s
        starts = edges[np.searchsorted(owners, range(sum(map(phonemes.size, clauses))))]
        return Sound(self._drawn(latent, max(round(first_s / frame_s), 1)), starts.tolist(), latent.shape[2] * frame_s)

    def _encoded(self, clauses: Sequence[Clause], rate: float) -> tuple[Floats, tuple[Floats, list[int]]]:
        """What is said in the frames (1, channels, n) of some clauses; how many each symbol lasts, and its phone."""
        symbols, owners = self._symbols(clauses)
        settings = self._config.inference
        inputs: dict[str, Any] = {
            "input": np.array([symbols], np.int64),
            "input_lengths": np.array([len(symbols)], np.int64),
            "scales": np.array([settings.noise_scale, settings.length_scale / rate, settings.noise_w], np.float32),
        }
        latent, durations = self._encoder.run([self._parts.latent, self._parts.durations], inputs | self._who)
        return latent, (durations.reshape(-1), owners)

    def _symbols(self, clauses: Sequence[Clause]) -> tuple[list[int], list[int]]:
        """Numbers of the symbols, and for each the phone that it is part of or follows, -1 before the first."""
        known = self._config.phoneme_id_map
        pad = known.get(_PAD, (0,))
        told = [(-1, number) for number in chain(known.get(_BEGIN, ()), pad)]
        for letter, owner in _letters(clauses):
            if letter in known:
                told += [(owner, number) for number in chain(known[letter], pad)]
        told += [(told[-1][0], number) for number in known.get(_END, ())]
        return [number for _, number in told], [owner for owner, _ in told]

    def _drawn(self, latent: Floats, first: int) -> Iterator[tuple[Samples, bool]]:
        """The sound of frames, piece by piece, as if it were drawn at once; each with whether it is the last. `first`
        is how many frames the first piece has; those after it go through the flow when that has been given."""
        count = latent.shape[2]
        frames = latent[:, :, :0]
        for start, end in chunks(count, first):
            left, right = max(start - _CONTEXT, 0), min(end + _CONTEXT, count)
            if right > (known := frames.shape[2]):
                frames = np.concatenate([frames, self._flowed(latent, known, count if known else right)], axis=2)
            sound = self._draw(frames[:, :, left:right])
            yield sound[(start - left) * self._hop : (end - left) * self._hop], end == count

    def _flowed(self, latent: Floats, start: int, end: int) -> Floats:
        """What the frames from `start` up to `end` sound like."""
        left, right = max(start - _FLOW_CONTEXT, 0), min(end + _FLOW_CONTEXT, latent.shape[2])
        mask = np.ones((1, 1, right - left), np.float32)
        given = {self._parts.latent: latent[:, :, left:right], self._parts.mask: mask}
        frames: Floats = self._flow.run(None, given | self._known_to(self._flow))[0]
        return frames[:, :, start - left : end - left]

    def _draw(self, frames: Floats) -> Samples:
        given = {self._parts.frames: frames} | self._known_to(self._vocoder)
        sound: Samples = self._vocoder.run(None, given)[0].reshape(-1)
        return sound

    def _known_to(self, network: InferenceSession) -> dict[str, Any]:
        """Who speaks, where a part of the network asks for it."""
        return self._who if any(each.name == SPEAKER for each in network.get_inputs()) else {}


def _letters(clauses: Sequence[Clause]) -> Iterator[tuple[str, int]]:
    """The symbols of clauses as Piper writes them, each with the phone that it is part of or follows."""
    owner = -1
    for clause in clauses:
        for group in clause.groups:
            if owner >= 0:
                yield " ", owner
            for phone in group:
                owner += 1
                yield from ((letter, owner) for letter in unicodedata.normalize("NFD", phone))
        if clause.mark:
            yield clause.mark, owner
