"""Who talks in a conversation: the avatar, its voice, the persona, the language and the engines, chosen by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict, cast

import grpc

from basics.languages import primary
from client import library, voices
from client.library import Avatar
from client.talk.speech import STANDARD_VOICE
from client.voices import Voice
from client.wire.errors import CallError
from client.wire.services import Services


class Cast(TypedDict, total=False):
    """What is chosen, by name; what is missing is not chosen anew."""

    avatar: str
    voice: str
    persona: str
    language: str
    asr_engine: str
    llm_engine: str
    tts_engine: str


ENGINES: dict[Literal["asr_engine", "llm_engine", "tts_engine"], str] = {
    "asr_engine": "asr",
    "llm_engine": "llm",
    "tts_engine": "tts",
}
"""Choices of engines, and the services that they are of; empty for a service's default."""
NAMES = ("avatar", "voice", "persona", "language", *ENGINES)


def chosen_of(texts: Mapping[str, str]) -> Cast:
    """The choices among some texts."""
    return cast(Cast, {name: texts[name] for name in NAMES if name in texts})


def known(services: Services, chosen: Cast) -> Cast:
    """What was chosen, after a look whether it is there. Another avatar brings its own voice, unless one is named.

    `STANDARD_VOICE` is answered with an empty name: that voice is always there.

    Raises:
        CallError: there is nothing of that name; `field` says of which.
    """
    if "avatar" in chosen:
        found = avatar(services, chosen["avatar"])
        chosen = {**chosen, "avatar": found.name, "voice": chosen.get("voice") or found.voice or ""}
    if chosen.get("voice") == STANDARD_VOICE:
        chosen = {**chosen, "voice": ""}
    elif chosen.get("voice"):
        voice(services, chosen["voice"])
    if chosen.get("persona"):
        names = [persona.name for persona in library.personas(services)]
        _check("persona", chosen["persona"], names, "NO_SUCH_PERSONA")
    for field, service in ENGINES.items():
        if chosen.get(field):
            library.engine(services, service, chosen[field], field).check_usable(field)
    if chosen.get("language"):
        _check_language(services, chosen["language"], chosen.get("tts_engine", ""))
    return chosen


def avatar(services: Services, name: str) -> Avatar:
    """One avatar.

    Raises:
        CallError: there is none of that name, or it is damaged; the field is `avatar`.
    """
    try:
        found = library.avatar(services, name)
    except CallError as error:
        error.about(error.field and "avatar")  # the service calls it "name"
        raise
    _check_whole(found, "avatar")
    return found


def voice(services: Services, name: str) -> Voice:
    """One registered voice.

    Raises:
        CallError: there is none of that name, or it is damaged; the field is `voice`.
    """
    found = {one.name: one for one in voices.listed(services)}
    _check("voice", name, found, "VOICE_NOT_FOUND")
    _check_whole(found[name], "voice")
    return found[name]


def _check_whole(found: Avatar | Voice, field: str) -> None:
    if error := found.error:
        raise CallError(grpc.StatusCode.FAILED_PRECONDITION, error.reason, error.message, field, error.values)


def _check(field: str, name: str, names: Iterable[str], reason: str) -> None:
    if name not in names:
        message = f"There is no {field} '{name[:35]}'. Choose one from the list."
        raise CallError(grpc.StatusCode.NOT_FOUND, reason, message, field, {"name": name[:35]})


def _check_language(services: Services, tag: str, engine_name: str) -> None:
    engine = library.engine(services, "tts", engine_name)
    spoken = set(map(primary, engine.languages))
    if spoken and primary(tag) not in spoken:
        message = f"The speech engine does not speak '{tag[:35]}'. Choose one of its languages."
        values = {"language": tag[:35], "engine": engine.name}
        raise CallError(grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", message, "language", values)
