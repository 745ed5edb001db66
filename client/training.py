"""The train flow: one recording becomes an avatar, a voice and subtitles."""

from __future__ import annotations

import logging
import uuid
from typing import Any, BinaryIO

import grpc
from visavis.common.v1 import info_pb2, media_pb2
from visavis.train.v1 import train_pb2
from visavis.tts.v1 import tts_pb2

from client import background, jobs, library, speech
from client.errors import CallError, translate
from client.files import upload, voice_file
from client.jobs import Job
from client.services import Services

logger = logging.getLogger(__name__)

UPLOAD_TIMEOUT_S = 1800
TIMEOUT_S = 30


def train(
    services: Services,
    video: BinaryIO,
    *,
    file_name: str,
    name: str,
    consent_by: str,
    language: str = "",
    engine: str = "",
    parameters: dict[str, str] | None = None,
    device: str = "",
    request_id: str = "",
) -> Job:
    """Check a recording, register its voice, and queue the training of its avatar.

    The voice bears the avatar's name. Subtitles of the recording follow in the background.

    Args:
        video: any container; read twice, so it must be seekable.
        language: BCP 47 tag of what is spoken; empty for the recogniser's default.
        parameters: engine parameters as text, e.g. {"quality": "draft"}.

    Raises:
        CallError: the recording, the name, a parameter or the consent is refused; `field` says which.
    """
    _check_parameters_early(services, engine, parameters or {})
    recording_id = _upload(services, video, file_name)
    voice, is_new = _register_voice(services, video, name, consent_by)
    request = train_pb2.CreateTrainingRequest(
        request_id=request_id or uuid.uuid4().hex,
        recording_id=recording_id,
        name=name,
        engine=engine,
        parameters=_typed(services, engine, parameters or {}),
        consent=media_pb2.Consent(given_by=consent_by),
        voice=voice,
        device=device,
    )
    try:
        with translate():
            job = jobs.from_training(services.train.CreateTraining(request, timeout=TIMEOUT_S).training)
    except CallError:
        if is_new:
            library.delete_voice(services, voice)
        raise
    if voice:
        background.start(_subtitle, services, job.id, voice, language)
    return job


def _check_parameters_early(services: Services, engine: str, parameters: dict[str, str]) -> None:
    # Before the upload, which may take minutes.
    _typed(services, engine, parameters)


def _upload(services: Services, video: BinaryIO, file_name: str) -> str:
    config = train_pb2.RecordingConfig(file_name=file_name)
    with translate():
        requests = upload(config, train_pb2.UploadRecordingRequest, video)
        return services.train.UploadRecording(requests, timeout=UPLOAD_TIMEOUT_S).recording.id


def _register_voice(services: Services, video: BinaryIO, name: str, consent_by: str) -> tuple[str, bool]:
    """The voice's name (empty when the recording holds too little speech for one), and whether it is new."""
    known = {voice["name"] for voice in library.voices(services)}
    video.seek(0)
    try:
        voice = library.create_voice(services, video, name, "", consent_by)["name"]
    except CallError as error:
        if error.field != "audio":
            raise
        logger.info("no voice from this recording", extra={"fields": {"reason": error.reason}})
        return "", False
    return voice, voice not in known


def _typed(services: Services, engine: str, parameters: dict[str, str]) -> list[info_pb2.ParameterValue]:
    """Text values as the types that the engine declares; what it does not know is left for it to refuse."""
    if not parameters:
        return []
    info = library.get_info(services, "train")
    wanted = engine or info.info.engine.name
    declared = next((one.parameters for one in info.engines if one.engine.name == wanted), [])
    types = {parameter.name: parameter.type for parameter in declared}
    return [_typed_value(name, text, types.get(name)) for name, text in parameters.items()]


def _typed_value(name: str, text: Any, kind: int | None) -> info_pb2.ParameterValue:
    try:
        if kind == info_pb2.PARAMETER_TYPE_INTEGER:
            return info_pb2.ParameterValue(name=name, integer=int(text))
        if kind == info_pb2.PARAMETER_TYPE_NUMBER:
            return info_pb2.ParameterValue(name=name, number=float(text))
    except ValueError:
        message = f"'{name}' must be a number."
        raise CallError(
            grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_NUMBER", message, f"params.{name}", {"name": name}
        ) from None
    if kind == info_pb2.PARAMETER_TYPE_BOOLEAN:
        return info_pb2.ParameterValue(name=name, boolean=str(text).lower() in ("1", "true", "yes", "on"))
    return info_pb2.ParameterValue(name=name, text=str(text))


def _subtitle(services: Services, job_id: str, voice: str, language: str) -> None:
    """Recognise the recording, whose whole sound the voice keeps, and note the text with voice and avatar."""
    try:
        recording = _Blocks(voice_file(services, voice).blocks)
        heard = speech.transcribe(services, recording, language)
        with translate():
            services.train.SetTranscript(
                train_pb2.SetTranscriptRequest(id=job_id, webvtt=heard["webvtt"]), timeout=TIMEOUT_S
            )
            services.tts.SetVoiceTranscript(
                tts_pb2.SetVoiceTranscriptRequest(name=voice, transcript=heard["text"]), timeout=TIMEOUT_S
            )
    except CallError as error:
        logger.warning("no subtitles", extra={"fields": {"job": job_id, "reason": error.reason}})


class _Blocks:
    """An iterator of byte blocks as a file that can only be read onward."""

    def __init__(self, blocks: Any) -> None:
        self._blocks = blocks

    def read(self, _size: int = -1) -> bytes:
        return next(self._blocks, b"")
