"""Avatars, voices, engines and machines, as plain dictionaries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import grpc
from google.protobuf.json_format import MessageToDict
from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import info_pb2, media_pb2
from visavis.llm.v1 import llm_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2
from visavis.tts.v1 import tts_pb2

from client import jobs
from client.errors import CallError, translate
from client.files import AVATAR_FILE_NAMES, size_of, upload
from client.pages import Page, walk
from client.patience import RESTART_PAUSES_S, through_restarts
from client.services import NAMES, Services

TIMEOUT_S = 10
UPLOAD_TIMEOUT_S = 900

_INFO_REQUESTS = {
    "asr": asr_pb2.GetInfoRequest,
    "llm": llm_pb2.GetInfoRequest,
    "tts": tts_pb2.GetInfoRequest,
    "render": render_pb2.GetInfoRequest,
    "train": train_pb2.GetInfoRequest,
}
_STATES = {
    info_pb2.ENGINE_STATE_READY: "ready",
    info_pb2.ENGINE_STATE_UNLOADED: "loads on first use",
    info_pb2.ENGINE_STATE_MISSING: "missing",
}
_TYPES = {
    info_pb2.PARAMETER_TYPE_INTEGER: "integer",
    info_pb2.PARAMETER_TYPE_NUMBER: "number",
    info_pb2.PARAMETER_TYPE_BOOLEAN: "boolean",
    info_pb2.PARAMETER_TYPE_TEXT: "text",
}


def get_info(services: Services, name: str) -> Any:
    """A service's GetInfo answer."""
    with translate():
        return getattr(services, name).GetInfo(_INFO_REQUESTS[name](), timeout=TIMEOUT_S)


def avatars(services: Services) -> list[dict[str, Any]]:
    """Every avatar, by name. One with an `error` is damaged: it can be deleted, and nothing else."""
    return [*walk(lambda token: avatar_page(services, 0, token))]


def avatar_page(services: Services, size: int, token: str) -> Page:
    """Some of the avatars, by name; 0 for the service's own size of page."""
    request = render_pb2.ListAvatarsRequest(page_size=size, page_token=token)
    with translate():
        listed = services.render.ListAvatars(request, timeout=TIMEOUT_S)
    return Page([_avatar(avatar) for avatar in listed.avatars], listed.next_page_token)


def avatar(services: Services, name: str) -> dict[str, Any]:
    """One avatar."""
    with translate():
        reply = services.render.GetAvatar(render_pb2.GetAvatarRequest(name=name), timeout=TIMEOUT_S)
    return _avatar(reply.avatar)


def _avatar(avatar: render_pb2.Avatar) -> dict[str, Any]:
    return {
        "name": avatar.name,
        "kind": MessageToDict(avatar.report).get("kind", "video"),
        "engine": avatar.engine,
        "width": avatar.width,
        "height": avatar.height,
        "fps": avatar.fps,
        "voice": avatar.voice or None,
        "consent": _consent(avatar.consent),
        "created_at": avatar.create_time.ToMilliseconds() / 1000,
        "report": MessageToDict(avatar.report),
        "files": [AVATAR_FILE_NAMES[file] for file in avatar.files],
        "error": jobs.problem(avatar.error) if avatar.HasField("error") else None,
    }


def _consent(consent: media_pb2.Consent) -> dict[str, Any]:
    return {"given_by": consent.given_by, "time": consent.time.ToMilliseconds() / 1000}


def delete_avatar(services: Services, name: str) -> None:
    """Forget an avatar."""
    with translate():
        services.render.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=name), timeout=TIMEOUT_S)


def voices(services: Services) -> list[dict[str, Any]]:
    """Every registered voice, by name. One with an `error` is damaged: it can be deleted, and nothing else."""
    return [*walk(lambda token: voice_page(services, 0, token))]


def voice_page(services: Services, size: int, token: str) -> Page:
    """Some of the voices, by name; 0 for the service's own size of page."""
    request = tts_pb2.ListVoicesRequest(page_size=size, page_token=token)
    with translate():
        listed = services.tts.ListVoices(request, timeout=TIMEOUT_S)
    return Page([_voice(voice) for voice in listed.voices], listed.next_page_token)


def _voice(voice: tts_pb2.Voice) -> dict[str, Any]:
    return {
        "name": voice.name,
        "engine": voice.engine,
        "duration_s": voice.duration.ToTimedelta().total_seconds(),
        "transcript": voice.transcript,
        "consent": _consent(voice.consent),
        "created_at": voice.create_time.ToMilliseconds() / 1000,
        "error": jobs.problem(voice.error) if voice.HasField("error") else None,
    }


def create_voice(
    services: Services, audio: BinaryIO, name: str, transcript: str, consent_by: str, engine: str = ""
) -> dict[str, Any]:
    """Register a voice from a recording in any container, read from its beginning."""
    consent = media_pb2.Consent(given_by=consent_by)
    config = tts_pb2.VoiceConfig(name=name, transcript=transcript, consent=consent, engine=engine)

    def attempt() -> dict[str, Any]:
        config.size_bytes = size_of(audio)
        with translate():
            requests = upload(config, tts_pb2.CreateVoiceRequest, audio)
            return _voice(services.tts.CreateVoice(requests, timeout=UPLOAD_TIMEOUT_S).voice)

    get_info(services, "tts")  # if nobody is there to begin with, that is told at once
    return through_restarts(attempt, RESTART_PAUSES_S)


