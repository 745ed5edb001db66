"""The generate flow: an avatar and some speech become a video file."""

from __future__ import annotations

import logging
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO

import grpc
from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2

from client import background, jobs, speech, subtitles
from client.errors import CallError, translate
from client.files import chunks
from client.jobs import Job
from client.services import Services

logger = logging.getLogger(__name__)

TIMEOUT_S = 30
SUPPLY_TIMEOUT_S = 3600
SUBTITLES = ("none", "vtt", "burn")


def generate(
    services: Services,
    *,
    avatar: str,
    audio: BinaryIO | None = None,
    text: str = "",
    voice: str = "",
    language: str = "",
    rate: float = 1.0,
    pitch_semitones: float = 0.0,
    subtitles: str = "none",
    size: int = 0,
    device: str = "",
    request_id: str = "",
) -> Job:
    """Queue a video of an avatar saying a recording or a text.

    Speech from text, and recognition for subtitles, go on in the background after this returns.

    Args:
        audio: a recording in any container; or
        text: what to say, in `voice` (empty for the engine's own).
        subtitles: "none", "vtt" (a file) or "burn" (in the picture, and a file).

    Raises:
        CallError: an input is refused; `field` says which.
    """
    _check(audio, text, subtitles)
    request = render_pb2.CreateGenerationRequest(
        request_id=request_id or uuid.uuid4().hex,
        avatar=avatar,
        size=size,
        burn_subtitles=subtitles == "burn",
        device=device,
    )
    if audio is None:
        spoken = speech.say(services, text, voice=voice, language=language, rate=rate, pitch_semitones=pitch_semitones)
        spoken.sample_rate  # noqa: B018 - waits until the speech begins, so that what is refused is refused here
        job = _create(services, request)
        background.start(_quietly, _supply_speech, services, job.id, spoken, subtitles != "none")
        return job
    job = _create(services, request)
    if subtitles == "none":
        return _supply(services, _file_requests(job.id, audio))
    background.start(_quietly, _supply_subtitled, services, job.id, _copy(audio), language)
    return job


def _check(audio: BinaryIO | None, text: str, subtitles: str) -> None:
    if audio is None and not text.strip():
        raise _invalid("TEXT_EMPTY", "Write what the avatar should say, or choose a recording.", "text")
    if subtitles not in SUBTITLES:
        raise _invalid("SUBTITLES_UNKNOWN", f"Subtitles are one of: {', '.join(SUBTITLES)}.", "subtitles")


def _invalid(reason: str, message: str, field: str) -> CallError:
    return CallError(grpc.StatusCode.INVALID_ARGUMENT, reason, message, field)


def _create(services: Services, request: render_pb2.CreateGenerationRequest) -> Job:
    with translate():
        return jobs.from_generation(services.render.CreateGeneration(request, timeout=TIMEOUT_S).generation)


def _supply(services: Services, requests: Iterator[render_pb2.SupplyGenerationRequest]) -> Job:
    with translate():
        return jobs.from_generation(services.render.SupplyGeneration(requests, timeout=SUPPLY_TIMEOUT_S).generation)


def _config(job_id: str, rate: int = 0) -> render_pb2.SupplyGenerationRequest:
    config = render_pb2.SupplyConfig(id=job_id, sample_rate_hertz=rate)
    return render_pb2.SupplyGenerationRequest(config=config)


def _file_requests(job_id: str, audio: BinaryIO, webvtt: str = "") -> Iterator[render_pb2.SupplyGenerationRequest]:
    yield _config(job_id)
    for data in chunks(audio):
        yield render_pb2.SupplyGenerationRequest(data=data)
    if webvtt:
        yield render_pb2.SupplyGenerationRequest(subtitles=webvtt)


def _speech_requests(
    job_id: str, spoken: speech.Speech, with_subtitles: bool
) -> Iterator[render_pb2.SupplyGenerationRequest]:
    yield _config(job_id, spoken.sample_rate)
    sample_count = 0
    try:
        for pcm in spoken:
            sample_count += len(pcm) // 2
            yield render_pb2.SupplyGenerationRequest(data=pcm)
    except CallError as error:
        yield _failure(error)
        return
    if with_subtitles:
        webvtt = subtitles.from_sentences(spoken.sentences, sample_count / spoken.sample_rate)
        yield render_pb2.SupplyGenerationRequest(subtitles=webvtt)


def _failure(error: CallError) -> render_pb2.SupplyGenerationRequest:
    told = job_pb2.Error(reason=error.reason, message=error.message, field=error.field, values=error.values)
    return render_pb2.SupplyGenerationRequest(error=told)


def _supply_speech(services: Services, job_id: str, spoken: speech.Speech, with_subtitles: bool) -> None:
    _supply(services, _speech_requests(job_id, spoken, with_subtitles))


def _supply_subtitled(services: Services, job_id: str, audio: BinaryIO, language: str) -> None:
    with audio:
        try:
            heard = speech.transcribe(services, audio, language)
        except CallError as error:
            _supply(services, iter([_config(job_id), _failure(error)]))
            return
        audio.seek(0)
        _supply(services, _file_requests(job_id, audio, heard["webvtt"]))


def _copy(file: BinaryIO) -> Any:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the background thread closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _quietly(work: Any, *arguments: Any) -> None:
    try:
        work(*arguments)
    except CallError as error:
        # The job's own row tells the user; a cancelled job ends here too.
        logger.info("speech not brought", extra={"fields": {"reason": error.reason}})
