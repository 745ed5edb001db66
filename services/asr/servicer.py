"""The gRPC face of recognition."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

import grpc
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc
from visavis.common.v1 import media_pb2

from basics.languages import primary
from services.asr import engines, numbers
from services.asr.detectors import Detectors
from services.asr.endpointing import Endpointer, SpeechEnded, SpeechGoesOn, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine, Expected
from services.asr.settings import AsrSettings
from services.asr.transcription import Interim, LiveEvent, LiveTranscription, RecordedTranscription, Utterance
from services.common.conversion import Converter, read_wav
from services.common.describe import detector_info, service_info
from services.common.disk import forget_leftovers
from services.common.engine import Capability
from services.common.errors import InvalidInput
from services.common.files import UPLOADS, upload_folder
from services.common.hosting import Engines
from services.common.phrases import joined
from services.common.recordings import Recordings
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.streams import in_thread
from services.common.subtitles import Word, cues, to_srt, to_webvtt
from services.common.tidying import tidy
from services.common.times import duration

_Config: TypeAlias = asr_pb2.TranscribeConfig | asr_pb2.StreamingRecognizeConfig
RATES_HERTZ = range(8000, 48_001)
EXPIRE_EVERY_S = 600.0
HANGOVERS_MS = range(100, 5001)
CONVERSIONS = 2  # recordings that are decoded at the same moment


class AsrServicer(Service, asr_pb2_grpc.AsrServiceServicer):
    """Recognises speech, live or in recordings."""

    full_name = "visavis.asr.v1.AsrService"
    engine_package = engines
    engines: Engines[AsrEngine]

    def __init__(self, settings: AsrSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._recordings = Recordings(Storage(settings.storage_url, settings.work_folder / "cache"))
        self._converter = Converter(CONVERSIONS)
        self._detectors = Detectors(voice=settings.use_silero, turn=settings.use_smart_turn)
        self._tidying: asyncio.Task[None] | None = None

    def register(self, server: grpc.aio.Server) -> None:
        asr_pb2_grpc.add_AsrServiceServicer_to_server(self, server)

    def load(self) -> None:
        super().load()
        info = self.engines.info()
        if self._settings.written_form and Capability.WRITTEN_FORM not in info.capabilities:
            numbers.load(info.languages)
        self._detectors.load()

    async def start(self) -> None:
        """Begin forgetting what killed processes left."""
        forget = partial(forget_leftovers, self._settings.work_folder, UPLOADS)
        self._tidying = asyncio.create_task(tidy(forget, EXPIRE_EVERY_S))

    async def close(self) -> None:
        if self._tidying:
            self._tidying.cancel()
        await super().close()

    async def GetInfo(self, request: asr_pb2.GetInfoRequest, context: object) -> asr_pb2.GetInfoResponse:
        info, lacks = await asyncio.to_thread(lambda: (service_info(self.engines), self._detectors.lacks()))
        detectors = [detector_info(name, lack) for name, lack in lacks.items()]
        return asr_pb2.GetInfoResponse(info=info, detectors=detectors)

    async def Transcribe(
        self, request_iterator: AsyncIterator[asr_pb2.TranscribeRequest], context: object
    ) -> asr_pb2.TranscribeResponse:
        config, messages = await open_stream(request_iterator)
        async with self.engines.use(config.engine) as engine:
            return await self._transcribed(engine, config, messages)

    async def _transcribed(
        self, engine: AsrEngine, config: asr_pb2.TranscribeConfig, messages: AsyncIterator[asr_pb2.TranscribeRequest]
    ) -> asr_pb2.TranscribeResponse:
        expected = self._expected(engine, config)
        if not expected.language:
            _check_tells_languages_apart(engine)
        language = await asyncio.to_thread(_language, engine, expected.language)
        with upload_folder(self._settings.work_folder) as folder:
            most, longest_s = self._settings.max_upload_bytes, self._settings.max_recording_seconds
            recording = await self._recordings.brought(config, messages, folder / "recording", most, "data")
            wav = folder / "sound.wav"
            sound = await self._converter.convert(recording, wav, SAMPLE_RATE, max_seconds=longest_s, field="data")
            endpointer = Endpointer(**self._endpoints(engine, self._settings.file_hangover_ms))
            work = RecordedTranscription(engine, expected, endpointer, self._writes(engine, expected, config))
            found = in_thread(work.utterances(read_wav(wav)), interrupt=work.interrupt)
            async with aclosing(found) as utterances:
                said = [utterance async for utterance in utterances if utterance.text]
        words = [word for utterance in said for word in utterance.words or (_as_word(utterance),)]
        subtitles = await asyncio.to_thread(cues, words)
        return asr_pb2.TranscribeResponse(
            text=joined(utterance.text for utterance in said),
            spoken_text=joined(utterance.spoken for utterance in said),
            utterances=[_utterance(utterance) for utterance in said],
            webvtt=to_webvtt(subtitles),
            srt=to_srt(subtitles),
            language=_most_spoken(said) or language,
            duration=duration(sound.seconds),
        )

    async def StreamingRecognize(
        self, request_iterator: AsyncIterator[asr_pb2.StreamingRecognizeRequest], context: object
    ) -> AsyncIterator[asr_pb2.StreamingRecognizeResponse]:
        config, messages = await open_stream(request_iterator)
        async with (
            self.engines.use(config.engine) as engine,
            aclosing(self._recognised(engine, config, messages)) as responses,
        ):
            async for response in responses:
                yield response

    async def _recognised(
        self,
        engine: AsrEngine,
        config: asr_pb2.StreamingRecognizeConfig,
        messages: AsyncIterator[asr_pb2.StreamingRecognizeRequest],
    ) -> AsyncGenerator[asr_pb2.StreamingRecognizeResponse, None]:
        expected = self._expected(engine, config)
        language = await asyncio.to_thread(_language, engine, expected.language)
        rate, hangover_ms = _rate(config), self._hangover_ms(config)
        header = asr_pb2.StreamingRecognizeHeader(language=language, hangover=duration(hangover_ms / 1000))
        yield asr_pb2.StreamingRecognizeResponse(header=header)
        endpoints = self._endpoints(engine, hangover_ms)
        endpointer = await asyncio.to_thread(partial(self._detectors.endpointer, **endpoints))
        live = LiveTranscription(engine, expected, rate, endpointer, self._writes(engine, expected, config))
        try:
            async for message in messages:
                async with aclosing(in_thread(live.push(message.audio), interrupt=live.interrupt)) as events:
                    async for event in events:
                        yield _response(event)
            async with aclosing(in_thread(live.finish(), interrupt=live.interrupt)) as events:
                async for event in events:
                    yield _response(event)
        finally:
            await asyncio.to_thread(live.close)

    def _hangover_ms(self, config: asr_pb2.StreamingRecognizeConfig) -> int:
        if not config.HasField("hangover"):
            return self._settings.hangover_ms
        asked = config.hangover.ToMilliseconds()
        if asked not in HANGOVERS_MS:
            message = "The hangover must lie between 0.1 and 5 seconds."
            raise InvalidInput(message, reason="HANGOVER_OUT_OF_RANGE", field="config.hangover")
        return asked

    def _expected(self, engine: AsrEngine, config: _Config) -> Expected:
        """What the caller expects, and what the settings do. Of the languages that may be spoken, one alone is."""
        words = (" ".join(word.split()) for word in (*config.hotwords, *self._settings.hotwords))
        hotwords = tuple(dict.fromkeys(filter(None, words)))
        if config.language:
            return Expected(config.language, (), hotwords)
        known = set(map(primary, engine.info().languages))
        among = {primary(tag): tag for tag in reversed(config.languages) if primary(tag) in known}
        if len(among) == 1:
            return Expected(next(iter(among.values())), (), hotwords)
        return Expected("", tuple(among.values()), hotwords)

    def _writes(self, engine: AsrEngine, expected: Expected, config: _Config) -> str:
        """In which language numbers are to be written as people do; empty where the engine does so, or nobody shall."""
        info = engine.info()
        is_spoken = config.spoken_form or not self._settings.written_form
        if is_spoken or Capability.WRITTEN_FORM in info.capabilities:
            return ""
        return expected.language or next(iter(info.languages), "")

    def _endpoints(self, engine: AsrEngine, hangover_ms: int) -> dict[str, Any]:
        """How utterances are found."""
        return {
            "hangover_ms": hangover_ms,
            "min_speech_ms": self._settings.min_speech_ms,
            "max_speech_ms": round(min(self._settings.max_utterance_ms, engine.longest_s * 1000)),
            "aggressiveness": self._settings.vad_aggressiveness,
        }


def _language(engine: AsrEngine, asked: str) -> str:
    """The language that will be recognised, empty where the engine tells it of each utterance.

    Refuses one that the engine does not know before any work is done.
    """
    engine.open(asked).close()
    info = engine.info()
    detects = Capability.LANGUAGE_DETECTION in info.capabilities
    return asked if asked or detects else next(iter(info.languages), "")


def _most_spoken(utterances: list[Utterance]) -> str:
    seconds: defaultdict[str, float] = defaultdict(float)
    for utterance in utterances:
        seconds[utterance.language] += utterance.end_s - utterance.start_s
    return max(seconds, key=seconds.__getitem__, default="")


def _check_tells_languages_apart(engine: AsrEngine) -> None:
    """What is written down of a recording is kept and shown: it must not be one language taken for another."""
    info = engine.info()
    if Capability.LANGUAGE_DETECTION in info.capabilities:
        return
    known = ", ".join(info.languages)
    message = f"Say which language is spoken: the recogniser ({info.name}) cannot tell. It knows: {known}."
    values = {"engine": info.name, "known": known}
    raise InvalidInput(message, reason="LANGUAGE_MISSING", field="config.language", values=values)


def _rate(config: asr_pb2.StreamingRecognizeConfig) -> int:
    if config.sample_rate_hertz not in RATES_HERTZ:
        message = "The sample rate must lie between 8000 and 48000 Hz."
        raise InvalidInput(message, reason="SAMPLE_RATE_OUT_OF_RANGE", field="config.sample_rate_hertz")
    return config.sample_rate_hertz


def _response(event: LiveEvent) -> asr_pb2.StreamingRecognizeResponse:
    match event:
        case SpeechStarted(sample):
            started = asr_pb2.SpeechStarted(offset=duration(sample / SAMPLE_RATE))
            return asr_pb2.StreamingRecognizeResponse(speech_started=started)
        case SpeechGoesOn(sample):
            goes_on = asr_pb2.SpeechGoesOn(offset=duration(sample / SAMPLE_RATE))
            return asr_pb2.StreamingRecognizeResponse(speech_goes_on=goes_on)
        case Interim(text):
            return asr_pb2.StreamingRecognizeResponse(interim=asr_pb2.InterimResult(text=text))
        case SpeechEnded(sample):
            ended = asr_pb2.SpeechEnded(offset=duration(sample / SAMPLE_RATE))
            return asr_pb2.StreamingRecognizeResponse(speech_ended=ended)
        case Utterance():
            final = _utterance(event)
            final.endpoint_offset.CopyFrom(duration(event.endpoint_s))
            return asr_pb2.StreamingRecognizeResponse(final=final)


def _utterance(utterance: Utterance) -> asr_pb2.Utterance:
    return asr_pb2.Utterance(
        text=utterance.text,
        language=utterance.language,
        start_offset=duration(utterance.start_s),
        end_offset=duration(utterance.end_s),
        words=[
            media_pb2.TimedWord(
                text=word.text,
                start_offset=duration(word.start_s),
                end_offset=duration(word.end_s),
                confidence=word.confidence,
            )
            for word in utterance.words
        ],
    )


def _as_word(utterance: Utterance) -> Word:
    """An utterance whose engine gives no word times still gets its place in the text and the subtitles."""
    return Word(utterance.text, utterance.start_s, utterance.end_s, 1.0)
