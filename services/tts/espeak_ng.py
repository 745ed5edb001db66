"""espeak-ng as a Python function: text in, samples, word times and the times of shut lips out.

The library comes with its data in the `espeakng-loader` wheel and is called through its C interface
(`speak_lib.h` of espeak-ng 1.52). It keeps one global state per process, so every call is made under one lock.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from basics.scripts import HAN
from services.common.arrays import Samples

SAMPLE_RATE = 22_050
NORMAL_WORDS_PER_MINUTE = 175

_RETRIEVAL = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, in the thread that calls; others poll
_OPTIONS = 0x8000 | 2 | 1  # espeakINITIALIZE_DONT_EXIT, …_PHONEME_IPA, …_PHONEME_EVENTS
_UTF8 = 1  # espeakCHARS_UTF8
_RATE = 1  # espeakRATE
_WORD_EVENT, _PHONE_EVENT = 1, 7  # espeakEVENT_WORD, espeakEVENT_PHONEME
_CHUNK_MS = 200

_BILABIAL = frozenset("bmpɓʙ")  # a phone of any language whose name has one of these shuts the lips: pʰ, m̩, ᵐb, k͡p
_BEFORE_BURST_S, _AFTER_BURST_S = 0.035, 0.01  # espeak marks a p at its burst; the silence before it is the closure

_SEPARATOR = "_"  # between the phones of a word
_IPA = 2  # espeakPHONEMES_IPA; the separator stands in the bits above the eighth
_SWITCH = re.compile(r"\([a-z-]+\)")  # where another language's voice reads on
_MARKS = dict(zip(",.?!:;，。？！：；、．…", ",.?!:;,.?!:;,..", strict=True))
_CLAUSE_MARK = re.compile(rf"([{re.escape(''.join(_MARKS))}])[^\w{re.escape(''.join(_MARKS))}]*\w?$")

_WORD = re.compile(rf"[{HAN}]|[^\s{HAN}]+")  # Chinese is spoken and shown character by character

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

    samples: Samples  # float32 at SAMPLE_RATE
    words: tuple[tuple[str, float], ...]  # each with the second it begins at
    closures: tuple[tuple[float, float], ...]  # first and last second of each stretch in which the lips are shut
    phones: tuple[tuple[str, float], ...]  # IPA names with stress, each with the second it begins at; empty: a pause


@dataclass(frozen=True)
class Clause:
    """A part of a sentence between two marks, in IPA."""

    groups: tuple[tuple[str, ...], ...]  # phones with stress and tone; words that are said as one make one group
    mark: str  # that ends it, one of `,.?!:;`; empty where there is none


@dataclass
class _Recording:
    """What the callback has been handed so far."""

    chunks: list[NDArray[np.int16]] = field(default_factory=list)
    words: list[tuple[int, int]] = field(default_factory=list)  # character of the text, sample of the sound
    phones: list[tuple[str, float]] = field(default_factory=list)  # in IPA, and the second each begins at

    def receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD_EVENT:
                self.words.append((event.text_position - 1, event.sample))
            elif event.type == _PHONE_EVENT:  # eight bytes of name: a longer one's last letter may be cut apart
                self.phones.append((event.id.decode("utf-8", "ignore"), event.sample / SAMPLE_RATE))
            index += 1
        return 0


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
    path = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_RETRIEVAL, _CHUNK_MS, path, _OPTIONS)
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
    encoded = _encoded(text)
    with _lock:
        library = _with_voice(voice)
        library.espeak_SetParameter(_RATE, words_per_minute, 0)
        library.espeak_SetSynthCallback(callback)
        library.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    samples = np.concatenate(recording.chunks) if recording.chunks else np.zeros(0, np.int16)
    closures = lip_closures(recording.phones, len(samples) / SAMPLE_RATE)
    words = _word_starts(text, recording.words)
    return Utterance((samples / 32768).astype(np.float32), words, closures, tuple(recording.phones))


def clauses(text: str, voice: str) -> tuple[Clause, ...]:
    """How espeak says one sentence.

    Raises:
        ValueError: espeak has no such voice.
    """
    buffer = ctypes.create_string_buffer(_encoded(text))
    start = ctypes.addressof(buffer)
    place = ctypes.c_void_p(start)
    found, begun = [], 0
    with _lock:
        library = _with_voice(voice)
        while place.value:
            told = library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _IPA | ord(_SEPARATOR) << 8)
            end = place.value - start if place.value else len(buffer.value)  # a letter too far, as espeak reads ahead
            found.append(_clause(told.decode("utf-8", "ignore"), buffer.raw[begun:end].decode("utf-8", "ignore")))
            begun = end
    return tuple(clause for clause in found if clause.groups)


def _clause(told: str, text: str) -> Clause:
    words = _SWITCH.sub(_SEPARATOR, told).split()
    groups = (tuple(filter(None, word.split(_SEPARATOR))) for word in words)
    mark = _CLAUSE_MARK.search(text.strip("\0 \n"))
    return Clause(tuple(filter(None, groups)), _MARKS[mark[1]] if mark else "")


def _encoded(text: str) -> bytes:
    return text.replace("\0", " ").encode("utf-8", "ignore") + b"\0"  # which would end it


def _with_voice(voice: str) -> ctypes.CDLL:
    """The library, which speaks in a voice from now on. Call it under the lock."""
    library = _library()
    if library.espeak_SetVoiceByName(voice.encode("ascii")):
        raise ValueError(f"espeak-ng has no voice '{voice}'.")
    return library


def _word_starts(text: str, events: list[tuple[int, int]]) -> tuple[tuple[str, float], ...]:
    """espeak's events say roughly where it is in the text; words of our own cutting are placed between them."""
    if not events:
        return ()
    characters, samples = np.array(sorted(dict(reversed(events)).items())).T
    words = [match for match in _WORD.finditer(text) if any(map(str.isalnum, match.group()))]
    places = [match.start() for match in words]
    starts = np.interp(places, characters, np.maximum.accumulate(samples)) / SAMPLE_RATE
    return tuple((match.group(), float(start)) for match, start in zip(words, starts, strict=True))


def shuts_lips(phone: str) -> bool:
    """Whether a phone of any language is said with the lips shut, by its IPA name."""
    return not _BILABIAL.isdisjoint(phone)


def lip_closures(phones: Iterable[tuple[str, float]], duration_s: float) -> tuple[tuple[float, float], ...]:
    """When the lips are shut, as seconds, in order and apart.

    Args:
        phones: IPA names, each with the second it begins at; it lasts until the next one does.
    """
    spans: list[tuple[float, float]] = []
    for (name, start), (_, end) in itertools.pairwise([*phones, ("", duration_s)]):
        if not shuts_lips(name):
            continue
        if "p" in name:
            start, end = max(start - _BEFORE_BURST_S, 0), start + _AFTER_BURST_S
        if spans and start <= spans[-1][1]:  # m, and the p after it: the lips stay shut
            start, _ = spans.pop()
        if end > start:
            spans.append((start, end))
    return tuple(spans)
