"""A voice that speaks phonemes: a sentence in pieces, with the times of its words and of its shut lips.

What a network is told, and what it answers, is its own (`piper`, `kokoro`); all else is the same for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from services.common.arrays import Samples
from services.common.audio import Resampler
from services.common.engine import Lack
from services.tts import espeak_ng, loudness, phonemes, timing, world
from services.tts.engine import LipClosure, SpokenWord
from services.tts.espeak_ng import Clause

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SAMPLE_RATE = world.SAMPLE_RATE
FIRST_S = 0.28  # of the first piece of a sentence, where it is heard as it is
_REMEDY = "Set {setting} to a voice of the catalogue, or the folder of one; docs/models.md says where they are had."
_WARMING = "She had your dark suit in greasy wash water all year, but five big boys may choose to jump."


class WrongVoice(Exception):
    """There is no voice that can be used; `lack` says what is wrong with which file."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.reason)
        self.lack = lack


def wrong(file: str, what: str, setting: str) -> WrongVoice:
    """A file of the voice that `setting` names cannot be used."""
    values = {"file": file, "what": what, "setting": setting}
    message = f"{file} of its voice cannot be used: {what}."
    return WrongVoice(Lack("VOICE_MODEL_WRONG", message, _REMEDY.format(setting=setting), values))


def missing(file: str, setting: str) -> WrongVoice:
    """A file of the voice that `setting` names is not there."""
    values = {"file": file, "setting": setting}
    message = f"{file} of its voice is missing."
    return WrongVoice(Lack("VOICE_MODEL_INCOMPLETE", message, _REMEDY.format(setting=setting), values))


@dataclass(frozen=True)
class Spoken:
    """A piece of a sentence; times in seconds from its start."""

    samples: Samples  # at SAMPLE_RATE
    words: tuple[SpokenWord, ...]  # those that begin in it
    closures: tuple[LipClosure, ...]  # likewise


@dataclass(frozen=True)
class Sound:
    """What a network makes of a part of a sentence; times in seconds from its start."""

    drawn: Iterator[tuple[Samples, bool]]  # at the network's own rate, piece by piece, each with whether it is the last
    starts_s: Sequence[float]  # of each phone
    seconds: float


@dataclass(frozen=True)
class _Part:
    """A part of a sentence, and what is said in it; times in seconds from its start."""

    sound: Sound
    words: tuple[tuple[str, float], ...]
    closures: tuple[tuple[float, float], ...]
    pause_s: float  # after it


