"""The generate flow: an avatar and some speech become a video file."""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import grpc
from visavis.common.v1 import job_pb2
from visavis.render.v1 import render_pb2

from client import background, hearing, jobs, library, speech, subtitles
from client.errors import CallError, translate
from client.files import MOST_FILE_NAME, chunks
from client.jobs import Job
from client.patience import BACKGROUND_PAUSES_S, RESTART_PAUSES_S, through_restarts
from client.services import Services

logger = logging.getLogger(__name__)

TIMEOUT_S = 30
SUPPLY_TIMEOUT_S = 3600
WAITS_FOR_SPEECH, NOT_WAITING = "input", "NOT_WAITING"
Say = Callable[[], speech.Speech]
Hear = Callable[[BinaryIO], dict[str, Any]]
TITLE_CHARACTERS = 80
SUBTITLES = ("none", "vtt", "burn")


def generate(
    services: Services,
    *,
    avatar: str,
    audio: BinaryIO | None = None,
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
    request_id: str = "",
) -> Job:
    """Queue a video of an avatar saying a recording or a text.

    Speech from text, and recognition for subtitles, go on in the background after this returns.

    Args:
        audio: a recording in any container, which may be read twice, and the `file_name` that its owner gave it; or
        text: what to say, in `voice` (empty for the engine's own).
        subtitles: "none", "vtt" (a file) or "burn" (in the picture, and a file).
        mouth_amplitude: how far the mouth moves, 0.5 to 1.5.
        head_motion: how much the head moves, 0 (the idle loop) to 1 (all that was filmed).
        asr_engine: which hears a recording for its subtitles; empty for the service's default.
        tts_engine: which speaks a text; empty for the service's default.

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
        expression=render_pb2.Expression(mouth_amplitude=mouth_amplitude, head_motion=head_motion),
        title=file_name[:MOST_FILE_NAME] if audio else _beginning(text),
    )
    job = _create(services, request)
    if job.is_final or job.stage != WAITS_FOR_SPEECH:
        return job  # the same request came before
    say = partial(
        speech.say, services, text, voice=voice, language=language, rate=rate, pitch_semitones=pitch_semitones,
        engine=tts_engine,
    )  # fmt: skip
    hear = partial(speech.hear, services, language=language, engine=asr_engine, pauses_s=BACKGROUND_PAUSES_S)
    try:
        if audio and subtitles != "none":
            hearing.check(services, language, asr_engine)
        return _feed(services, job, audio, say, hear if subtitles != "none" else None)
    except (CallError, OSError) as error:
        if isinstance(error, CallError) and error.reason == NOT_WAITING:
            return jobs.get(services, job.id)
        _withdraw(services, job.id)
        raise


def _feed(services: Services, job: Job, audio: BinaryIO | None, say: Say, hear: Hear | None) -> Job:
    """Bring the job its speech: now if it is all there, in the background if another service has to work first."""
    work: Callable[[], None]
    if audio is None:
        library.get_info(services, "tts")  # if nobody is there to begin with, that is told at once
        spoken = through_restarts(lambda: _begun(say()), RESTART_PAUSES_S)
        work = partial(_speak, services, job.id, spoken, say, hear is not None)
    elif hear:
        work = partial(_subtitle, services, job.id, _copy(audio), hear)
    else:
        return through_restarts(lambda: _supply(services, _file_requests(job.id, audio)), RESTART_PAUSES_S)
    background.start(_bring, services, job.id, work)
    return job


def _beginning(text: str) -> str:
    """The first words of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1].rstrip()}…"


def _begun(spoken: speech.Speech) -> speech.Speech:
    """Wait until the speech begins, so that what is refused is refused now."""
    spoken.sample_rate  # noqa: B018
    return spoken


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
    """Supply all of it: where `requests` break off, the job goes on waiting.

    Raises:
        CallError: what `requests` raised, or what the renderer answered.
    """
    broken: list[CallError] = []

    def until_the_end() -> Iterator[render_pb2.SupplyGenerationRequest]:
        try:
            yield from requests
            yield render_pb2.SupplyGenerationRequest(end=render_pb2.SupplyEnd())
        except CallError as error:
            broken.append(error)

    try:
        with translate():
            supplied = services.render.SupplyGeneration(until_the_end(), timeout=SUPPLY_TIMEOUT_S)
    except CallError as error:
        raise (broken or [error])[0] from None
    return jobs.from_generation(supplied.generation)


def _withdraw(services: Services, job_id: str) -> None:
    """A request that is refused leaves no job."""
    with contextlib.suppress(CallError):
        jobs.cancel(services, job_id)
        jobs.delete(services, job_id)


def _config(job_id: str, rate: int = 0) -> render_pb2.SupplyGenerationRequest:
    config = render_pb2.SupplyConfig(id=job_id, sample_rate_hertz=rate)
    return render_pb2.SupplyGenerationRequest(config=config)


def _file_requests(job_id: str, audio: BinaryIO, webvtt: str = "") -> Iterator[render_pb2.SupplyGenerationRequest]:
    audio.seek(0)
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
    for event in spoken.events():
        if isinstance(event, bytes):
            sample_count += len(event) // 2
            yield render_pb2.SupplyGenerationRequest(data=event)
        elif not isinstance(event, speech.SpokenSentence):
            yield render_pb2.SupplyGenerationRequest(closures=event)
    if with_subtitles:
        webvtt = subtitles.from_sentences(spoken.sentences, sample_count / spoken.sample_rate)
        yield render_pb2.SupplyGenerationRequest(subtitles=webvtt)


def _failure(error: CallError) -> render_pb2.SupplyGenerationRequest:
    told = job_pb2.Error(reason=error.reason, message=error.message, field=error.field, values=error.values)
    return render_pb2.SupplyGenerationRequest(error=told)


def _speak(services: Services, job_id: str, spoken: speech.Speech, say: Say, with_subtitles: bool) -> None:
    takes = itertools.chain([spoken], iter(say, None))

    def attempt() -> Job:
        with contextlib.closing(next(takes)) as take:
            return _supply(services, _speech_requests(job_id, take, with_subtitles))

    through_restarts(attempt, BACKGROUND_PAUSES_S)


def _subtitle(services: Services, job_id: str, audio: BinaryIO, hear: Hear) -> None:
    with audio:
        heard = hear(audio)
        through_restarts(lambda: _supply(services, _file_requests(job_id, audio, heard["webvtt"])), BACKGROUND_PAUSES_S)


def _bring(services: Services, job_id: str, work: Callable[[], None]) -> None:
    """Do the work in the background; a failure becomes the job's, so that who waits for it learns why."""
    try:
        work()
    except CallError as error:
        logger.info("speech not brought", extra={"fields": {"reason": error.reason}})
        if error.reason == NOT_WAITING or error.code is grpc.StatusCode.NOT_FOUND:
            return
        told = [_config(job_id), _failure(error)]
        with contextlib.suppress(CallError):  # then the job ends when its time to wait is over
            through_restarts(lambda: _supply(services, iter(told)), BACKGROUND_PAUSES_S)


def _copy(file: BinaryIO) -> Any:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the background thread closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy
