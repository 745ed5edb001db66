"""Finds where speech begins and ends in a stream of 16 kHz audio, whatever engine recognises it.

WebRTC's detector judges single frames; it fires on clicks and pauses between words, and takes loud steady noise for
speech. `Endpointer` adds what an utterance needs: frames that stand out of the noise, an onset that must last, a
little audio from before it, and a pause (the hangover) that must last before the end. Long speech is cut at shorter and
shorter pauses, so nobody who talks without end fills the memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import webrtcvad

from services.asr.engine import SAMPLE_RATE

FRAME_MS = 20
FRAME_BYTES = SAMPLE_RATE * FRAME_MS // 1000 * 2
FRAME_SAMPLES = FRAME_BYTES // 2
_GOES_ON_FRAMES = 5  # between two reports that speech goes on
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


class Endpointer:
    """Splits a stream into utterances.

    Args:
        hangover_ms: how long a pause ends an utterance.
        min_speech_ms: shorter noises than this are no speech.
        pre_roll_ms: how much audio before the onset belongs to the utterance (soft consonants are found late).
        max_speech_ms: utterances end by this length; from half of it on, ever shorter pauses will do.
        aggressiveness: of WebRTC's detector, 0 (hears speech everywhere) to 3.
        min_level_dbfs: quieter frames are silence, whatever the detector says.
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
    ) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)
        self._hangover = _frames(hangover_ms)
        self._min_speech = _frames(min_speech_ms)
        self._max_speech = _frames(max_speech_ms)
        self._min_power = 32768**2 * 10 ** (min_level_dbfs / 10)
        self._floor = _NoiseFloor()
        # An onset is `min_speech` of voiced frames among a few more, so a frame the detector misses does not hide it.
        self._onset: deque[bool] = deque(maxlen=self._min_speech + max(1, self._min_speech // 3))
        self._before: deque[bytes] = deque(maxlen=_frames(pre_roll_ms) + self._onset.maxlen)
        self._remainder = b""
        self._position = 0  # frames judged so far
        self._spoken = 0  # frames of the current utterance; 0 outside of one
        self._last_voiced = 0  # one past the last voiced frame
        self._reported = 0  # the last frame that it was told of that speech goes on

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
        voiced = self._is_voiced(frame)
        start = self._position * FRAME_SAMPLES
        self._position += 1
        if voiced:
            self._last_voiced = self._position
        if self._spoken:
            self._spoken += 1
            if voiced and self._position - self._reported >= _GOES_ON_FRAMES:
                self._reported = self._position
                yield SpeechGoesOn(self._position * FRAME_SAMPLES)
            yield Speech(start, frame)
            if self._position - self._last_voiced >= self._patience():
                yield from self._end()
            return
        self._before.append(frame)
        self._onset.append(voiced)
        if sum(self._onset) >= self._min_speech:
            yield from self._start()

    def _is_voiced(self, frame: bytes) -> bool:
        power = float(np.mean(np.frombuffer(frame, np.int16).astype(np.float32) ** 2))
        stands_out = power >= max(self._min_power, _ABOVE_FLOOR * self._floor.power)
        self._floor.push(power)
        return self._vad.is_speech(frame, SAMPLE_RATE) and stands_out  # the detector learns from every frame

    def _patience(self) -> int:
        """Frames of pause that end the utterance: the hangover, then ever fewer as `max_speech` comes near."""
        half = self._max_speech / 2
        left = min(1.0, max(0.0, (self._max_speech - self._spoken) / half))
        return round(self._hangover * left)

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
    """The same events with contiguous audio in one piece."""
    joined: list[Event] = []
    for is_speech, group in groupby(events, key=lambda event: isinstance(event, Speech)):
        run = list(group)
        joined += [Speech(run[0].sample_index, b"".join(speech.pcm for speech in run))] if is_speech else run
    return joined
