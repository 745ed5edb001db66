"""The train flow: one recording becomes an avatar, a voice and subtitles; a photo becomes an avatar."""

from __future__ import annotations

import logging
import unicodedata
import uuid
from dataclasses import replace
from mimetypes import guess_type
from typing import Any, BinaryIO

import grpc
from visavis.common.v1 import info_pb2, media_pb2
from visavis.train.v1 import train_pb2
from visavis.tts.v1 import tts_pb2

from client import background, cast, hearing, jobs, library, speech
from client.errors import CallError, translate
from client.files import MOST_FILE_NAME, size_of, upload, voice_file
from client.jobs import Job
from client.patience import BACKGROUND_PAUSES_S, RESTART_PAUSES_S, through_restarts
from client.services import Services

logger = logging.getLogger(__name__)

UPLOAD_TIMEOUT_S = 1800
_UNCLEAR = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
"""Failures after which the training may have been made all the same, and need its voice."""
TIMEOUT_S = 30
WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def train(
    services: Services,
    video: BinaryIO,
    *,
    file_name: str,
    name: str,
    consent_by: str,
    voice: str = "",
    language: str = "",
    engine: str = "",
    parameters: dict[str, str] | None = None,
    device: str = "",
    asr_engine: str = "",
    tts_engine: str = "",
    request_id: str = "",
) -> Job:
    """Check a recording, register its voice, and queue the training of its avatar.

    The voice bears the avatar's name. Subtitles of the recording follow in the background. Of a photo no voice can be
    made: its avatar speaks with the registered `voice`, if one is given.

    Args:
        video: any container, or a JPEG, PNG or WebP photo; read twice, so it must be seekable.
        voice: a registered voice that the avatar shall have; none is then made of the recording.
        language: BCP 47 tag of what is spoken, for the subtitles.
        engine: which trains; empty for the service's default, as for the next two.
        parameters: engine parameters as text, e.g. {"quality": "draft"}.
        asr_engine: which hears the recording for its subtitles.
        tts_engine: which learns the voice first.

    Returns:
        The job; its `warnings` say what in the recording could be better.

    Raises:
        CallError: the recording, the name, a parameter or the consent is refused; `field` says which.
    """
    name = unicodedata.normalize("NFC", name).strip()  # as the services spell it
    request = train_pb2.CreateTrainingRequest(
        request_id=request_id or uuid.uuid4().hex,
        name=name,
        engine=engine,
        parameters=_typed(services, engine, parameters or {}),
        consent=media_pb2.Consent(given_by=consent_by),
        voice=voice,
        device=device,
    )
    if known := _judge(services, request):  # before the upload, which may take minutes
        return known
    if not request_id and not voice and not _looks_like_photo(file_name):
        _check_voice_is_free(services, name)
    if voice:
        cast.voice(services, voice)
    recording = _upload(services, video, file_name)
    registers = not voice and not recording.is_photo
    is_new = False
    if registers:
        voice, is_new = _register_voice(services, video, name, consent_by, tts_engine)
    request.recording_id, request.voice = recording.id, voice
    try:
        job = through_restarts(lambda: _create(services, request), RESTART_PAUSES_S)
    except CallError as error:
        if is_new and error.code not in _UNCLEAR:
            library.delete_voice(services, voice)
        raise
    warnings = [jobs.problem(warning) for warning in recording.warnings]
    if voice and registers:
        warnings += _begin_subtitles(services, job.id, voice, language, asr_engine)
    return replace(job, warnings=tuple(warnings))


def _create(services: Services, request: train_pb2.CreateTrainingRequest) -> Job:
    with translate():
        return jobs.from_training(services.train.CreateTraining(request, timeout=TIMEOUT_S).training)


def _begin_subtitles(services: Services, job_id: str, voice: str, language: str, engine: str) -> list[dict[str, Any]]:
    """Subtitles follow in the background; if they cannot, a warning that says why."""
    try:
        hearing.check(services, language, engine)
    except CallError as error:
        return [{"code": error.reason, "message": error.message, "field": None, "values": error.values}]
    background.start(_subtitle, services, job_id, voice, language, engine)
    return []


def _looks_like_photo(file_name: str) -> bool:
    """By its name only: what a file really is, the service says once it is there."""
    return (guess_type(file_name)[0] or "").startswith("image/")


def _judge(services: Services, request: train_pb2.CreateTrainingRequest) -> Job | None:
    """Let the service refuse what it would refuse of any recording; the job, if this request has made one already."""
    judged = train_pb2.CreateTrainingRequest(validate_only=True)
    judged.MergeFrom(request)
    with translate():
        answer = services.train.CreateTraining(judged, timeout=TIMEOUT_S)
    return jobs.from_training(answer.training) if answer.HasField("training") else None


