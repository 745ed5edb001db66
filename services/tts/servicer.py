"""The gRPC face of speech synthesis."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import grpc
from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from services.common.audio import to_pcm
from services.common.describe import service_info
from services.common.engine import import_engine
from services.common.errors import InvalidInput
from services.common.files import receive_file, send_file
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.times import duration, timestamp
from services.tts import engines
from services.tts.engine import Prosody, Speech, TtsEngine
from services.tts.sentences import SentenceSplitter, language_of
from services.tts.settings import TtsSettings
from services.tts.voices import Voice, Voices

PIECE_BYTES = 32 * 1024


class TtsServicer(Service, tts_pb2_grpc.TtsServiceServicer):
    """Speaks text as it arrives, in registered voices."""

    full_name = "visavis.tts.v1.TtsService"

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._engine: TtsEngine = import_engine(engines, settings.engine)(settings)
        storage = Storage(settings.storage_url, settings.work_folder / "cache")
        self._storage = storage
        self._voices = Voices(storage, self._engine, settings.max_reference_minutes)

    def register(self, server: grpc.aio.Server) -> None:
        tts_pb2_grpc.add_TtsServiceServicer_to_server(self, server)

    def load(self) -> None:
        self._engine.load()

    async def close(self) -> None:
        self._engine.close()

    async def GetInfo(self, request: tts_pb2.GetInfoRequest, context: object) -> tts_pb2.GetInfoResponse:
        return tts_pb2.GetInfoResponse(info=service_info(self._engine.info(), engines))

    async def StreamingSynthesize(
        self, request_iterator: AsyncIterator[tts_pb2.StreamingSynthesizeRequest], context: object
    ) -> AsyncIterator[tts_pb2.StreamingSynthesizeResponse]:
        config, messages = await open_stream(request_iterator)
        voice = await asyncio.to_thread(self._voices.folder, config.voice) if config.voice else None
        prosody = _prosody(config)
        self._engine.check_language(config.language)
        rate = self._engine.sample_rate
        yield tts_pb2.StreamingSynthesizeResponse(header=tts_pb2.SynthesisHeader(sample_rate_hertz=rate))
        position, count = 0, 0
        async for sentence in self._sentences(messages):
            language = config.language or language_of(sentence)
            speech = self._engine.synthesize(sentence, language=language, voice=voice, prosody=prosody)
            async with aclosing(speech) as pieces:
                async for piece in pieces:
                    if piece.is_first:
                        said = tts_pb2.SentenceStarted(sentence_index=count, text=piece.sentence, sample_index=position)
                        yield tts_pb2.StreamingSynthesizeResponse(sentence=said)
                        count += 1
                    for audio in _audio_pieces(piece, position):
                        yield tts_pb2.StreamingSynthesizeResponse(audio=audio)
                    position += len(piece.samples)
        if not count:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    async def _sentences(self, messages: AsyncIterator[tts_pb2.StreamingSynthesizeRequest]) -> AsyncIterator[str]:
        splitter, length = SentenceSplitter(), 0
        async for message in messages:
            length += len(message.text)
            if length > self._settings.max_text_characters:
                limit = self._settings.max_text_characters
                raise InvalidInput(
                    f"The text is longer than {limit} characters. Split it.",
                    reason="TEXT_TOO_LONG",
                    field="text",
                    values={"max": str(limit)},
                )
            for sentence in splitter.push(message.text):
                yield sentence
        for sentence in splitter.flush():
            yield sentence

    async def CreateVoice(
        self, request_iterator: AsyncIterator[tts_pb2.CreateVoiceRequest], context: object
    ) -> tts_pb2.CreateVoiceResponse:
        config, messages = await open_stream(request_iterator)
        with tempfile.TemporaryFile() as recording:
            await receive_file(messages, recording, self._settings.max_reference_bytes, "audio")
            recording.seek(0)
            voice = await asyncio.to_thread(
                self._voices.create, recording, config.name, config.transcript, config.consent.given_by
            )
        return tts_pb2.CreateVoiceResponse(voice=_message(voice))

    async def ListVoices(self, request: tts_pb2.ListVoicesRequest, context: object) -> tts_pb2.ListVoicesResponse:
        voices = await asyncio.to_thread(self._voices.list)
        return tts_pb2.ListVoicesResponse(voices=[_message(voice) for voice in voices])

    async def SetVoiceTranscript(
        self, request: tts_pb2.SetVoiceTranscriptRequest, context: object
    ) -> tts_pb2.SetVoiceTranscriptResponse:
        voice = await asyncio.to_thread(self._voices.set_transcript, request.name, request.transcript)
        return tts_pb2.SetVoiceTranscriptResponse(voice=_message(voice))

    async def ReadVoice(
        self, request: tts_pb2.ReadVoiceRequest, context: object
    ) -> AsyncIterator[tts_pb2.ReadVoiceResponse]:
        key = await asyncio.to_thread(self._voices.reference, request.name)
        async for reply in send_file(self._storage, key, request, tts_pb2.ReadVoiceResponse, Path(key).name):
            yield reply

    async def DeleteVoice(self, request: tts_pb2.DeleteVoiceRequest, context: object) -> tts_pb2.DeleteVoiceResponse:
        await asyncio.to_thread(self._voices.delete, request.name)
        return tts_pb2.DeleteVoiceResponse()


def _prosody(config: tts_pb2.SynthesisConfig) -> Prosody:
    rate = config.rate if config.HasField("rate") else 1.0
    if not 0.5 <= rate <= 2.0:
        raise InvalidInput("The rate must lie between 0.5 and 2.", reason="RATE_OUT_OF_RANGE", field="rate")
    if not -12 <= config.pitch_semitones <= 12:
        message = "The pitch must lie between -12 and 12 semitones."
        raise InvalidInput(message, reason="PITCH_OUT_OF_RANGE", field="pitch")
    return Prosody(rate, config.pitch_semitones)


def _audio_pieces(piece: Speech, position: int) -> list[tts_pb2.AudioPiece]:
    """One piece of speech as messages that fit; its words go with the first, each closure with the one it begins in."""
    pcm = to_pcm(piece.samples)
    start_s = position / piece.sample_rate
    words = [
        media_pb2.TimedWord(
            text=word.text,
            start_offset=duration(start_s + word.start_s),
            end_offset=duration(start_s + word.end_s),
            confidence=1,
        )
        for word in piece.words
    ]
    closures = _closures(piece, position)
    messages = []
    for at in range(0, len(pcm), PIECE_BYTES):
        message = tts_pb2.AudioPiece(pcm=pcm[at : at + PIECE_BYTES], sample_index=position + at // 2)
        message.words.extend(words if at == 0 else [])
        end = message.sample_index + len(message.pcm) // 2
        message.closures.extend(each for each in closures if message.sample_index <= each.sample_index < end)
        messages.append(message)
    return messages


def _closures(piece: Speech, position: int) -> list[media_pb2.LipClosure]:
    """On the utterance's clock, at least a sample long."""
    closures = []
    for each in piece.closures:
        start, end = (round(second * piece.sample_rate) for second in (each.start_s, each.end_s))
        closures.append(media_pb2.LipClosure(sample_index=position + start, sample_count=max(end - start, 1)))
    return closures


def _message(voice: Voice) -> tts_pb2.Voice:
    consent = media_pb2.Consent(given_by=voice.consent_by, time=timestamp(voice.consent_at))
    return tts_pb2.Voice(
        name=voice.name,
        engine=voice.engine,
        duration=duration(voice.duration_s),
        transcript=voice.transcript,
        consent=consent,
        create_time=timestamp(voice.created_at),
    )