def delete_voice(services: Services, name: str) -> None:
    """Forget a voice."""
    with translate():
        services.tts.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=name), timeout=TIMEOUT_S)


def engines(services: Services) -> dict[str, list[dict[str, Any]]]:
    """Per service: its engines, the default one first, and what they need to know. Down services are left out."""
    return {name: described(info) for name, info in _all_info(services).items()}


def described(info: info_pb2.ServiceInfo) -> list[dict[str, Any]]:
    """A service's engines, the default one first."""
    return [_engine(one, info) for one in info.engines]


def service_engines(services: Services, service: str) -> list[dict[str, Any]]:
    """The engines of one service, the default one first.

    Raises:
        CallError: the service is away.
    """
    return described(get_info(services, service).info)


def check_usable(engine: dict[str, Any], field: str) -> None:
    """Raises:
    CallError: the engine is missing; the message says what it lacks and how to mend that.
    """
    if lack := engine["lack"]:
        message = " ".join(filter(None, (lack["message"], engine["remedy"])))
        raise CallError(grpc.StatusCode.UNAVAILABLE, lack["code"], message, field, lack["values"])


def engine(services: Services, service: str, name: str = "", field: str = "engine") -> dict[str, Any]:
    """One engine of a service; empty for the default.

    Raises:
        CallError: there is none of that name; its field is `field`.
    """
    info = get_info(services, service).info
    for one in info.engines:
        if one.name == (name or info.default_engine):
            return _engine(one, info)
    names = ", ".join(one.name for one in info.engines)
    message = f"There is no engine '{name[:35]}'; choose one of: {names}."
    raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "NO_ENGINE", message, field, {"engines": names})


def personas(services: Services) -> list[dict[str, Any]]:
    """Who an avatar can be."""
    return [_persona(persona) for persona in get_info(services, "llm").personas]


def system(services: Services) -> dict[str, Any]:
    """Per service: its state and its machine."""
    info = _all_info(services)
    states = services.health()
    return {name: {"state": states[name], **_system(info.get(name))} for name in NAMES}


def _system(info: info_pb2.ServiceInfo | None) -> dict[str, Any]:
    if info is None:
        return {}
    return {
        "version": info.version,
        "engine": info.default_engine,
        "devices": list(info.devices),
        "hardware": _hardware(info.hardware),
    }


def _all_info(services: Services) -> dict[str, info_pb2.ServiceInfo]:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        answers = list(pool.map(lambda name: _info_or_none(services, name), NAMES))
    return {name: answer for name, answer in zip(NAMES, answers, strict=True) if answer}


def _info_or_none(services: Services, name: str) -> info_pb2.ServiceInfo | None:
    try:
        return get_info(services, name).info
    except CallError:
        return None


def _hardware(hardware: info_pb2.Hardware) -> dict[str, Any]:
    # Not MessageToDict: it writes 64-bit numbers as text and leaves zeros out.
    return {
        "host_name": hardware.host_name,
        "cpu_count": hardware.cpu_count,
        "cpu_percent": hardware.cpu_percent,
        "memory_total_bytes": hardware.memory_total_bytes,
        "memory_available_bytes": hardware.memory_available_bytes,
        "gpus": [
            {
                "device": gpu.device,
                "name": gpu.name,
                "memory_total_bytes": gpu.memory_total_bytes,
                "memory_free_bytes": gpu.memory_free_bytes,
            }
            for gpu in hardware.gpus
        ],
    }


def _engine(engine: info_pb2.EngineInfo, info: info_pb2.ServiceInfo) -> dict[str, Any]:
    return {
        "name": engine.name,
        "is_default": engine.name == info.default_engine,
        "state": _STATES.get(engine.state, "missing"),
        "lack": jobs.problem(engine.lack) if engine.HasField("lack") else None,
        "remedy": engine.remedy,
        "version": engine.version,
        "languages": list(engine.languages),
        "capabilities": [_lower(info_pb2.Capability.Name(one), "CAPABILITY_") for one in engine.capabilities],
        "licence": engine.licence,
        "parameters": [_parameter(parameter) for parameter in engine.parameters],
    }


def _lower(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _persona(persona: llm_pb2.Persona) -> dict[str, Any]:
    return {"name": persona.name, "title": persona.title, "greetings": dict(persona.greetings)}


def _parameter(parameter: info_pb2.Parameter) -> dict[str, Any]:
    default = parameter.default_value
    return {
        "name": parameter.name,
        "type": _TYPES.get(parameter.type, "text"),
        "default": getattr(default, default.WhichOneof("value")) if default.WhichOneof("value") else None,
        "minimum": parameter.minimum if parameter.HasField("minimum") else None,
        "maximum": parameter.maximum if parameter.HasField("maximum") else None,
        "choices": list(parameter.choices),
        "help": parameter.help,
    }
