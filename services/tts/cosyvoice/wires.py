"""The two wires: gRPC as `runtime/python/grpc` of CosyVoice speaks it, HTTP as `runtime/python/fastapi` does."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import grpc
from visavis.foreign import cosyvoice_pb2 as messages
from visavis.foreign import cosyvoice_pb2_grpc

from services.common.errors import ServiceError
from services.tts.cosyvoice.asked import PROMPT_RATE, Asked, Way
from services.tts.cosyvoice.failures import CosyVoiceFailures
from services.tts.remote.http import HttpSpeaker
from services.tts.remote.patience import Patience
from services.tts.remote.settings import SpeakerSettings

_OF_TENSORS = "Invalid file"  # how a server's fault begins that gives a tensor where a file is wanted


class Wire(Protocol):
    """One way to a server of CosyVoice."""

    def load(self) -> None: ...

    def speak(self, asked: Asked) -> AsyncGenerator[bytes, None]:
        """The sound of a sentence as it arrives: 16-bit mono at the model's rate."""


class Http:
    """The FastAPI server. It answers 200 before it begins, and what fails then breaks off."""

    def __init__(self, settings: SpeakerSettings, failures: CosyVoiceFailures) -> None:
        self._failures, self._server = failures, HttpSpeaker(settings, failures)

    def load(self) -> None:
        self._server.load()

    def speak(self, asked: Asked) -> AsyncGenerator[bytes, None]:
        form = {"tts_text": asked.text}
        form |= {"spk_id": asked.speaker} if asked.way in (Way.SFT, Way.INSTRUCT) else {}
        form |= {"prompt_text": asked.prompt_text} if asked.way is Way.ZERO_SHOT else {}
        form |= {"instruct_text": asked.instruction} if asked.way in (Way.INSTRUCT, Way.INSTRUCT2) else {}
        files = {"prompt_wav": ("prompt.wav", _wav(asked.prompt_pcm), "audio/wav")} if asked.prompt_pcm else None
        fallen = partial(self._failures.fallen, asked.way)
        return self._server.ask("POST", f"/inference_{asked.way}", fallen=fallen, data=form, files=files)


class Grpc:
    """The gRPC server. A message is the sound of a sentence, or of a part of one."""

    def __init__(self, settings: SpeakerSettings, failures: CosyVoiceFailures) -> None:
        self._settings, self._failures = settings, failures
        place = urlsplit(settings.url)
        self._target, self._is_secret = place.netloc, place.scheme == "grpcs"

    def load(self) -> None:
        """Nothing is sent yet, so that the service starts without the server."""

    async def speak(self, asked: Asked) -> AsyncGenerator[bytes, None]:
        settings, has_sound = self._settings, False
        patience = Patience(settings.answer_seconds)
        async with self._channel() as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), settings.connect_seconds)
            except TimeoutError as error:
                raise self._failures.unreachable() from error
            call = cosyvoice_pb2_grpc.CosyVoiceStub(channel).Inference(_request(asked), metadata=self._key())
            try:
                while (message := await patience.with_(call.read(), settings.read_seconds)) is not grpc.aio.EOF:
                    sound = cast(messages.Response, message).tts_audio
                    has_sound = has_sound or bool(sound)
                    yield sound
            except TimeoutError as error:
                raise self._failures.timed_out() from error
            except grpc.aio.AioRpcError as error:
                raise self._translated(error, asked.way, has_sound) from error
            finally:
                call.cancel()

    def _channel(self) -> grpc.aio.Channel:
        if self._is_secret:
            return grpc.aio.secure_channel(self._target, grpc.ssl_channel_credentials())
        return grpc.aio.insecure_channel(self._target)

    def _key(self) -> tuple[tuple[str, str], ...]:
        key = self._settings.api_key.get_secret_value()
        return (("authorization", f"Bearer {key}"),) if key else ()

    def _translated(self, error: grpc.aio.AioRpcError, way: Way, has_sound: bool) -> ServiceError:
        """What the server's status stands for."""
        failures, status = self._failures, grpc.StatusCode
        if has_sound and error.code() is not status.DEADLINE_EXCEEDED:
            return failures.broken_off()
        if _OF_TENSORS in (error.details() or ""):
            return failures.fallen(Way.ZERO_SHOT)
        known: dict[grpc.StatusCode, Callable[[], ServiceError]] = {
            status.UNKNOWN: lambda: failures.fallen(way),
            status.UNAVAILABLE: failures.broken_off,
            status.CANCELLED: failures.broken_off,
            status.DEADLINE_EXCEEDED: failures.timed_out,
            status.UNAUTHENTICATED: failures.key_refused,
            status.PERMISSION_DENIED: failures.key_refused,
            status.RESOURCE_EXHAUSTED: failures.limited,
            status.INVALID_ARGUMENT: failures.not_taken,
            status.UNIMPLEMENTED: failures.garbled,
            status.INTERNAL: failures.garbled,
        }
        return known.get(error.code(), failures.failing)()


def wire(settings: SpeakerSettings, failures: CosyVoiceFailures) -> Wire:
    """The one that the scheme of the address names."""
    kind: Any = Grpc if settings.url.startswith("grpc") else Http
    made: Wire = kind(settings, failures)
    return made


def _request(asked: Asked) -> messages.Request:
    text, prompt = asked.text, asked.prompt_pcm
    match asked.way:
        case Way.SFT:
            return messages.Request(sft_request=messages.sftRequest(spk_id=asked.speaker, tts_text=text))
        case Way.INSTRUCT:
            told = messages.instructRequest(spk_id=asked.speaker, tts_text=text, instruct_text=asked.instruction)
            return messages.Request(instruct_request=told)
        case Way.ZERO_SHOT:
            words = asked.prompt_text
            zero_shot = messages.zeroshotRequest(tts_text=text, prompt_text=words, prompt_audio=prompt)
            return messages.Request(zero_shot_request=zero_shot)
        case _:
            return messages.Request(
                cross_lingual_request=messages.crosslingualRequest(tts_text=text, prompt_audio=prompt)
            )


def _wav(pcm: bytes) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, PROMPT_RATE, 0, "NONE", ""))
        file.writeframes(pcm)
    return target.getvalue()
