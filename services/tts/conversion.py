"""Speech changed by WORLD while it is being spoken: given out in pieces, the first before a sentence has been heard.

Pieces are cut where nothing is voiced, so that no pulse of the voice is parted: there the noise of one piece fades into
that of the next. What depends on all of a sentence (level, pitch, where speech is) is known of the voices beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from services.common.arrays import Doubles, Indices, Samples
from services.tts import cloning, loudness, timing, world
from services.tts.engine import LipClosure, SpokenWord
from services.tts.phonemic import Spoken

_STEP = round(world.SAMPLE_RATE * world.FRAME_MS / 1000)  # samples a frame
_CONTEXT, _AHEAD = 20, 20  # frames around a piece that are analysed with it: what they lack of each other is not heard
_FADE = 2  # frames
_QUIET = 4  # unvoiced frames on either side of a cut
_FIRST_S, _GROWTH, _MOST_S = 0.45, 1.6, 1.5
_MORE = 1.5  # times as much is waited for where there is nowhere to cut
_PATIENCE_S = 2.5  # then it is cut in a voice, and heard


@dataclass(frozen=True)
class Change:
    """What becomes of speech.

    Attributes:
        person: whose voice it gets, if anybody's.
        pitch_mean: of the speech, log hertz, for `VoiceModel.convert`.
        resonances: by what they are multiplied, as of `world.stretched`.
        gain: of what comes out.
        by_halves: how the pitch is heard, as of `world.analyse`.
    """

    person: cloning.VoiceModel | None = None
    pitch_mean: float | None = None
    semitones: float = 0.0
    resonances: float = 1.0
    rate: float = 1.0
    gain: float = 1.0
    by_halves: bool = False

    def of(self, frames: world.Frames) -> world.Frames:
        """The frames, changed."""
        frames = self.person.convert(frames, self.pitch_mean) if self.person else frames
        frames = world.stretched(frames, self.resonances) if self.resonances != 1 else frames
        return cloning.shifted(frames, self.semitones)


def changed(pieces: Iterable[Spoken], change: Change) -> Iterator[Spoken]:
    """Pieces of a sentence, changed, with the words and closures that begin in each; cut anew."""
    conversion = Conversion(change)
    words: list[SpokenWord] = []
    closures: list[LipClosure] = []
    heard_s = told_s = 0.0

    def given(samples: Samples, until_s: float) -> Spoken:
        begun = (span for span in words if told_s <= span.start_s < until_s)
        shut = (span for span in closures if told_s <= span.start_s < until_s)
        return Spoken(samples, timing.later(begun, -told_s), timing.later(shut, -told_s))

    for piece in pieces:
        words += timing.faster(timing.later(piece.words, heard_s), change.rate)
        closures += timing.faster(timing.later(piece.closures, heard_s), change.rate)
        heard_s += len(piece.samples) / world.SAMPLE_RATE
        for sound in conversion.push(piece.samples):
            until_s = told_s + len(sound) / world.SAMPLE_RATE
            yield given(sound, until_s)
            told_s = until_s
    for sound in conversion.end():
        until_s = told_s + len(sound) / world.SAMPLE_RATE
        yield given(sound, until_s)
        told_s = until_s


class Conversion:
    """Changes speech that comes piece by piece, at `world.SAMPLE_RATE`."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._heard = np.zeros(0, np.float32)
        self._sounding = 0  # samples, up to the silence at the end
        self._given = 0  # frames
        self._wanted = round(_FIRST_S * world.SAMPLE_RATE)  # samples to look at, besides those ahead
        self._hop = float(self._wanted)
        self._tail = np.zeros(0, np.float32)  # what fades into the next piece

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Hear more; what can be given out by now. Silence is held back: it may be the last."""
        self._heard = np.concatenate([self._heard, samples])
        sounding = np.flatnonzero(samples)
        if len(sounding):
            self._sounding = len(self._heard) - len(samples) + int(sounding[-1]) + 1
        while self._ahead >= self._wanted + _AHEAD * _STEP:
            yield from self._piece()

    def end(self) -> Iterator[Samples]:
        """The rest. Silence at the end stays silent."""
        while self._ahead > 1.5 * self._wanted + _AHEAD * _STEP:
            yield from self._piece()
        rest = self._rest() if self._ahead > 0 else np.zeros(0, np.float32)
        pause = self._place(len(self._heard) / _STEP) - self._place(self._given) - len(rest)
        if len(self._heard):
            yield np.concatenate([rest, np.zeros(max(pause, 0), np.float32)])

    @property
    def _ahead(self) -> int:
        """Samples that sound and have not been given out."""
        return self._sounding - self._given * _STEP

    def _place(self, frame: float) -> int:
        """Where a frame lies in what is given out."""
        return round(frame * _STEP / self._change.rate)

    def _piece(self) -> Iterator[Samples]:
        """What can be given out of as much as is wanted; nothing where it has to be waited for more."""
        start = max(self._given - _CONTEXT, 0)
        first = self._given - start
        speech = self._heard[start * _STEP : self._given * _STEP + self._wanted + _AHEAD * _STEP]
        f0 = world.pitch(speech, self._change.by_halves)
        cut = _cut(speech, f0, first, is_patient=self._wanted < _PATIENCE_S * world.SAMPLE_RATE)
        if cut is None:
            self._wanted = round(self._wanted * _MORE)
            return
        frames = world.analyse(speech[: (cut + _AHEAD) * _STEP], f0=f0[: cut + _AHEAD + 1])
        sound = self._sound(self._change.of(frames), first, cut + _FADE)
        size = self._place(start + cut) - self._place(self._given)
        begins = not self._given
        piece, self._tail = self._joined(sound[:size]), sound[size:]
        self._given = start + cut
        self._hop = min(self._hop * _GROWTH, _MOST_S * world.SAMPLE_RATE)
        self._wanted = round(self._hop)
        yield loudness.faded(piece, world.SAMPLE_RATE, begins=begins, ends=False)

    def _rest(self) -> Samples:
        start = max(self._given - _CONTEXT, 0)
        frames = world.analyse(self._heard[start * _STEP : self._sounding], self._change.by_halves)
        size = self._place(self._sounding / _STEP) - self._place(self._given)
        sound = self._sound(self._change.of(frames), self._given - start, len(frames))[:size]
        return loudness.faded(self._joined(sound), world.SAMPLE_RATE, begins=not self._given)

    def _sound(self, frames: world.Frames, first: int, last: int) -> Samples:
        """Of some of the frames."""
        sound = world.synthesise(frames, self._change.rate)[self._place(first) : self._place(last)]
        return loudness.bent(sound * np.float32(self._change.gain))

    def _joined(self, sound: Samples) -> Samples:
        """The sound, faded in where the one before it fades out."""
        size = min(len(self._tail), len(sound))
        turn = np.linspace(0, np.pi / 2, size, dtype=np.float32)
        joined = sound.copy()
        joined[:size] = sound[:size] * np.sin(turn) + self._tail[:size] * np.cos(turn)
        return joined


def _cut(speech: Samples, f0: Doubles, first: int, is_patient: bool) -> int | None:
    """The frame at which a piece that begins with a frame can end: the quietest of those amid unvoiced ones."""
    places: Indices = np.arange(first + 2 * _CONTEXT, len(f0) - _AHEAD - 1)
    voiced = np.convolve(f0 > 0, np.ones(2 * _QUIET + 1), "same") > 0
    quiet = places[~voiced[places]]
    if not len(quiet) and (is_patient or not len(places)):
        return None
    among = quiet if len(quiet) else places[len(places) // 2 :]
    power = np.array([np.square(speech[(at - 1) * _STEP : (at + 1) * _STEP]).mean() for at in among])
    return int(among[np.argmin(power)])
