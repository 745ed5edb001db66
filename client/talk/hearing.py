"""What the recogniser understands, asked before work that depends on it."""

from __future__ import annotations

import contextlib

import grpc

from client import library
from client.wire.deadline import RESTART_PAUSES_S, through_restarts
from client.wire.errors import CallError
from client.wire.services import Services

DETECTS = "language_detection"
MOST_HOTWORDS, MOST_HOTWORD_CHARACTERS = 100, 50
"""That a recogniser takes."""
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
    if engine.languages and _primary(language) not in map(_primary, engine.languages):
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


def hotwords(services: Services, avatar: str, persona: str) -> list[str]:
    """Names that may well be said in a talk: the avatar's, and those of the persona, if that is soon told."""
    words = [avatar.replace("_", " ")]
    with contextlib.suppress(CallError):
        if found := library.persona(services, persona, ASK_S):
            words += found.hotwords
    return [word for word in words if word and len(word) <= MOST_HOTWORD_CHARACTERS][:MOST_HOTWORDS]


def _refusal(code: grpc.StatusCode, reason: str, message: str, values: dict[str, str]) -> CallError:
    return CallError(code, reason, message.format(**values), "language", values)


def _primary(tag: str) -> str:
    return tag.replace("_", "-").split("-")[0].lower()
