"""espeak-ng as a Python function: text in, samples and word times out.

The library comes with its data in the `espeakng-loader` wheel and is called through its C interface
(`speak_lib.h` of espeak-ng 1.52). It keeps one global state per process, so every call is made under one lock.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import threading
from dataclasses import dataclass, field
from functools import cache

import espeakng_loader
import numpy as np

SAMPLE_RATE = 22_050
NORMAL_WORDS_PER_MINUTE = 175

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples go to the callback only
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1  # espeakCHARS_UTF8
_RATE = 1  # espeakRATE
_WORD_EVENT = 1  # espeakEVENT_WORD
_CHUNK_MS = 200

_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")  # Chinese is spoken and shown character by character

_lock = threading.Lock()


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Utterance:
    """What espeak said, and when."""

    samples: np.ndarray  # float32 at SAMPLE_RATE
    words: tuple[tuple[str, float], ...]  # each with the second it begins at


@dataclass
class _Recording:
    """What the callback has been handed so far."""

    chunks: list[np.ndarray] = field(default_factory=list)
    words: list[tuple[int, int]] = field(default_factory=list)  # character of the text, sample of the sound

    def receive(self, samples: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                self.words.append((event.text_position - 1, event.sample))
            index += 1
        return 0


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    path = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_RETRIEVAL, _CHUNK_MS, path, _DO_NOT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng did not start: it answered {rate}.")
    return library


@cache
def voices() -> dict[str, str]:
    """espeak's languages, e.g. `en-us`, each with the voice that suits it best, e.g. `gmw/en-US`."""
    found: dict[str, tuple[int, str]] = {}
    with _lock:
        entries = _library().espeak_ListVoices(None)
        for index in itertools.count():
            if not entries[index]:
                break
            voice = entries[index].contents
            for priority, language in _languages(voice.languages):
                best = (priority, voice.identifier.decode("ascii"))
                found[language] = min(found.get(language, best), best)
    return {language: identifier for language, (_, identifier) in sorted(found.items())}


def _languages(address: int) -> list[tuple[int, str]]:
    """Decode espeak's list: a priority byte and a terminated string, repeated, then a zero byte."""
    pairs = []
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        pairs.append((priority, tag.decode("ascii").lower()))
        address += len(tag) + 2
    return pairs


def speak(text: str, voice: str, words_per_minute: int = NORMAL_WORDS_PER_MINUTE) -> Utterance:
    """Speak one sentence into memory.

    Args:
        voice: one of the values of `voices()`, e.g. `gmw/en-US`.

    Raises:
        ValueError: espeak has no such voice.
    """
    recording = _Recording()
    callback = _Callback(recording.receive)
    encoded = text.encode("utf-8", "ignore") + b"\0"
    with _lock:
        library = _library()
        if library.espeak_SetVoiceByName(voice.encode("ascii")):
            raise ValueError(f"espeak-ng has no voice '{voice}'.")
        library.espeak_SetParameter(_RATE, words_per_minute, 0)
        library.espeak_SetSynthCallback(callback)
        library.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    samples = np.concatenate(recording.chunks) if recording.chunks else np.zeros(0, np.int16)
    return Utterance((samples / 32768).astype(np.float32), _word_starts(text, recording.words))


def _word_starts(text: str, events: list[tuple[int, int]]) -> tuple[tuple[str, float], ...]:
    """espeak's events say roughly where it is in the text; words of our own cutting are placed between them."""
    if not events:
        return ()
    characters, samples = np.array(sorted(dict(reversed(events)).items())).T
    words = [match for match in _WORD.finditer(text) if any(map(str.isalnum, match.group()))]
    places = [match.start() for match in words]
    starts = np.interp(places, characters, np.maximum.accumulate(samples)) / SAMPLE_RATE
    return tuple((match.group(), float(start)) for match, start in zip(words, starts, strict=True))
