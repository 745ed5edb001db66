"""Registered voices, and the recordings that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2

from basics.problem import Problem
from client.library import TIMEOUT_S, Consent, get_info
from client.wire.deadline import RESTART_PAUSES_S, through_restarts
from client.wire.errors import problem_of, translate
from client.wire.files import size_of, upload
from client.wire.pages import Page, walk
from client.wire.services import Services

UPLOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class Report:
    """What a recording sounds like, in the part that engines learn from."""

    duration_s: float
    """Of the whole recording."""
    speech_s: float
    signal_to_noise_db: float
    clipped_share: float
    apart_semitones: float
    """Between two speakers; 0 where only one can be told."""
    warnings: tuple[Problem, ...]
    """What could be better, each with its remedy."""

    @classmethod
    def of(cls, message: tts_pb2.RecordingReport) -> Report:
        """What a message says."""
        return cls(
            duration_s=message.duration.ToTimedelta().total_seconds(),
            speech_s=message.speech.ToTimedelta().total_seconds(),
            signal_to_noise_db=message.signal_to_noise_db,
            clipped_share=message.clipped_share,
            apart_semitones=message.apart_semitones,
            warnings=tuple(map(problem_of, message.warnings)),
        )


@dataclass(frozen=True)
class Voice:
    """A registered voice. One with an `error` is damaged: it can be deleted, and nothing else."""

    name: str
    engine: str
    duration_s: float
    transcript: str
    consent: Consent
    created_at: float
    """Seconds since 1970."""
    report: Report | None
    """None for voices from before recordings were judged."""
    error: Problem | None


def listed(services: Services) -> list[Voice]:
    """Every registered voice, by name."""
    return [*walk(lambda token: page(services, 0, token))]


def page(services: Services, size: int, token: str) -> Page:
    """Some of the voices, by name; 0 for the service's own size of page."""
    request = tts_pb2.ListVoicesRequest(page_size=size, page_token=token)
    with translate():
        listed = services.tts.ListVoices(request, timeout=TIMEOUT_S)
    return Page([_voice(voice) for voice in listed.voices], listed.next_page_token)


def _voice(message: tts_pb2.Voice) -> Voice:
    return Voice(
        name=message.name,
        engine=message.engine,
        duration_s=message.duration.ToTimedelta().total_seconds(),
        transcript=message.transcript,
        consent=Consent.of(message.consent),
        created_at=message.create_time.ToMilliseconds() / 1000,
        report=Report.of(message.report) if message.HasField("report") else None,
        error=problem_of(message.error) if message.HasField("error") else None,
    )


def judge(services: Services, audio: IO[bytes]) -> Report:
    """What a recording in any container would make a voice suffer from; nothing is kept.

    Raises:
        CallError: no voice can be made of it at all.
    """
    config = tts_pb2.JudgeRecordingConfig()

    def attempt() -> Report:
        config.size_bytes = size_of(audio)
        with translate():
            requests = upload(config, tts_pb2.JudgeRecordingRequest, audio)
            return Report.of(services.tts.JudgeRecording(requests, timeout=UPLOAD_TIMEOUT_S).report)

    get_info(services, "tts")  # if nobody is there to begin with, that is told at once
    return through_restarts(attempt, RESTART_PAUSES_S)


def create(
    services: Services, audio: IO[bytes], name: str, transcript: str, consent_by: str, engine: str = ""
) -> Voice:
    """Register a voice from a recording in any container, read from its beginning."""
    consent = media_pb2.Consent(given_by=consent_by)
    config = tts_pb2.VoiceConfig(name=name, transcript=transcript, consent=consent, engine=engine)

    def attempt() -> Voice:
        config.size_bytes = size_of(audio)
        with translate():
            requests = upload(config, tts_pb2.CreateVoiceRequest, audio)
            return _voice(services.tts.CreateVoice(requests, timeout=UPLOAD_TIMEOUT_S).voice)

    get_info(services, "tts")  # if nobody is there to begin with, that is told at once
    return through_restarts(attempt, RESTART_PAUSES_S)


def bring(services: Services, archive: IO[bytes], name: str = "", engine: str = "") -> Voice:
    """Register a voice that was exported, read from its beginning; under its own name unless another is given."""
    config = tts_pb2.ImportVoiceConfig(name=name, engine=engine)

    def attempt() -> Voice:
        config.size_bytes = size_of(archive)
        with translate():
            requests = upload(config, tts_pb2.ImportVoiceRequest, archive)
            return _voice(services.tts.ImportVoice(requests, timeout=UPLOAD_TIMEOUT_S).voice)

    get_info(services, "tts")  # if nobody is there to begin with, that is told at once
    return through_restarts(attempt, RESTART_PAUSES_S)


def set_transcript(services: Services, name: str, transcript: str) -> Voice:
    """Note what is said in a voice's reference recording."""
    request = tts_pb2.SetVoiceTranscriptRequest(name=name, transcript=transcript)
    with translate():
        return _voice(services.tts.SetVoiceTranscript(request, timeout=TIMEOUT_S).voice)


def delete(services: Services, name: str) -> None:
    """Forget a voice."""
    with translate():
        services.tts.DeleteVoice(tts_pb2.DeleteVoiceRequest(name=name), timeout=TIMEOUT_S)
