"""The avatar's own voice, taken out of what the microphone hears.

A loudspeaker that the microphone hears would make the avatar interrupt itself. The gateway knows what it sent and, from
the client's reports, what is being played. How loud its echo can be is learned from how little the microphone hears
while a reply sounds: what is clearly louder is somebody speaking, and passes as it was heard. Of the rest, WebRTC's
echo canceller (AEC3) says how much is left without the echo. It only judges: it lets echo through while it learns, and
dampens a voice over the reply, with headphones on most of all.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pywebrtc_audio
import soxr

from client.talk.microphone import RATE

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
"""So many with sound of a reply AEC3 needs before it is believed."""
_FIRST_GAIN = 10 ** (-15 / 10)
"""Taken for that of the echo until its bound is known."""
_LOUDER = 10 ** (8 / 10)
_LEFT = 10 ** (-8 / 10)
"""AEC3 leaves more than this of a voice, and of an echo less."""
_WEAKER = 10 ** (-6 / 10)
_BLOCK = 10
"""Frames whose loudest one counts."""
_STEADY_BLOCKS = 8
"""A reply that sounds for so long is heard at the end of it, however long its way."""
_LAST_BLOCKS = 3
_STEADY = 10 ** (-12 / 10)
_BOUNDS_KEPT = 50
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

    @property
    def length(self) -> int:
        """Samples at 16 kHz that there are."""
        return len(self._samples) // 2

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
        self._untold: deque[tuple[int, float, float]] = deque()  # frames that it has not told of yet, for the bound
        self._is_paused = False
        self._learned = 0  # frames with sound of a reply
        self._played: deque[float] = deque([0.0], maxlen=_WAY_FRAMES)  # their power
        self._bound = _Bound()

    def play(self, sound: Sound) -> None:
        """A reply begins to be played, as far as anybody knows."""
        with self._lock:
            self._sound, self._position, self._end = sound, 0, round(UNREPORTED_S * RATE)
            self._jump()

    def played(self, seconds: float) -> None:
        """Take a report of how much of it has been played."""
        told = round(seconds * RATE)
        with self._lock:
            if not 0 <= self._position - told <= MAX_AHEAD_S * RATE:
                self._position = told + round(AHEAD_S * RATE)
                self._learned = 0  # the way there is a longer or shorter one now
                self._jump()
            self._end = told + round(UNREPORTED_S * RATE)
            while self._untold and self._untold[0][0] <= told:
                self._bound.push(*self._untold.popleft()[1:])

    def _jump(self) -> None:
        """What it was taken to play, it may not have played."""
        self._untold.clear()
        self._bound.break_off()

    def pause(self) -> None:
        """Somebody speaks, and the client, which has been told, plays nothing meanwhile, nor a reply that begins."""
        self._is_paused = True

    def resume(self) -> None:
        """Who spoke has ended: it plays on."""
        self._is_paused = False

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
        with self._lock:
            self._untold.append((self._position, self._played[-1], _power(heard) / loudest))
            echo = self._bound.gain * loudest
        return heard if self._is_voice(_power(heard), _power(left), echo) else np.zeros_like(heard)

    def _is_voice(self, heard: float, left: float, echo: float) -> bool:
        """Whether there is more than an echo of that power, from the powers of what was heard and what AEC3 leaves."""
        is_left = self._learned > _LEARNING_FRAMES and left > max(_LEFT * heard, _WEAKER * echo)
        return heard > _LOUDER * echo or is_left

    def _next_played(self) -> np.ndarray:
        with self._lock:
            if self._sound is None or self._is_paused or self._position >= self._end:
                return np.zeros(FRAME, np.int16)
            self._position += FRAME
            return self._sound.read(self._position - FRAME)


class _Bound:
    """How loud the echo can be, seen from the loudest that was played on its way.

    While a reply sounds steadily, the microphone hears at least its echo. Who talks is louder, but not all the time:
    the least that was heard for a third of a second, of late, bounds the echo, and tells headphones by its lack.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[float, float]] = []
        self._blocks: deque[tuple[float, float]] = deque(maxlen=_STEADY_BLOCKS)  # loudest played, most heard of it
        self._bounds: deque[float] = deque(maxlen=_BOUNDS_KEPT)

    @property
    def gain(self) -> float:
        """Of power; a guess until a reply has sounded long enough."""
        return min(self._bounds, default=_FIRST_GAIN)

    def break_off(self) -> None:
        """The next frame does not follow the last one."""
        self._frames.clear()
        self._blocks.clear()

    def push(self, played: float, share: float) -> None:
        """Take a frame: the power that is played, and what is heard as a share of the loudest of late."""
        self._frames.append((played, share))
        if len(self._frames) < _BLOCK:
            return
        self._blocks.append(tuple(map(max, zip(*self._frames, strict=True))))
        self._frames.clear()
        loudness = [played for played, _ in self._blocks]
        if len(self._blocks) == _STEADY_BLOCKS and min(loudness) > _STEADY * max(loudness):
            self._bounds.append(max(share for _, share in list(self._blocks)[-_LAST_BLOCKS:]))


def _power(frame: np.ndarray) -> float:
    return float(np.mean(frame.astype(np.float32) ** 2))
