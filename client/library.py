"""Avatars, engines, personas and machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import info_pb2, media_pb2
from visavis.llm.v1 import llm_pb2
from visavis.render.v1 import render_pb2
from visavis.train.v1 import train_pb2
from visavis.tts.v1 import tts_pb2

from basics.problem import Problem
from client.wire.errors import CallError, problem_of, translate
from client.wire.files import AVATAR_FILE_NAMES
from client.wire.pages import Page, walk
from client.wire.services import NAMES, Services

TIMEOUT_S = 10

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


@dataclass(frozen=True)
class Consent:
    """Who allowed it, and when, in seconds since 1970."""

    given_by: str
    time: float

    @classmethod
    def of(cls, message: media_pb2.Consent) -> Consent:
        """What a message says."""
        return cls(message.given_by, message.time.ToMilliseconds() / 1000)


@dataclass(frozen=True)
class Avatar:
    """Who can speak. One with an `error` is damaged: it can be deleted, and nothing else."""

    name: str
    kind: str
    """`video` or `photo`: what it was made from."""
    engine: str
    width: int
    height: int
    fps: float
    voice: str | None
    consent: Consent
    created_at: float
    """Seconds since 1970."""
    report: dict[str, Any]
    files: tuple[str, ...]
    error: Problem | None


@dataclass(frozen=True)
class Parameter:
    """Something that an engine can be told, by name."""

    name: str
    type: str
    """`integer`, `number`, `boolean` or `text`."""
    default: int | float | bool | str | None
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Engine:
    """What can do a service's work."""

    name: str
    is_default: bool
    state: str
    """`ready`, `loads on first use` or `missing`."""
    lack: Problem | None
    """Why it is missing, or what it would be better with …"""
    remedy: str
    """… and what mends or gets that."""
    version: str
    languages: tuple[str, ...]
    capabilities: tuple[str, ...]
    licence: str
    parameters: tuple[Parameter, ...]

    @property
    def is_missing(self) -> bool:
        """Whether it cannot be used."""
        return self.state == _STATES[info_pb2.ENGINE_STATE_MISSING]

    def check_usable(self, field: str) -> None:
        """Raises:
        CallError: it is missing; the message says what it lacks and how to mend that.
        """
        if self.is_missing and (lack := self.lack):
            message = " ".join(filter(None, (lack.message, self.remedy)))
            raise CallError(grpc.StatusCode.UNAVAILABLE, lack.reason, message, field, lack.values)


@dataclass(frozen=True)
class Persona:
    """Who an avatar can be, and its first words by language."""

    name: str
    title: str
    greetings: dict[str, str]
    hotwords: tuple[str, ...]
    """Names and rare words that may well be said to them."""
    languages: tuple[str, ...]
    """BCP 47 tags of what they speak; empty where nobody says."""


@dataclass(frozen=True)
class Gpu:
    """A graphics processor."""

    device: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int


@dataclass(frozen=True)
class Hardware:
    """The machine that a service runs on."""

    host_name: str
    cpu_count: int
    cpu_percent: float
    memory_total_bytes: int
    memory_available_bytes: int
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True)
class Installation:
    """What a service that answers is, and where it runs."""

    version: str
    engine: str
    devices: tuple[str, ...]
    hardware: Hardware


@dataclass(frozen=True)
class Standing:
    """How a service is doing: "serving", "loading" or "down". One that does not answer tells no more."""

    state: str
    installation: Installation | None


def get_info(services: Services, name: str, timeout_s: float = TIMEOUT_S) -> Any:
    """A service's GetInfo answer."""
    with translate():
        return getattr(services, name).GetInfo(_INFO_REQUESTS[name](), timeout=timeout_s)


def avatars(services: Services) -> list[Avatar]:
    """Every avatar, by name."""
    return [*walk(lambda token: avatar_page(services, 0, token))]


def avatar_page(services: Services, size: int, token: str) -> Page:
    """Some of the avatars, by name; 0 for the service's own size of page."""
    request = render_pb2.ListAvatarsRequest(page_size=size, page_token=token)
    with translate():
        listed = services.render.ListAvatars(request, timeout=TIMEOUT_S)
    return Page([_avatar(avatar) for avatar in listed.avatars], listed.next_page_token)


def avatar(services: Services, name: str) -> Avatar:
    """One avatar."""
    with translate():
        reply = services.render.GetAvatar(render_pb2.GetAvatarRequest(name=name), timeout=TIMEOUT_S)
    return _avatar(reply.avatar)


