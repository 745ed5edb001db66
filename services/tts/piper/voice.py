"""A voice of Piper's in memory: speaks a sentence in pieces, with the times of its words and of its shut lips."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np

from services.common.arrays import Floats, Samples
from services.common.audio import Resampler
from services.tts import espeak_ng, loudness, phonemes, timing, world
from services.tts.engine import LipClosure, SpokenWord
from services.tts.espeak_ng import Clause
from services.tts.piper.files import Files, speaker_of, wrong
from services.tts.piper.graph import SPEAKER, chunks, part

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLE_RATE = world.SAMPLE_RATE
_PAD, _BEGIN, _END = "_", "^", "$"
_WARMING = "She had your dark suit in greasy wash water all year, but five big boys may choose to jump."
_FIRST_FRAMES = 24  # a quarter of a second
_CONTEXT = 16  # frames to each side that a frame depends on: twelve in the networks of middle quality, measured
_FIRST_PHONES, _MOST_PHONES = 24, 60  # a longer sentence is encoded in two parts, the first of at least so many
_SHUT_S = (-0.06, 0.01)  # around the time of a b, m or p, which is that of its opening: docs/voices.md


@dataclass(frozen=True)
class Spoken:
    """A piece of a sentence; times in seconds from its start."""

    samples: Samples  # at SAMPLE_RATE
    words: tuple[SpokenWord, ...]  # those that begin in it
    closures: tuple[LipClosure, ...]  # likewise


@dataclass(frozen=True)
class _Part:
    """A part of a sentence, encoded and not yet drawn; times in seconds from its start."""

    frames: Floats  # (1, channels, n)
    seconds: float
    words: tuple[tuple[str, float], ...]
    closures: tuple[tuple[float, float], ...]
    pause_s: float  # after it


class Voice:
    """A voice. Several threads may call it.

    Args:
        threads: how many processors a computation uses.
        speaker: name or number of one of several; empty for the first.

    Raises:
        WrongVoice: the network cannot be used, or has no such speaker.
    """

    def __init__(self, files: Files, *, threads: int, speaker: str = "") -> None:
        number = speaker_of(files, speaker)
        self._config = files.config
        self._who: dict[str, Any] = {} if number is None else {SPEAKER: np.array([number], np.int64)}
        self._espeak_voice = espeak_ng.voices()[files.config.espeak.voice]
        halves = part(files.network)
        self._frames, self._durations = halves.frames, halves.durations
        self._encoder = _session(halves.encoder, threads, files.network.name)
        self._vocoder = _session(halves.vocoder, threads, files.network.name)
        self._gain, self._peak, self._hop = 1.0, 0.0, 0  # the hop: samples to a frame
        self._warm()

    def _warm(self) -> None:
        """Learn from a sentence what level the voice has, so that no piece has to wait for the loudest."""
        clauses = phonemes.read(_WARMING, self._espeak_voice).clauses
        frames, _ = self._encoded(clauses, 1.0)
        sound = self._draw(frames)
        self._hop = len(sound) // frames.shape[2]
        self._gain = loudness.gain(sound, self._config.audio.sample_rate)
        self._peak = float(np.abs(sound).max())

    def speak(self, sentence: str, rate: float = 1.0) -> Iterator[Spoken]:
        """One sentence in pieces that follow each other without a gap, the first soon, with its pause."""
        reading = phonemes.read(sentence, self._espeak_voice)
        total, begun = sum(map(phonemes.size, reading.clauses)), 0
        for clauses in phonemes.parts(reading.clauses, _FIRST_PHONES, _MOST_PHONES):
            end = begun + sum(map(phonemes.size, clauses))
            words = [(text, place - begun) for text, place in reading.words if begun <= place < end]
            pause_s = timing.pause_s(sentence if end == total else clauses[-1].mark) / rate
            yield from self._pieces(self._part(clauses, words, rate, pause_s))
            begun = end

    def whole(self, sentence: str, rate: float = 1.0) -> Spoken:
        """The same in one piece, for what has to hear all of a sentence before it can say anything."""
        pieces = list(self.speak(sentence, rate))
        begun = [0.0, *accumulate(len(piece.samples) / SAMPLE_RATE for piece in pieces)]
        later = [timing.later(piece.words, at) for piece, at in zip(pieces, begun, strict=False)]
        shut = [timing.later(piece.closures, at) for piece, at in zip(pieces, begun, strict=False)]
        samples = np.concatenate([np.zeros(0, np.float32), *(piece.samples for piece in pieces)])
        return Spoken(samples, tuple(chain(*later)), tuple(chain(*shut)))

    def _part(self, clauses: Sequence[Clause], words: Sequence[tuple[str, int]], rate: float, pause_s: float) -> _Part:
        frames, starts_s = self._encoded(clauses, rate)
        seconds = frames.shape[2] * self._hop / self._config.audio.sample_rate
        phones = [phone for clause in clauses for group in clause.groups for phone in group]
        timed = tuple((text, starts_s[place]) for text, place in words)
        return _Part(frames, seconds, timed, _lips(phones, starts_s, rate), pause_s)

    def _encoded(self, clauses: Sequence[Clause], rate: float) -> tuple[Floats, list[float]]:
        """Frames of some clauses, and the second that each phone begins at."""
        symbols, owners = self._symbols(clauses)
        settings = self._config.inference
        inputs: dict[str, Any] = {
            "input": np.array([symbols], np.int64),
            "input_lengths": np.array([len(symbols)], np.int64),
            "scales": np.array([settings.noise_scale, settings.length_scale / rate, settings.noise_w], np.float32),
        }
        frames, durations = self._encoder.run([self._frames, self._durations], inputs | self._who)
        edges = np.concatenate([[0], np.cumsum(durations.reshape(-1))]) * self._hop / self._config.audio.sample_rate
        phones = range(sum(map(phonemes.size, clauses)))
        return frames, edges[np.searchsorted(owners, phones)].tolist()

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

    def _drawn(self, frames: Floats) -> Iterator[tuple[Samples, bool]]:
        """The sound of frames, piece by piece, as if it were drawn at once; each with whether it is the last."""
        count = frames.shape[2]
        for start, end in chunks(count, _FIRST_FRAMES):
            left, right = max(start - _CONTEXT, 0), min(end + _CONTEXT, count)
            sound = self._draw(frames[:, :, left:right])
            yield sound[(start - left) * self._hop : (end - left) * self._hop], end == count

    def _draw(self, frames: Floats) -> Samples:
        who = self._who if len(self._vocoder.get_inputs()) > 1 else {}
        sound: Samples = self._vocoder.run(None, {self._frames: frames, **who})[0].reshape(-1)
        return sound

    def _pieces(self, part: _Part) -> Iterator[Spoken]:
        """Pieces of a part at our rate and level, without the silence around it, with what begins in each."""
        cut_s, told_s = 0.0, 0.0  # before the speech begins; of what has been given
        for sound, is_last in _resampled(self._drawn(part.frames), self._config.audio.sample_rate):
            start, end = loudness.sounding_span(sound, SAMPLE_RATE, self._peak or None)
            if not told_s and not end and not is_last:
                cut_s += len(sound) / SAMPLE_RATE
                continue
            cut_s += start / SAMPLE_RATE if not told_s else 0
            sound = sound[0 if told_s else start : end if is_last else None] * self._gain
            sound = loudness.faded(sound, SAMPLE_RATE, begins=not told_s, ends=is_last)
            seconds = len(sound) / SAMPLE_RATE
            clock = timing.Clock(cut_s, 1.0, told_s + seconds if is_last else part.seconds)
            if is_last:
                sound = np.concatenate([sound, timing.silence(part.pause_s, SAMPLE_RATE)])
            yield _piece(sound, part, clock, told_s, np.inf if is_last else told_s + seconds)
            told_s += seconds


def _piece(samples: Samples, part: _Part, clock: timing.Clock, start_s: float, end_s: float) -> Spoken:
    """With the words and closures that begin between these seconds of the part."""
    words = [word for word in timing.words(part.words, clock) if start_s <= word.start_s < end_s]
    closures = [span for span in timing.closures(part.closures, clock) if start_s <= span.start_s < end_s]
    return Spoken(samples, timing.later(words, -start_s), timing.later(closures, -start_s))


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


def _lips(phones: Sequence[str], starts_s: Sequence[float], rate: float) -> tuple[tuple[float, float], ...]:
    """When the lips are shut: between two of their sounds they stay so."""
    before, after = (second / rate for second in _SHUT_S)
    spans: list[tuple[float, float]] = []
    for at, (phone, start) in enumerate(zip(phones, starts_s, strict=True)):
        if espeak_ng.shuts_lips(phone):
            goes_on = spans and (espeak_ng.shuts_lips(phones[at - 1]) or spans[-1][1] >= start + before)
            begun = spans.pop()[0] if goes_on else max(start + before, 0)
            spans.append((begun, start + after))
    return tuple(spans)


def _resampled(drawn: Iterator[tuple[Samples, bool]], rate: int) -> Iterator[tuple[Samples, bool]]:
    """The same pieces at our rate."""
    resampler = Resampler(rate, SAMPLE_RATE)
    for sound, is_last in drawn:
        known = resampler.push(sound)
        yield np.concatenate([known, resampler.flush()]) if is_last else known, is_last


def _session(network: bytes, threads: int, file: str) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the processors
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise wrong(file, "ONNX Runtime cannot read it") from error
