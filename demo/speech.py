"""espeak-ng, spoken straight through its library: samples, and the time of every phoneme."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IN_IPA = 3
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_PHONEME = 7


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One IPA phoneme and when it sounds, in seconds."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Mono float32 samples in −1…1 and the phonemes they carry."""

    samples: NDArray[np.float32]
    rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The one espeak-ng voice of this process (the library keeps global state)."""

    def __init__(self, voice: str = "en-us+f3", words_per_minute: int = 150) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS_IN_IPA)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng could not be initialised from its wheel")
        self._chunks: list[NDArray[np.int16]] = []
        self._marks: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_SetVoiceByName(voice.encode())
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, 48), (_RANGE, 62)):
            self._library.espeak_SetParameter(parameter, value, 0)
        # Breath and flutter are noise, otherwise seeded by the clock.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    def _receive(self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wave and count:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).astype(np.int16))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME:
                self._marks.append((events[index].audio_position, events[index].id.string.decode(errors="ignore")))
            index += 1
        return 0

    def say(self, text: str) -> Speech:
        """Speak one sentence; its leading and trailing pauses are espeak's own."""
        self._chunks, self._marks = [], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        samples = np.concatenate(self._chunks or [np.zeros(1, np.int16)]).astype(np.float32) / np.float32(32768)
        ends = [at for at, _ in self._marks[1:]] + [round(1000 * len(samples) / self.rate)]
        phonemes = (Phoneme(s, at / 1000, end / 1000) for (at, s), end in zip(self._marks, ends, strict=True))
        return Speech(samples, self.rate, tuple(p for p in phonemes if p.end > p.start))


def recite(sentences: Iterable[str], seconds: float, lead: float = 0.4, pause: float = 0.35) -> Speech:
    """Speak as many whole sentences as fit, padded with silence to exactly `seconds`; one too long is cut."""
    enough = itertools.islice(sentences, math.ceil(seconds) + 1)  # each lasts longer than a second
    return _recite_apart(tuple(enough), seconds, lead, pause)


@functools.cache
def _recite_apart(sentences: tuple[str, ...], seconds: float, lead: float, pause: float) -> Speech:
    # In a process of its own: espeak-ng has one global state, and its noise runs on from call to call. So the same
    # samples are spoken every time, and whoever else uses the library in this process is left alone.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_recite, sentences, seconds, lead, pause).result()


def _recite(sentences: tuple[str, ...], seconds: float, lead: float, pause: float) -> Speech:
    espeak = Espeak()
    out = np.zeros(round(seconds * espeak.rate), np.float32)
    phonemes: list[Phoneme] = []
    at = lead
    for sentence in sentences:
        spoken = espeak.say(sentence)
        if phonemes and at + spoken.seconds > seconds - 0.1:
            break
        first = round(at * espeak.rate)
        part = spoken.samples[: max(len(out) - first, 0)]
        out[first : first + len(part)] = part
        phonemes += [Phoneme(p.symbol, p.start + at, p.end + at) for p in spoken.phonemes]
        at += spoken.seconds + pause
        if at >= seconds:
            break
    return Speech(out, espeak.rate, tuple(phonemes))
