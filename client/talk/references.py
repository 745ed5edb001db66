"""What is said in a voice's reference recording, as `asr` hears it and as its transcript has it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from basics import webvtt
from basics.scripts import EAST_ASIAN
from basics.webvtt import Cue
from client.talk import speech
from client.talk.cast import voice
from client.talk.speech import Transcription
from client.wire.files import voice_file
from client.wire.services import Services

_MOST_IN_MEMORY = 16 * 2**20
_WORD = re.compile(rf"[{EAST_ASIAN}]|[^\s{EAST_ASIAN}]+")


def transcribe(services: Services, name: str, language: str = "", engine: str = "") -> Transcription:
    """Hear a voice's recording, in the words as they were said; nothing is kept.

    Args:
        language: BCP 47 tag of what is spoken; empty only where the recogniser can tell.
        engine: which recognises; empty for the service's default.

    Raises:
        CallError: there is no such voice, or the language is not understood.
    """
    voice(services, name)
    with tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY) as file:
        for block in voice_file(services, name).blocks:
            file.write(block)
        file.seek(0)
        return speech.transcribe(services, file, language, engine, spoken_form=True)


def subtitles(services: Services, name: str, language: str = "", engine: str = "") -> str:
    """A voice's recording as WebVTT: the words of its transcript where it has one, when they are heard.

    Raises:
        CallError: as `transcribe`.
    """
    written = voice(services, name).transcript
    heard = transcribe(services, name, language, engine).webvtt
    cues = corrected(webvtt.parse(heard), written) if written else []
    return webvtt.write(cues) if cues else heard


def corrected(heard: Sequence[Cue], written: str) -> list[Cue]:
    """The cues with the words that are written, each in the cue in which it, or the one before it, is heard."""
    words = [*_words(written)] if heard else []
    places = _places([(text, number) for number, cue in enumerate(heard) for text, _ in _words(cue.text)], words)
    begun: dict[int, int] = {}  # by number of the cue, where in the text it begins
    for (_, start), place in zip(words, places, strict=True):
        begun.setdefault(place, start if begun else 0)
    ends = [*begun.values(), len(written)][1:]
    texts = (" ".join(written[start:end].split()) for start, end in zip(begun.values(), ends, strict=True))
    return [heard[place]._replace(text=text) for place, text in zip(begun, texts, strict=True)]


def _words(text: str) -> Iterator[tuple[str, int]]:
    """What two spellings of each word share, and where it begins; of Chinese and Japanese each character is one."""
    for found in _WORD.finditer(text):
        if letters := "".join(filter(str.isalnum, found[0])).casefold():
            yield letters, found.start()


def _places(heard: Sequence[tuple[str, int]], written: Sequence[tuple[str, int]]) -> list[int]:
    """Of each written word, the number of its cue; never one before that of the word before it."""
    places: list[int] = []
    matcher = SequenceMatcher(None, [text for text, _ in heard], [text for text, _ in written], autojunk=False)
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "insert":
            places += [places[-1] if places else 0] * (end - begin)
        elif kind != "delete":
            places += [heard[first + (last - first) * (at - begin) // (end - begin)][1] for at in range(begin, end)]
    return places