def _avatar(message: render_pb2.Avatar) -> Avatar:
    report = MessageToDict(message.report)
    return Avatar(
        name=message.name,
        kind=report.get("kind", "video"),
        engine=message.engine,
        width=message.width,
        height=message.height,
        fps=message.fps,
        voice=message.voice or None,
        consent=Consent.of(message.consent),
        created_at=message.create_time.ToMilliseconds() / 1000,
        report=report,
        files=tuple(AVATAR_FILE_NAMES[file] for file in message.files),
        error=problem_of(message.error) if message.HasField("error") else None,
    )


def delete_avatar(services: Services, name: str) -> None:
    """Forget an avatar."""
    with translate():
        services.render.DeleteAvatar(render_pb2.DeleteAvatarRequest(name=name), timeout=TIMEOUT_S)


def engines(services: Services) -> dict[str, list[Engine]]:
    """Per service: its engines, the default one first, and what they need to know. Down services are left out."""
    return {name: described(info) for name, info in _all_info(services).items()}


def described(info: info_pb2.ServiceInfo) -> list[Engine]:
    """A service's engines, the default one first."""
    return [_engine(one, info) for one in info.engines]


def service_engines(services: Services, service: str) -> list[Engine]:
    """The engines of one service, the default one first.

    Raises:
        CallError: the service is away.
    """
    return described(get_info(services, service).info)


def engine(services: Services, service: str, name: str = "", field: str = "engine") -> Engine:
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


def personas(services: Services, timeout_s: float = TIMEOUT_S) -> list[Persona]:
    """Who an avatar can be, the default one first."""
    told = get_info(services, "llm", timeout_s).personas
    return [
        Persona(one.name, one.title, dict(one.greetings), tuple(one.hotwords), tuple(one.languages)) for one in told
    ]


def persona(services: Services, name: str, timeout_s: float = TIMEOUT_S) -> Persona | None:
    """The one of that name, or else the default one, if there is any."""
    known = personas(services, timeout_s)
    return next((one for one in known if one.name == name), known[0] if known else None)


def system(services: Services) -> dict[str, Standing]:
    """How each service is doing."""
    info = _all_info(services)
    states = services.health()
    return {name: Standing(states[name], _installation(info[name]) if name in info else None) for name in NAMES}


def _installation(info: info_pb2.ServiceInfo) -> Installation:
    return Installation(info.version, info.default_engine, tuple(info.devices), _hardware(info.hardware))


def _all_info(services: Services) -> dict[str, info_pb2.ServiceInfo]:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        answers = list(pool.map(lambda name: _info_or_none(services, name), NAMES))
    return {name: answer for name, answer in zip(NAMES, answers, strict=True) if answer}


def _info_or_none(services: Services, name: str) -> info_pb2.ServiceInfo | None:
    try:
        info: info_pb2.ServiceInfo = get_info(services, name).info
        return info
    except CallError:
        return None


def _hardware(message: info_pb2.Hardware) -> Hardware:
    return Hardware(
        host_name=message.host_name,
        cpu_count=message.cpu_count,
        cpu_percent=message.cpu_percent,
        memory_total_bytes=message.memory_total_bytes,
        memory_available_bytes=message.memory_available_bytes,
        gpus=tuple(Gpu(gpu.device, gpu.name, gpu.memory_total_bytes, gpu.memory_free_bytes) for gpu in message.gpus),
    )


def _engine(message: info_pb2.EngineInfo, info: info_pb2.ServiceInfo) -> Engine:
    return Engine(
        name=message.name,
        is_default=message.name == info.default_engine,
        state=_STATES.get(message.state, "missing"),
        lack=problem_of(message.lack) if message.HasField("lack") else None,
        remedy=message.remedy,
        version=message.version,
        languages=tuple(message.languages),
        capabilities=tuple(_lower(info_pb2.Capability.Name(one), "CAPABILITY_") for one in message.capabilities),
        licence=message.licence,
        parameters=tuple(map(_parameter, message.parameters)),
    )


def _lower(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _parameter(message: info_pb2.Parameter) -> Parameter:
    default = message.default_value
    kind = default.WhichOneof("value")
    return Parameter(
        name=message.name,
        type=_TYPES.get(message.type, "text"),
        default=getattr(default, kind) if kind else None,
        minimum=message.minimum if message.HasField("minimum") else None,
        maximum=message.maximum if message.HasField("maximum") else None,
        choices=tuple(message.choices),
        help=message.help,
    )
