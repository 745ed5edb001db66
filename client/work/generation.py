"""The generate flow: an avatar and some speech become a video file."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import IO

import grpc
from visavis.common.v1 import info_pb2, media_pb2
from visavis.render.v1 import render_pb2

from client import library
from client.talk import hearing, speech
from client.wire.deadline import RESTART_PAUSES_S, through_restarts
from client.wire.errors import CallError, translate
from client.wire.files import MOST_FILE_NAME, chunks
from client.wire.services import Services
from client.work import jobs
from client.work.jobs import Job
from client.work.parameters import typed

TIMEOUT_S = 30
SUPPLY_TIMEOUT_S = 3600
WAITS_FOR_SPEECH, NOT_WAITING = "input", "NOT_WAITING"
TITLE_CHARACTERS = 80
SUBTITLES = ("none", "vtt", "burn")


def generate(
    services: Services,
    *,
    avatar: str,
    audio: IO[bytes] | None = None,
    file_name: str = "",
    text: str = "",
    voice: str = "",
    language: str = "",
    rate: float = 1.0,
    pitch_semitones: float = 0.0,
    subtitles: str = "none",
    size: int = 0,
    device: str = "",
    mouth_amplitude: float = 1.0,
    head_motion: float = 1.0,
    asr_engine: str = "",
    tts_engine: str = "",
    parameters: dict[str, str] | None = None,
    request_id: str = "",
) -> Job:
    """Queue a video of an avatar saying a recording or a text.

    A text is spoken, and a recording heard for its subtitles, by the job itself.

    Args:
        audio: a recording in any container, which may be read twice, and the `file_name` that its owner gave it; or
        text: what to say, in `voice` (empty for the engine's own).
        subtitles: "none", "vtt" (a file) or "burn" (in the picture, and a file).
        mouth_amplitude: how far the mouth moves, 0.5 to 1.5.
        head_motion: how much the head moves, 0 (the idle loop) to 1 (all that was filmed).
        asr_engine: which hears a recording for its subtitles; empty for the service's default.
        tts_engine: which speaks a text; empty for the service's default.
        parameters: of the avatar's engine, as text.

    Raises:
        CallError: an input is refused; `field` says which.
    """
    _check(audio, text, subtitles)
    options = media_pb2.SubtitleOptions(language=language, engine=asr_engine)
    how = speech.how(voice=voice, language=language, rate=rate, pitch_semitones=pitch_semitones, engine=tts_engine)
    request = render_pb2.CreateGenerationRequest(
        request_id=request_id or uuid.uuid4().hex,
        avatar=avatar,
        size=size,
        subtitles=None if subtitles == "none" else options,
        burn_subtitles=subtitles == "burn",
        device=device,
        expression=render_pb2.Expression(mouth_amplitude=mouth_amplitude, head_motion=head_motion),
        title=file_name[:MOST_FILE_NAME] if audio else _beginning(text),
        parameters=_parameters(services, avatar, parameters or {}),
        script=None if audio else render_pb2.Script(text=text, how=how),
    )
    known = _judge(services, request)
    if known and not _waits(known):
        return known
    if not audio:
        speech.check(services, how)
    elif subtitles != "none":
        hearing.check(services, language, asr_engine)
    job = through_restarts(lambda: _create(services, request), RESTART_PAUSES_S)
    return _supplied(services, job, audio) if audio and _waits(job) else job


def _parameters(services: Services, avatar: str, told: dict[str, str]) -> list[info_pb2.ParameterValue]:
    return typed(services, "render", library.avatar(services, avatar).engine, told) if told else []


def _waits(job: Job) -> bool:
    """Whether the recording that it shall say has not come yet."""
    return not job.is_final and job.stage == WAITS_FOR_SPEECH


def _judge(services: Services, request: render_pb2.CreateGenerationRequest) -> Job | None:
    """Let the service refuse what it would refuse; the job, if this request has made one already."""
    judged = render_pb2.CreateGenerationRequest(validate_only=True)
    judged.MergeFrom(request)
    with translate():
        answer = services.render.CreateGeneration(judged, timeout=TIMEOUT_S)
    return jobs.from_message(answer.job) if answer.HasField("job") else None


def _beginning(text: str) -> str:
    """The first words of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1].rstrip()}…"


def _check(audio: IO[bytes] | None, text: str, subtitles: str) -> None:
    if audio is None and not text.strip():
        raise _invalid("TEXT_EMPTY", "Write what the avatar should say, or choose a recording.", "text")
    if subtitles not in SUBTITLES:
        raise _invalid("SUBTITLES_UNKNOWN", f"Subtitles are one of: {', '.join(SUBTITLES)}.", "subtitles")


def _invalid(reason: str, message: str, field: str) -> CallError:
    return CallError(grpc.StatusCode.INVALID_ARGUMENT, reason, message, field)


def _create(services: Services, request: render_pb2.CreateGenerationRequest) -> Job:
    with translate():
        return jobs.from_message(services.render.CreateGeneration(request, timeout=TIMEOUT_S).job)


def _supplied(services: Services, job: Job, audio: IO[bytes]) -> Job:
    """The job with its recording; one whose recording is refused is withdrawn."""
    try:
        return through_restarts(lambda: _supply(services, job.id, audio), RESTART_PAUSES_S)
    except (CallError, OSError) as error:
        if isinstance(error, CallError) and error.reason == NOT_WAITING:
            return jobs.get(services, job.id)
        with contextlib.suppress(CallError):
            jobs.cancel(services, job.id)
            jobs.delete(services, job.id)
        raise


def _supply(services: Services, job_id: str, audio: IO[bytes]) -> Job:
    with translate():
        supplied = services.render.SupplyGeneration(_requests(job_id, audio), timeout=SUPPLY_TIMEOUT_S)
    return jobs.from_message(supplied.job)


def _requests(job_id: str, audio: IO[bytes]) -> Iterator[render_pb2.SupplyGenerationRequest]:
    audio.seek(0)
    yield render_pb2.SupplyGenerationRequest(config=render_pb2.SupplyConfig(id=job_id))
    for data in chunks(audio):
        yield render_pb2.SupplyGenerationRequest(data=data)
    yield render_pb2.SupplyGenerationRequest(end=render_pb2.SupplyEnd())
