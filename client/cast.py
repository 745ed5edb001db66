"""Who talks in a conversation: the avatar, its voice, the persona, the language and the engines, chosen by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from client import library
from client.errors import CallError
from client.services import Services
from client.speech import STANDARD_VOICE

ENGINES = {"asr_engine": "asr", "llm_engine": "llm", "tts_engine": "tts"}
"""Choices of engines, and the services that they are of; empty for a service's default."""
NAMES = ("avatar", "voice", "persona", "language", *ENGINES)


def known(services: Services, chosen: dict[str, str]) -> dict[str, str]:
    """What was chosen, after a look whether it is there. Another avatar brings its own voice, unless one is named.

    `STANDARD_VOICE` is answered with an empty name: that voice is always there.

    Raises:
        CallError: there is nothing of that name; `field` says of which.
    """
    if "avatar" in chosen:
        found = avatar(services, chosen["avatar"])
        chosen = {**chosen, "avatar": found["name"], "voice": chosen.get("voice") or found["voice"] or ""}
    if chosen.get("voice") == STANDARD_VOICE:
        chosen = {**chosen, "voice": ""}
    elif chosen.get("voice"):
        voice(services, chosen["voice"])
    if chosen.get("persona"):
        personas = library.get_info(services, "llm").personas
        _check("persona", chosen["persona"], (persona.name for persona in personas), "NO_SUCH_PERSONA")
    for field, service in ENGINES.items():
        if chosen.get(field):
            library.check_usable(library.engine(services, service, chosen[field], field), field)
    if chosen.get("language"):
        _check_language(services, chosen["language"], chosen.get("tts_engine", ""))
    return chosen


def avatar(services: Services, name: str) -> dict[str, Any]:
    """One avatar.

    Raises:
        CallError: there is none of that name, or it is damaged; the field is `avatar`.
    """
    try:
        found = library.avatar(services, name)
    except CallError as error:
        error.field = error.field and "avatar"  # the service calls it "name"
        raise
    return _whole(found, "avatar")


def voice(services: Services, name: str) -> dict[str, Any]:
    """One registered voice.

    Raises:
        CallError: there is none of that name, or it is damaged; the field is `voice`.
    """
    found = {one["name"]: one for one in library.voices(services)}
    _check("voice", name, found, "VOICE_NOT_FOUND")
    return _whole(found[name], "voice")


def _whole(found: dict[str, Any], field: str) -> dict[str, Any]:
    if error := found["error"]:
        raise CallError(grpc.StatusCode.FAILED_PRECONDITION, error["code"], error["message"], field, error["values"])
    return found


def _check(field: str, name: str, names: Iterable[str], reason: str) -> None:
    if name not in names:
        message = f"There is no {field} '{name[:35]}'. Choose one from the list."
        raise CallError(grpc.StatusCode.NOT_FOUND, reason, message, field, {"name": name[:35]})


def _check_language(services: Services, tag: str, engine_name: str) -> None:
    engine = library.engine(services, "tts", engine_name)
    spoken = {one.split("-")[0].lower() for one in engine["languages"]}
    if spoken and tag.split("-")[0].lower() not in spoken:
        message = f"The speech engine does not speak '{tag[:35]}'. Choose one of its languages."
        values = {"language": tag[:35], "engine": engine["name"]}
        raise CallError(grpc.StatusCode.UNIMPLEMENTED, "LANGUAGE_NOT_SUPPORTED", message, "language", values)