class PhonemicVoice(ABC):
    """A voice. Several threads may call it.

    Args:
        espeak_voice: by which text becomes phonemes, e.g. `gmw/en-US`.
        sample_rate: of the network.
        shut_s: the seconds around the time at which the network begins a b, m or p in which lips are shut.
        most_phones: that it is given at once; of a longer sentence `first_phones` at least come first.
    """

    def __init__(
        self, espeak_voice: str, sample_rate: int, shut_s: tuple[float, float], *, first_phones: int, most_phones: int
    ) -> None:
        self._espeak_voice, self._rate, self._shut_s = espeak_voice, sample_rate, shut_s
        self._first_phones, self._most_phones = first_phones, most_phones
        self._gain, self._peak = 1.0, 0.0

    @abstractmethod
    def _sound(self, clauses: Sequence[Clause], rate: float, first_s: float = FIRST_S) -> Sound:
        """Some clauses, spoken faster by `rate`, the first piece about so long where there are pieces."""

    def warm(self) -> None:
        """Speak a sentence, and learn from it the level of the voice, so that no piece has to wait for the loudest."""
        drawn = self._sound(espeak_ng.clauses(_WARMING, self._espeak_voice), 1.0).drawn
        sound = np.concatenate([samples for samples, _ in drawn])
        self._gain, self._peak = loudness.gain(sound, self._rate), float(np.abs(sound).max())

    def speak(self, sentence: str, rate: float = 1.0, first_s: float = FIRST_S) -> Iterator[Spoken]:
        """One sentence in pieces that follow each other without a gap, with its pause.

        Args:
            first_s: speech that the first piece shall have about: less is there sooner, and all of it later.
        """
        reading = phonemes.read(sentence, self._espeak_voice)
        total, begun = sum(map(phonemes.size, reading.clauses)), 0
        for clauses in phonemes.parts(reading.clauses, self._first_phones, self._most_phones):
            end = begun + sum(map(phonemes.size, clauses))
            words = [(text, place - begun) for text, place in reading.words if begun <= place < end]
            pause_s = timing.pause_s(sentence if end == total else clauses[-1].mark) / rate
            yield from self._pieces(self._part(clauses, words, rate, first_s, pause_s))
            begun = end

    def whole(self, sentence: str, rate: float = 1.0) -> Spoken:
        """The same in one piece, for what has to hear all of a sentence before it can say anything."""
        pieces = list(self.speak(sentence, rate))
        begun = [0.0, *accumulate(len(piece.samples) / SAMPLE_RATE for piece in pieces)]
        later = [timing.later(piece.words, at) for piece, at in zip(pieces, begun, strict=False)]
        shut = [timing.later(piece.closures, at) for piece, at in zip(pieces, begun, strict=False)]
        samples = np.concatenate([np.zeros(0, np.float32), *(piece.samples for piece in pieces)])
        return Spoken(samples, tuple(chain(*later)), tuple(chain(*shut)))

    def _part(
        self, clauses: Sequence[Clause], words: Sequence[tuple[str, int]], rate: float, first_s: float, pause_s: float
    ) -> _Part:
        sound = self._sound(clauses, rate, first_s)
        phones = [phone for clause in clauses for group in clause.groups for phone in group]
        timed = tuple((text, sound.starts_s[place]) for text, place in words)
        return _Part(sound, timed, _lips(phones, sound.starts_s, self._shut_s, rate), pause_s)

    def _pieces(self, part: _Part) -> Iterator[Spoken]:
        """Pieces of a part at our rate and level, without the silence around it, with what begins in each."""
        cut_s, told_s = 0.0, 0.0  # before the speech begins; of what has been given
        for sound, is_last in _resampled(part.sound.drawn, self._rate):
            start, end = loudness.sounding_span(sound, SAMPLE_RATE, self._peak or None)
            if not told_s and not end and not is_last:
                cut_s += len(sound) / SAMPLE_RATE
                continue
            cut_s += start / SAMPLE_RATE if not told_s else 0
            sound = loudness.bent(sound[0 if told_s else start : end if is_last else None] * self._gain)
            sound = loudness.faded(sound, SAMPLE_RATE, begins=not told_s, ends=is_last)
            seconds = len(sound) / SAMPLE_RATE
            clock = timing.Clock(cut_s, 1.0, told_s + seconds if is_last else part.sound.seconds)
            if is_last:
                sound = np.concatenate([sound, timing.silence(part.pause_s, SAMPLE_RATE)])
            yield _piece(sound, part, clock, told_s, np.inf if is_last else told_s + seconds)
            told_s += seconds


def _piece(samples: Samples, part: _Part, clock: timing.Clock, start_s: float, end_s: float) -> Spoken:
    """With the words and closures that begin between these seconds of the part."""
    words = [word for word in timing.words(part.words, clock) if start_s <= word.start_s < end_s]
    closures = [span for span in timing.closures(part.closures, clock) if start_s <= span.start_s < end_s]
    return Spoken(samples, timing.later(words, -start_s), timing.later(closures, -start_s))


def _lips(
    phones: Sequence[str], starts_s: Sequence[float], shut_s: tuple[float, float], rate: float
) -> tuple[tuple[float, float], ...]:
    """When the lips are shut: between two of their sounds they stay so."""
    before, after = (second / rate for second in shut_s)
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


def session(network: bytes, threads: int, broken: WrongVoice) -> InferenceSession:
    """A network ready to run, on processors.

    Raises:
        WrongVoice: `broken`, if ONNX Runtime cannot read it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the processors
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise broken from error
