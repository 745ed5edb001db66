"""What the recogniser understands, asked before work that depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TypedDict

import grpc

from basics.languages import primary
from client import library
from client.wire.deadline import RESTART_PAUSES_S, through_restarts
from client.wire.errors import CallError
from client.wire.services import Services

DETECTS = "language_detection"
MOST_HOTWORDS, MOST_HOTWORD_CHARACTERS = 100, 50
"""That a recogniser takes."""
MOST_LANGUAGES, MOST_LANGUAGE_CHARACTERS = 100, 35
ASK_S = 1.0
"""Nobody who speaks may wait for longer to have names heard right."""


def check(services: Services, language: str, engine_name: str = "") -> None:
    """Whether a recording in a language can be written down. A recogniser that is away is not asked.

    Raises:
        CallError: the recogniser does not know the language, or needs to be told which it is.
    """
    try:
        engine = library.engine(services, "asr", engine_name, "asr_engine")
    except CallError as error:
        if error.code is grpc.StatusCode.UNAVAILABLE:
            return
        raise
    values = {"engine": engine.name, "known": ", ".join(engine.languages)}
    if not language:
        if DETECTS in engine.capabilities:
            return
        message = "Say which language is spoken: the recogniser ({engine}) cannot tell. It knows: {known}."
        raise _refusal(grpc.StatusCode.INVALID_ARGUMENT, "LANGUAGE_MISSING", message, values)
    if engine.languages and primary(language) not in map(primary, engine.languages):
        message = (
            "The recogniser ({engine}) does not understand '{language}', only: {known}. Go without subtitles, get a "
            "model that understands it (visavis models pull whisper-base), or choose an engine that does; "
            "docs/adding-an-engine.md shows how to add one."
        )
        values["language"] = language[:35]
        raise _refusal(grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_HEARD", message, values)


def default(services: Services, engine_name: str = "") -> str:
    """The language that the recogniser takes speech for of which nothing is known; empty where it tells by itself."""
    engine = through_restarts(lambda: library.engine(services, "asr", engine_name), RESTART_PAUSES_S)
    return "" if DETECTS in engine.capabilities else next(iter(engine.languages), "")


class Expected(TypedDict, total=False):
    """What may be heard, as recognition is told."""

    language: str
    languages: Sequence[str]
    hotwords: Sequence[str]


def expected(services: Services, avatar: str, persona: str, language: str) -> Expected:
    """What may be said in a talk: the avatar's name and those of the persona, in the language of the talk or else in
    one that the persona speaks, if that is soon told."""
    words, languages = [avatar.replace("_", " ")], list[str]()
    with contextlib.suppress(CallError):
        if found := library.persona(services, persona, ASK_S):
            words += found.hotwords
            languages += found.languages
    hotwords = [word for word in words if word and len(word) <= MOST_HOTWORD_CHARACTERS][:MOST_HOTWORDS]
    return {"language": language, "languages": [] if language else languages[:MOST_LANGUAGES], "hotwords": hotwords}


def _refusal(code: grpc.StatusCode, reason: str, message: str, values: dict[str, str]) -> CallError:
    return CallError(code, reason, message.format(**values), "language", values)
