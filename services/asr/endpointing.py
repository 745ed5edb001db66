"""Finds where speech begins and ends in a stream of 16 kHz audio, whatever engine recognises it.

WebRTC's detector judges single frames; it fires on clicks and pauses between words, and takes loud steady noise for
speech. `Endpointer` adds what an utterance needs: frames that stand out of the noise, an onset that must last, a
little audio from before it, and a pause (the hangover) that must last before the end. Long speech is cut at shorter and
shorter pauses, so nobody who talks without end fills the memory.

Two models make it better where they are there (`services/asr/detectors.py`). WebRTC's detector hears a voice begin
sooner than any; whether it is one, and where it pauses, another tells better. And early in a pause it can be asked
whether the speaker has finished: if surely so, nobody waits for the hangover; if surely not, it is half as long again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

import numpy as np
import webrtcvad

from services.asr.engine import SAMPLE_RATE

FRAME_MS = 20
FRAME_BYTES = SAMPLE_RATE * FRAME_MS // 1000 * 2
FRAME_SAMPLES = FRAME_BYTES // 2
_GOES_ON_FRAMES = 5  # between two reports that speech goes on
_PAUSE_FRAMES = 6  # without a voice; those inside of words are shorter …
_SILENT_FRAMES = 3  # … and so many are enough in which nothing at all is heard: whatever ends softly has ended
_ASK_FRAMES = 10  # of a pause, after which it is asked whether the speaker has finished
_FINISHED, _UNFINISHED = 0.9, 0.1  # from this probability on, and up to this, that is sure
_STRETCH = 1.5  # how many hangovers the pause of somebody lasts who surely has not finished
_ASKED_FRAMES = 8000 // FRAME_MS  # of the utterance's end, by which that is told
_IS_VOICE = 0.5  # probability from which a frame counts as voiced …
_MAY_BE_VOICE = 0.3  # … and without which, in so many frames, nothing begins
_HEARD_FRAMES = 5
_FLOOR_SMOOTHING_FRAMES = 5
_FLOOR_MEMORY_FRAMES = 150  # long enough that somebody who talks pauses in it
_ABOVE_FLOOR = 10 ** (6 / 10)


@dataclass(frozen=True)
class SpeechStarted:
    """Someone began to speak at `sample_index`, counted from the first sample pushed."""

    sample_index: int


@dataclass(frozen=True)
class Speech:
    """Audio of the utterance, including what lies just before its start; chunks of an utterance are contiguous."""

    sample_index: int
    pcm: bytes
    is_pause: bool = False
    """Nobody has been heard for a moment: unless somebody goes on, the utterance is over."""


@dataclass(frozen=True)
class SpeechGoesOn:
    """The utterance that has started is still being spoken at `sample_index`."""

    sample_index: int


@dataclass(frozen=True)
class SpeechEnded:
    """The utterance's last speech ended at `sample_index`; the hangover after it was over at `known_index`."""

    sample_index: int
    known_index: int


Event = SpeechStarted | SpeechGoesOn | Speech | SpeechEnded


class VoiceDetector(Protocol):
    """Tells voices from other sound, in one stream."""

    def voice_probability(self, pcm: bytes) -> float:
        """How probable a voice is at the end of what comes next: signed 16-bit mono at 16 kHz."""