def _check_voice_is_free(services: Services, name: str) -> None:
    """Refuse at once a name that the voice of the recording could not have."""
    if _has_voice(services, name) and not _came_to_nothing(services, name):
        message = f"A voice named '{name}' exists already. Choose another name, or delete that voice first."
        raise CallError(grpc.StatusCode.ALREADY_EXISTS, "VOICE_EXISTS", message, "name", {"name": name})


def _has_voice(services: Services, name: str) -> bool:
    return name in [voice["name"] for voice in library.voices(services)]


def _came_to_nothing(services: Services, name: str) -> bool:
    """Whether the latest training of that name failed or was cancelled: then its voice serves nobody."""
    latest = next((job.state for job in jobs.trainings(services) if job.subject == name), "")
    return latest in ("failed", "cancelled")


def _upload(services: Services, video: BinaryIO, file_name: str) -> train_pb2.Recording:
    config = train_pb2.RecordingConfig(file_name=file_name[-MOST_FILE_NAME:])

    def attempt() -> train_pb2.Recording:
        config.size_bytes = size_of(video)
        with translate():
            requests = upload(config, train_pb2.UploadRecordingRequest, video)
            return services.train.UploadRecording(requests, timeout=UPLOAD_TIMEOUT_S).recording

    return through_restarts(attempt, RESTART_PAUSES_S)


def _register_voice(services: Services, video: BinaryIO, name: str, consent_by: str, engine: str) -> tuple[str, bool]:
    """The voice's name (empty when the recording holds too little speech for one), and whether it is new."""
    is_new = not _has_voice(services, name)
    try:
        return _create_voice(services, video, name, consent_by, engine), is_new
    except CallError as error:
        if error.field != "audio":
            raise
        logger.info("no voice from this recording", extra={"fields": {"reason": error.reason}})
        return "", False


def _create_voice(services: Services, video: BinaryIO, name: str, consent_by: str, engine: str) -> str:
    """Register the voice, in place of one that a training which came to nothing left."""
    try:
        return library.create_voice(services, video, name, "", consent_by, engine)["name"]
    except CallError as error:
        if error.reason != "VOICE_EXISTS" or not _came_to_nothing(services, name):
            raise
    library.delete_voice(services, name)
    return library.create_voice(services, video, name, "", consent_by, engine)["name"]


def _typed(services: Services, engine: str, parameters: dict[str, str]) -> list[info_pb2.ParameterValue]:
    """Text values as the types that the engine declares; what it does not know is left for it to refuse."""
    if not parameters:
        return []
    info = library.get_info(services, "train").info
    wanted = engine or info.default_engine
    declared = next((one.parameters for one in info.engines if one.name == wanted), [])
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
        return info_pb2.ParameterValue(name=name, boolean=_yes_or_no(name, str(text)))
    return info_pb2.ParameterValue(name=name, text=str(text))


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in WORDS:
        message = f"'{name}' must be yes or no."
        raise CallError(grpc.StatusCode.INVALID_ARGUMENT, "NOT_YES_OR_NO", message, f"params.{name}", {"name": name})
    return WORDS[text.lower()]


def _subtitle(services: Services, job_id: str, voice: str, language: str, engine: str) -> None:
    """Recognise the recording, whose whole sound the voice keeps, and note the text with voice and avatar."""
    try:
        through_restarts(lambda: _transcribe(services, job_id, voice, language, engine), BACKGROUND_PAUSES_S)
    except CallError as error:
        logger.warning("no subtitles", extra={"fields": {"job": job_id, "reason": error.reason}})


def _transcribe(services: Services, job_id: str, voice: str, language: str, engine: str) -> None:
    heard = speech.transcribe(services, _Blocks(voice_file(services, voice).blocks), language, engine)
    with translate():
        services.train.SetTranscript(
            train_pb2.SetTranscriptRequest(id=job_id, webvtt=heard["webvtt"]), timeout=TIMEOUT_S
        )
        services.tts.SetVoiceTranscript(
            tts_pb2.SetVoiceTranscriptRequest(name=voice, transcript=heard["text"]), timeout=TIMEOUT_S
        )


class _Blocks:
    """An iterator of byte blocks as a file that can only be read onward."""

    def __init__(self, blocks: Any) -> None:
        self._blocks = blocks

    def read(self, _size: int = -1) -> bytes:
        return next(self._blocks, b"")
