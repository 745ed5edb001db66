"""espeak-ng as a Python function: text in, samples and word times out.

The library comes with its data in the `espeakng-loader` wheel and is called through its C interface
(`speak_lib.h` of espeak-ng 1.52). It keeps one global state per process, so every call is made under one lock.
"""

from __future__ import annotations

import ctypes
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
_RATE, _PITCH_RANGE = 1, 4  # espeak_PARAMETER
_WORD_EVENT = 1  # espeakEVENT_WORD
_CHUNK_MS = 200

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


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Word:
    """A word and where espeak began to speak it."""

    text: str
    start_sample: int


@dataclass
class Utterance:
    """What espeak said: int16-range samples scaled to float32, and its words in order."""

    samples: np.ndarray
    words: list[Word]


@dataclass
class _Recording:
    """What the callback has been handed so far."""

    chunks: list[np.ndarray] = field(default_factory=list)
    words: list[tuple[int, int, int]] = field(default_factory=list)  # text position, length, sample

    def receive(self, samples: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                self.words.append((event.text_position, event.length, event.sample))
            index += 1
        return 0


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    path = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_RETRIEVAL, _CHUNK_MS, path, _DO_NOT_EXIT)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng did not start: it answered {rate}.")
    return library


@cache
def voices() -> dict[str, str]:
    """espeak's languages, e.g. `en-us`, each with the name of the voice to use for it."""
    with _lock:
        found: dict[str, tuple[int, str]] = {}
        entries = _library().espeak_ListVoices(None)
        index = 0
        while entries[index]:
            voice = entries[index].contents
            for priority, tag in _languages(voice.languages):
                if tag not in found or priority < found[tag][0]:
                    found[tag] = (priority, tag)
            index += 1
    return {tag: name for tag, (_, name) in sorted(found.items())}


def _languages(address: int) -> list[tuple[int, str]]:
    """Decode espeak's list: a priority byte and a terminated string, repeated, then a zero byte."""
    pairs = []
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        pairs.append((priority, tag.decode("ascii")))
        address += len(tag) + 2
    return pairs


def speak(text: str, voice: str, words_per_minute: int = NORMAL_WORDS_PER_MINUTE) -> Utterance:
    """Speak one sentence into memory.

    Args:
        voice: a key of `voices()`, with an optional variant: `en-us+f2`.

    Raises:
        ValueError: espeak has no such voice.
    """
    recording = _Recording()
    callback = _Callback(recording.receive)
    encoded = text.encode("utf-8") + b"\0"
    with _lock:
        library = _library()
        if library.espeak_SetVoiceByName(voice.encode("ascii")):
            raise ValueError(f"espeak-ng has no voice '{voice}'.")
        library.espeak_SetParameter(_RATE, words_per_minute, 0)
        library.espeak_SetSynthCallback(callback)
        library.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    samples = np.concatenate(recording.chunks) if recording.chunks else np.zeros(0, np.int16)
    words = [Word(text[at - 1 : at - 1 + length], sample) for at, length, sample in recording.words]
    return Utterance((samples / 32768).astype(np.float32), words)