class Endpointer:
    """Splits a stream into utterances.

    Args:
        hangover_ms: how long a pause ends an utterance.
        min_speech_ms: shorter noises than this are no speech.
        pre_roll_ms: how much audio before the onset belongs to the utterance (soft consonants are found late).
        max_speech_ms: utterances end by this length; from half of it on, ever shorter pauses will do.
        aggressiveness: of WebRTC's detector, 0 (hears speech everywhere) to 3.
        min_level_dbfs: quieter frames are silence, whatever the detector says.
        voice: tells whether an utterance pauses, and what sounds like speech to WebRTC's detector and is none; None to
            do without.
        has_finished: tells how probable it is that a speaker who pauses has finished, by the utterance's last 8 s as
            signed 16-bit mono at 16 kHz; None to wait for the hangover.
    """

    def __init__(
        self,
        *,
        hangover_ms: int = 600,
        min_speech_ms: int = 80,
        pre_roll_ms: int = 240,
        max_speech_ms: int = 20_000,
        aggressiveness: int = 1,
        min_level_dbfs: float = -55.0,
        voice: VoiceDetector | None = None,
        has_finished: Callable[[bytes], float] | None = None,
    ) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)
        self._voice, self._has_finished = voice, has_finished
        self._hangover = _frames(hangover_ms)
        self._min_speech = _frames(min_speech_ms)
        self._max_speech = _frames(max_speech_ms)
        self._min_power = 32768**2 * 10 ** (min_level_dbfs / 10)
        self._floor = _NoiseFloor()
        # An onset is `min_speech` of voiced frames among a few more, so a frame the detector misses does not hide it.
        onset_frames = self._min_speech + max(1, self._min_speech // 3)
        self._onset: deque[bool] = deque(maxlen=onset_frames)
        self._before: deque[bytes] = deque(maxlen=_frames(pre_roll_ms) + onset_frames)
        self._heard: deque[float] = deque(maxlen=_HEARD_FRAMES)  # how probable a voice was, frame by frame
        self._silent = 0  # frames that did not stand out of the noise, up to now
        self._remainder = b""
        self._position = 0  # frames judged so far
        self._spoken = 0  # frames of the current utterance; 0 outside of one
        self._last_voiced = 0  # one past the last voiced frame
        self._reported = 0  # the last frame that it was told of that speech goes on
        self._said: deque[bytes] = deque(maxlen=_ASKED_FRAMES)  # of late
        self._pause = self._hangover  # frames that end the utterance unless somebody goes on

    def push(self, pcm: bytes) -> list[Event]:
        """Take signed 16-bit mono audio in pieces of any size; return what became known."""
        audio = self._remainder + pcm
        whole = len(audio) - len(audio) % FRAME_BYTES
        self._remainder = audio[whole:]
        events: list[Event] = []
        for start in range(0, whole, FRAME_BYTES):
            events.extend(self._judge(audio[start : start + FRAME_BYTES]))
        return _joined(events)

    def flush(self) -> list[Event]:
        """The stream is over: an open utterance ends here."""
        padding = -len(self._remainder) % FRAME_BYTES
        events = self.push(bytes(padding)) if self._remainder else []
        if self._spoken:
            events += self._end()
        return _joined(events)

    def _judge(self, frame: bytes) -> Iterator[Event]:
        begins, goes_on = self._is_voiced(frame)
        start = self._position * FRAME_SAMPLES
        self._position += 1
        self._said.append(frame)
        if goes_on if self._spoken else begins:
            self._last_voiced, self._pause = self._position, self._hangover
        if self._spoken:
            yield from self._follow(frame, start, goes_on)
            return
        self._before.append(frame)
        self._onset.append(begins)
        if sum(self._onset) >= self._min_speech and max(self._heard) >= _MAY_BE_VOICE:
            yield from self._start()

    def _follow(self, frame: bytes, start: int, voiced: bool) -> Iterator[Event]:
        """An utterance that has begun."""
        self._spoken += 1
        if voiced and self._position - self._reported >= _GOES_ON_FRAMES:
            self._reported = self._position
            yield SpeechGoesOn(self._position * FRAME_SAMPLES)
        paused = self._position - self._last_voiced
        yield Speech(start, frame, paused >= _PAUSE_FRAMES or min(paused, self._silent) >= _SILENT_FRAMES)
        if self._has_finished and paused == _ASK_FRAMES < self._hangover:
            self._pause = self._pause_after(self._has_finished(b"".join(self._said)))
        if paused >= self._patience():
            yield from self._end()

    def _pause_after(self, finished: float) -> int:
        """Frames of pause that end what is finished with some probability."""
        if finished >= _FINISHED:
            return _ASK_FRAMES
        return round(self._hangover * _STRETCH) if finished <= _UNFINISHED else self._hangover

    def _is_voiced(self, frame: bytes) -> tuple[bool, bool]:
        """Whether speech may begin with a frame, and whether what has begun goes on. The detectors learn from each."""
        power = float(np.mean(np.frombuffer(frame, np.int16).astype(np.float32) ** 2))
        stands_out = power >= max(self._min_power, _ABOVE_FLOOR * self._floor.power)
        self._silent = 0 if stands_out else self._silent + 1
        self._floor.push(power)
        begins = self._vad.is_speech(frame, SAMPLE_RATE) and stands_out
        self._heard.append(self._voice.voice_probability(frame) if self._voice else float(begins))
        return begins, self._heard[-1] > _IS_VOICE and power >= self._min_power

    def _patience(self) -> int:
        """Frames of pause that end the utterance: as many as usual, then ever fewer as `max_speech` comes near."""
        half = self._max_speech / 2
        left = min(1.0, max(0.0, (self._max_speech - self._spoken) / half))
        return round(self._pause * left)

    def _start(self) -> list[Event]:
        onset = self._position - len(self._onset) + self._onset.index(True)
        first = self._position - len(self._before)
        pcm = b"".join(self._before)
        self._spoken = len(self._before)
        self._reported = self._position
        self._forget()
        return [SpeechStarted(onset * FRAME_SAMPLES), Speech(first * FRAME_SAMPLES, pcm)]

    def _end(self) -> list[Event]:
        self._spoken = 0
        self._forget()
        return [SpeechEnded(self._last_voiced * FRAME_SAMPLES, self._position * FRAME_SAMPLES)]

    def _forget(self) -> None:
        self._before.clear()
        self._onset.clear()


class _NoiseFloor:
    """Power of the steady noise: the least that has been heard of late, since whoever speaks also pauses."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_FLOOR_SMOOTHING_FRAMES)
        self._smoothed: deque[float] = deque(maxlen=_FLOOR_MEMORY_FRAMES)

    def push(self, power: float) -> None:
        self._latest.append(power)
        if len(self._latest) == _FLOOR_SMOOTHING_FRAMES:
            self._smoothed.append(sum(self._latest) / _FLOOR_SMOOTHING_FRAMES)

    @property
    def power(self) -> float:
        return min(self._smoothed, default=0.0)


def _frames(milliseconds: int) -> int:
    return max(1, round(milliseconds / FRAME_MS))


def _joined(events: list[Event]) -> list[Event]:
    """The same events with contiguous audio of a kind in one piece."""
    joined: list[Event] = []
    for _, group in groupby(events, key=lambda event: (type(event), isinstance(event, Speech) and event.is_pause)):
        run = list(group)
        speech = [event for event in run if isinstance(event, Speech)]
        joined += [replace(speech[0], pcm=b"".join(each.pcm for each in speech))] if speech else run
    return joined
