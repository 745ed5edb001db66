"""The avatar's own voice, taken out of what the microphone hears.

A loudspeaker that the microphone hears would make the avatar interrupt itself. The gateway knows what it sent and, from
the client's reports, what is being played; WebRTC's echo canceller (AEC3) learns what becomes of that on its way
through the room, and removes it. Two things it does are amiss here: it lets echo through for a moment while it learns,
and it dampens the beginnings of words spoken over the reply. So we also keep count of how loud the echo is, seen from
what is played. What is clearly louder is somebody speaking, and passes as it was heard; what is left of the rest after
cancelling passes unless it is too weak to be more than echo.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pywebrtc_audio
import soxr

from client.microphone import RATE

FRAME = RATE // 100
"""Samples that are cancelled at once, as many as AEC3 takes."""
AHEAD_S = 0.05
"""So far before its sound can be heard the canceller gets a sample: it finds later ones, never earlier ones."""
MAX_AHEAD_S = 0.25
UNREPORTED_S = 1.0
"""Whoever has not told for so long that it plays on has stopped."""
_WAY_FRAMES = 60
"""Echo lies within so many frames of what it comes from, reverberation included."""
_LEARNING_FRAMES = 150
_GAINS_KEPT = 600
_USUAL = 0.9
"""The quantile of its gains that stands for the echo: the loudest may have been somebody's voice, dampened."""
_FIRST_GAIN = 10 ** (-15 / 10)
"""Taken for that of the echo while the canceller learns: at first it removes anybody's voice, or nothing."""
_LOUDER = 10 ** (8 / 10)
_WEAKER = 10 ** (-6 / 10)
_AUDIBLE = (32768 * 10 ** (-60 / 20)) ** 2


class Sound:
    """What a reply sounds like, as it is made: one thread adds to it, another reads."""

    def __init__(self) -> None:
        self._resampler: soxr.ResampleStream | None = None
        self._samples = bytearray()

    def push(self, rate: int, pcm: bytes) -> None:
        """Add signed 16-bit mono PCM; `rate` stays the same."""
        self._resampler = self._resampler or soxr.ResampleStream(rate, RATE, 1, dtype="int16")
        self._samples += self._resampler.resample_chunk(np.frombuffer(pcm, "<i2")).tobytes()

    def read(self, start: int) -> np.ndarray:
        """A frame from this sample on, at 16 kHz; silence where there is none."""
        found = np.frombuffer(bytes(self._samples[2 * start : 2 * (start + FRAME)]), np.int16)
        return np.pad(found, (0, FRAME - len(found)))


class EchoCanceller:
    """Between a microphone and whoever listens to it."""

    def __init__(self) -> None:
        self._canceller = pywebrtc_audio.EchoCanceller(sample_rate=RATE)
        self._lock = threading.Lock()
        self._rest = b""
        self._sound: Sound | None = None
        self._position = self._end = 0  # samples of the sound: what the canceller gets next, and where it stops
        self._learned = 0  # frames with sound of a reply
        self._played: deque[float] = deque([0.0], maxlen=_WAY_FRAMES)  # their power
        self._gains: deque[float] = deque([0.0], maxlen=_GAINS_KEPT)  # of the echo, seen from what is played

    def play(self, sound: Sound) -> None:
        """A reply begins to be played, as far as anybody knows."""
        with self._lock:
            self._sound, self._position, self._end = sound, 0, round(UNREPORTED_S * RATE)

    def played(self, seconds: float) -> None:
        """Take a report of how much of it has been played."""
        told = round(seconds * RATE)
        with self._lock:
            if not 0 <= self._position - told <= MAX_AHEAD_S * RATE:
                self._position = told + round(AHEAD_S * RATE)
            self._end = told + round(UNREPORTED_S * RATE)

    def stop(self) -> None:
        """Nothing is played any more."""
        with self._lock:
            self._sound = None

    def clean(self, pcm: bytes) -> bytes:
        """What the microphone heard, without the reply: as much, up to 10 ms late."""
        audio = self._rest + pcm
        whole = len(audio) - len(audio) % (2 * FRAME)
        self._rest = audio[whole:]
        frames = np.frombuffer(audio[:whole], "<i2").reshape(-1, FRAME)
        return b"".join(self._frame(heard).tobytes() for heard in frames)

    def _frame(self, heard: np.ndarray) -> np.ndarray:
        played = self._next_played()
        self._played.append(_power(played))
        loudest = max(self._played)
        if loudest < _AUDIBLE:
            return heard
        left = self._canceller.process(heard, played)
        self._learned += 1
        if self._learned == _LEARNING_FRAMES:
            self._gains.clear()  # until now they may have been those of somebody's voice
        self._gains.append(max(0.0, _power(heard) - _power(left)) / loudest)
        gain = float(np.quantile(self._gains, _USUAL))
        echo = (_FIRST_GAIN if self._learned < _LEARNING_FRAMES else gain) * loudest
        if _power(heard) > _LOUDER * echo:
            return heard
        is_echo = self._learned < _LEARNING_FRAMES or _power(left) < _WEAKER * echo
        return np.zeros_like(left) if is_echo else left

    def _next_played(self) -> np.ndarray:
        with self._lock:
            if self._sound is None or self._position >= self._end:
                return np.zeros(FRAME, np.int16)
            self._position += FRAME
            return self._sound.read(self._position - FRAME)


def _power(frame: np.ndarray) -> float:
    return float(np.mean(frame.astype(np.float32) ** 2))
