"""The train flow: one recording becomes an avatar, a voice and subtitles; a photo becomes an avatar."""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import replace
from mimetypes import guess_type
from typing import IO

import grpc
from visavis.common.v1 import media_pb2
from visavis.train.v1 import train_pb2

from basics.problem import Problem
from client import library, voices
from client.talk import cast, hearing
from client.wire.deadline import AWAY, RESTART_PAUSES_S, through_restarts
from client.wire.errors import CallError, translate
from client.wire.files import MOST_FILE_NAME, size_of, upload
from client.wire.services import Services
from client.work import jobs
from client.work.jobs import Job
from client.work.parameters import typed

UPLOAD_TIMEOUT_S = 1800
TIMEOUT_S = 30


def train(
    services: Services,
    video: IO[bytes],
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
    """Check a recording, and queue the training of its avatar, which makes its voice and subtitles too.

    The voice bears the avatar's name. Of a photo no voice can be made: its avatar speaks with the registered `voice`,
    if one is given.

    Args:
        video: any container, or a JPEG, PNG or WebP photo; read again if the service restarts, so it must be seekable.
        voice: a registered voice that the avatar shall have; none is then made of the recording.
        language: BCP 47 tag of what is spoken, for the subtitles.
        engine: which trains; empty for the service's default, as for the next two.
        parameters: engine parameters as text, e.g. {"quality": "draft"}.
        asr_engine: which hears the recording for its subtitles.
        tts_engine: which learns the voice first.

    Returns:
        The job; its `warnings` say what in the recording could be better, and why there cannot be subtitles.

    Raises:
        CallError: the recording, the name, a parameter or the consent is refused; `field` says which.
    """
    name = unicodedata.normalize("NFC", name).strip()  # as the services spell it
    request = train_pb2.CreateTrainingRequest(
        request_id=request_id or uuid.uuid4().hex,
        name=name,
        engine=engine,
        parameters=typed(services, "train", engine, parameters or {}),
        consent=media_pb2.Consent(given_by=consent_by),
        voice=voice,
        device=device,
        new_voice=None if voice else train_pb2.NewVoice(engine=tts_engine),
        subtitles=media_pb2.SubtitleOptions(language=language, engine=asr_engine),
    )
    if known := _judge(services, request):  # before the upload, which may take minutes
        return known
    if voice:
        cast.voice(services, voice)
    elif not _looks_like_photo(file_name):
        _check_new_voice(services, name, tts_engine)
    recording = _upload(services, video, file_name, engine)
    request.recording_id = recording.id
    job = through_restarts(lambda: _create(services, request), RESTART_PAUSES_S)
    warnings = () if recording.is_photo else _lack_of_subtitles(services, language, asr_engine)
    return replace(job, warnings=(*job.warnings, *warnings))


def _create(services: Services, request: train_pb2.CreateTrainingRequest) -> Job:
    with translate():
        return jobs.from_message(services.train.CreateTraining(request, timeout=TIMEOUT_S).job)


def _lack_of_subtitles(services: Services, language: str, engine: str) -> tuple[Problem, ...]:
    """Why there cannot be subtitles, as far as that is known before the job has come to them."""
    try:
        hearing.check(services, language, engine)
    except CallError as error:
        return (error.about("").problem,)
    return ()


def _looks_like_photo(file_name: str) -> bool:
    """By its name only: what a file really is, the service says once it is there."""
    return (guess_type(file_name)[0] or "").startswith("image/")


def _judge(services: Services, request: train_pb2.CreateTrainingRequest) -> Job | None:
    """Let the service refuse what it would refuse of any recording; the job, if this request has made one already."""
    judged = train_pb2.CreateTrainingRequest(validate_only=True)
    judged.MergeFrom(request)
    with translate():
        answer = services.train.CreateTraining(judged, timeout=TIMEOUT_S)
    return jobs.from_message(answer.job) if answer.HasField("job") else None


def _check_new_voice(services: Services, name: str, engine: str) -> None:
    """Refuse at once a name that another voice has, and an engine that cannot be used. If speech is away, the job waits
    for it and sees."""
    try:
        is_taken = name in [voice.name for voice in voices.listed(services)]
        if engine:
            library.engine(services, "tts", engine, "tts_engine").check_usable("tts_engine")
    except CallError as error:
        if error.code is not grpc.StatusCode.UNAVAILABLE or error.reason not in AWAY:
            raise
        return
    if is_taken:
        message = f"A voice named '{name}' exists already. Choose another name, or delete that voice first."
        raise CallError(grpc.StatusCode.ALREADY_EXISTS, "VOICE_EXISTS", message, "name", {"name": name})


def _upload(services: Services, video: IO[bytes], file_name: str, engine: str) -> train_pb2.Recording:
    config = train_pb2.RecordingConfig(file_name=file_name[-MOST_FILE_NAME:], engine=engine)

    def attempt() -> train_pb2.Recording:
        config.size_bytes = size_of(video)
        with translate():
            requests = upload(config, train_pb2.UploadRecordingRequest, video)
            return services.train.UploadRecording(requests, timeout=UPLOAD_TIMEOUT_S).recording

    return through_restarts(attempt, RESTART_PAUSES_S)
