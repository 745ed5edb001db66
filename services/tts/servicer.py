"""The gRPC face of speech synthesis."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from services.common import pages, provenance
from services.common.audio import SILENCE_PEAK, silent, to_pcm
from services.common.conversion import Converter, Sound
from services.common.describe import error_message, service_info
from services.common.engine import Capability
from services.common.errors import Conflict, InvalidInput
from services.common.files import receive_file, send_file, send_local, upload_folder
from services.common.hosting import Engines
from services.common.jobs import process
from services.common.names import checked_name
from services.common.recordings import Recordings
from services.common.requests import open_stream
from services.common.server import Service
from services.common.storage import Storage
from services.common.tidying import tidy
from services.common.times import duration, timestamp
from services.tts import archives, engines, loudness
from services.tts.engine import Prosody, Speech, SpokenWord, TtsEngine
from services.tts.judging import Judgement
from services.tts.reading.follower import Follower
from services.tts.reading.reader import Reader, Sentence
from services.tts.settings import TtsSettings
from services.tts.voices import REFERENCE, REFERENCE_RATE, Voice, Voices, judged

T = TypeVar("T")
PIECE_BYTES = 32 * 1024
VOLUME_DB = (-24.0, 12.0)
EXPIRE_EVERY_S = 600.0
_ARCHIVE = "voice.zip"


class TtsServicer(Service, tts_pb2_grpc.TtsServiceServicer):
    """Speaks text as it arrives, in registered voices."""

    full_name = "visavis.tts.v1.TtsService"
    engine_package = engines
    engines: Engines[TtsEngine]

    def __init__(self, settings: TtsSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        storage = Storage(settings.storage_url, settings.work_folder / "cache")
        self._storage = storage
        self._voices = Voices(storage, settings.work_folder)
        self._recordings = Recordings(storage)
        self._tidying: asyncio.Task[None] | None = None
        self._converter = Converter()
        self._unpacking = asyncio.Semaphore(1)  # each takes a process, and its memory
        # One voice is learnt at a time, beside the threads that all other calls share.
        self._learning = ThreadPoolExecutor(1, "voices")
        self._keeping = ThreadPoolExecutor(1, "keeping")  # one change at a time, so that none undoes another

    def register(self, server: grpc.aio.Server) -> None:
        tts_pb2_grpc.add_TtsServiceServicer_to_server(self, server)

    def load(self) -> None:
        super().load()

    async def start(self) -> None:
        """Begin forgetting what killed processes left."""
        self._tidying = asyncio.create_task(tidy(self._voices.expire, EXPIRE_EVERY_S))

    async def close(self) -> None:
        if self._tidying:
            self._tidying.cancel()
        for turns in (self._learning, self._keeping):
            turns.shutdown(wait=False, cancel_futures=True)
        await super().close()

    async def GetInfo(self, request: tts_pb2.GetInfoRequest, context: object) -> tts_pb2.GetInfoResponse:
        return tts_pb2.GetInfoResponse(info=await asyncio.to_thread(service_info, self.engines))

    async def StreamingSynthesize(
        self, request_iterator: AsyncIterator[tts_pb2.StreamingSynthesizeRequest], context: object
    ) -> AsyncIterator[tts_pb2.StreamingSynthesizeResponse]:
        config, messages = await open_stream(request_iterator)
        async with (
            self.engines.use(config.engine) as engine,
            aclosing(self._spoken(engine, config, messages)) as responses,
        ):
            async for response in responses:
                yield response

    async def _spoken(
        self,
        engine: TtsEngine,
        config: tts_pb2.SynthesisConfig,
        messages: AsyncIterator[tts_pb2.StreamingSynthesizeRequest],
    ) -> AsyncGenerator[tts_pb2.StreamingSynthesizeResponse, None]:
        voice = await self._voice(engine, config.voice) if config.voice else None
        prosody, volume_db = _prosody(config), _volume_db(config)
        engine.check_language(config.language)
        rate = engine.sample_rate
        mark = media_pb2.SyntheticMark(aigc=provenance.label(uuid.uuid4().hex), statement=provenance.STATEMENT)
        header = tts_pb2.SynthesisHeader(sample_rate_hertz=rate, mark=mark)
        yield tts_pb2.StreamingSynthesizeResponse(header=header)
        position, count = 0, 0
        reader = Reader(config.language, is_read_by_engine=Capability.READING in engine.info().capabilities)
        async for sentence in self._sentences(reader, messages):
            begun: tts_pb2.SentenceStarted | None = tts_pb2.SentenceStarted(
                sentence_index=count, text=sentence.said.written, sample_index=position, text_end=sentence.end
            )
            follower, count = Follower(sentence.said), count + 1
            speech = engine.synthesize(sentence.said.text, language=sentence.language, voice=voice, prosody=prosody)
            async with aclosing(speech) as pieces:
                async for spoken in self._while_there(config.voice, pieces):
                    piece = replace(spoken, samples=loudness.amplified(spoken.samples, volume_db))
                    if begun:
                        yield tts_pb2.StreamingSynthesizeResponse(sentence=begun)
                        begun = None
                    for audio in _audio_pieces(piece, follower.written(piece.words), position):
                        yield tts_pb2.StreamingSynthesizeResponse(audio=audio)
                    position += len(piece.samples)
        if not count:
            raise InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")

    async def _while_there(self, voice: str, pieces: AsyncGenerator[Speech, None]) -> AsyncIterator[Speech]:
        """The pieces; of a voice that is forgotten meanwhile it is said that there is none."""
        with self._voices.told_if_gone(voice) if voice else nullcontext():
            async for piece in pieces:
                yield piece

    async def _sentences(
        self, reader: Reader, messages: AsyncIterator[tts_pb2.StreamingSynthesizeRequest]
    ) -> AsyncIterator[Sentence]:
        length = 0
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
            for sentence in await asyncio.to_thread(list, reader.push(message.text)):
                yield sentence
        for sentence in await asyncio.to_thread(list, reader.flush()):
            yield sentence

    async def _voice(self, engine: TtsEngine, name: str) -> Path:
        """What an engine knows of a voice; it learns it now if it never has."""
        if known := await asyncio.to_thread(self._voices.analysed, engine, name):
            return known
        return await _in_turn(self._learning, self._voices.analyse, engine, name)

    async def CreateVoice(
        self, request_iterator: AsyncIterator[tts_pb2.CreateVoiceRequest], context: object
    ) -> tts_pb2.CreateVoiceResponse:
        config, messages = await open_stream(request_iterator)
        self._voices.checked(config.name, config.consent.given_by)
        with upload_folder(self._settings.work_folder) as folder:
            most = self._settings.max_reference_bytes
            recording = await self._recordings.brought(
                config, messages, folder / "recording", most, "audio", config.size_bytes
            )
            voice = await self._registered(config, recording, folder)
        return tts_pb2.CreateVoiceResponse(voice=_message(voice))

    async def ExportVoice(
        self, request: tts_pb2.ExportVoiceRequest, context: object
    ) -> AsyncIterator[tts_pb2.ExportVoiceResponse]:
        with upload_folder(self._settings.work_folder) as folder:
            voice, archive = await asyncio.to_thread(self._packed, request.name, folder)
            name = f"{voice.name}.voice.zip"
            async for reply in send_local(archive, tts_pb2.ExportVoiceResponse, "application/zip", name):
                yield reply

    def _packed(self, name: str, folder: Path) -> tuple[Voice, Path]:
        voice, archive = self._voices.get(name), folder / _ARCHIVE
        with self._voices.told_if_gone(name):
            archives.pack(voice, self._storage.local_file(self._voices.reference(name)), archive)
        return voice, archive

    async def ImportVoice(
        self, request_iterator: AsyncIterator[tts_pb2.ImportVoiceRequest], context: object
    ) -> tts_pb2.ImportVoiceResponse:
        config, messages = await open_stream(request_iterator)
        if config.name:
            checked_name(config.name)
        most = round(self._settings.max_reference_minutes * 60 * REFERENCE_RATE) * 2 + archives.MOST_MANIFEST
        with upload_folder(self._settings.work_folder) as folder:
            with (folder / _ARCHIVE).open("wb") as file:
                await receive_file(messages, file, most, "archive", config.size_bytes)
            (folder / "unpacked").mkdir()
            spec = {"archive": str(folder / _ARCHIVE), "folder": str(folder / "unpacked"), "most_bytes": most}
            async with self._unpacking:
                told = archives.Manifest(**await process.call("services.tts.archives", spec, {}, folder))
            consent = media_pb2.Consent(given_by=told.consent.given_by)
            name = config.name or told.name
            made = tts_pb2.VoiceConfig(name=name, transcript=told.transcript, consent=consent, engine=config.engine)
            voice = await self._registered(made, folder / "unpacked" / REFERENCE, folder, told.consent.time)
        return tts_pb2.ImportVoiceResponse(voice=_message(voice))

    async def _registered(
        self, config: tts_pb2.VoiceConfig, recording: Path, work_folder: Path, consent_at: float = 0.0
    ) -> Voice:
        digest = await _in_turn(self._learning, _sha256, recording)
        consent_by = config.consent.given_by
        told = partial(self._voices.told_again, config.name, digest, config.transcript, consent_by, consent_at)
        if await asyncio.to_thread(self._voices.existing, config.name, consent_by, digest):
            return await _in_turn(self._keeping, told)
        folder = work_folder / "voice"
        folder.mkdir()
        sound = await self._heard(recording, folder / REFERENCE)
        async with self.engines.use(config.engine) as engine:
            learn = partial(
                self._voices.learn, engine, folder, name=config.name, seconds=sound.seconds,
                transcript=config.transcript, consent_by=consent_by, digest=digest, training_id=config.training_id,
                consent_at=consent_at,
            )  # fmt: skip
            voice = await _in_turn(self._learning, learn)
        await _in_turn(self._keeping, self._voices.keep, voice, folder)  # not for a caller who has gone meanwhile
        return await _in_turn(self._keeping, told)  # somebody may have registered the same recording meanwhile

    async def _heard(self, recording: Path, wav: Path) -> Sound:
        """Decode a recording; refuses one in which there is nothing."""
        longest_s = self._settings.max_reference_minutes * 60
        sound = await self._converter.convert(recording, wav, REFERENCE_RATE, max_seconds=longest_s)
        if sound.peak < SILENCE_PEAK:
            raise silent()
        return sound

    async def JudgeRecording(
        self, request_iterator: AsyncIterator[tts_pb2.JudgeRecordingRequest], context: object
    ) -> tts_pb2.JudgeRecordingResponse:
        config, messages = await open_stream(request_iterator)
        with upload_folder(self._settings.work_folder) as folder:
            with (folder / "recording").open("wb") as file:
                await receive_file(messages, file, self._settings.max_reference_bytes, "audio", config.size_bytes)
            sound = await self._heard(folder / "recording", folder / REFERENCE)
            judgement = await _in_turn(self._learning, judged, folder / REFERENCE, sound.seconds)
        return tts_pb2.JudgeRecordingResponse(report=_report(judgement))

    async def ListVoices(self, request: tts_pb2.ListVoicesRequest, context: object) -> tts_pb2.ListVoicesResponse:
        page = await asyncio.to_thread(self._page, request)
        return tts_pb2.ListVoicesResponse(voices=page.entries, next_page_token=page.next_page_token)

    def _page(self, request: tts_pb2.ListVoicesRequest) -> pages.Page:
        size, after = pages.size_of(request), pages.position(request.page_token, str)
        voices = (_listed(voice) for voice in self._voices.list(after))
        return pages.page(((voice, pages.token(voice.name)) for voice in voices), size)

    async def SetVoiceTranscript(
        self, request: tts_pb2.SetVoiceTranscriptRequest, context: object
    ) -> tts_pb2.SetVoiceTranscriptResponse:
        voice = await _in_turn(self._keeping, self._voices.set_transcript, request.name, request.transcript)
        return tts_pb2.SetVoiceTranscriptResponse(voice=_message(voice))

    async def ReadVoice(
        self, request: tts_pb2.ReadVoiceRequest, context: object
    ) -> AsyncIterator[tts_pb2.ReadVoiceResponse]:
        key = await asyncio.to_thread(self._voices.reference, request.name)
        async for reply in send_file(self._storage, key, request, tts_pb2.ReadVoiceResponse, Path(key).name):
            yield reply

    async def DeleteVoice(self, request: tts_pb2.DeleteVoiceRequest, context: object) -> tts_pb2.DeleteVoiceResponse:
        await _in_turn(self._keeping, self._voices.delete, request.name, request.training_id)
        return tts_pb2.DeleteVoiceResponse()


async def _in_turn(turns: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
    """What work comes to. If the caller goes meanwhile, work that has begun is awaited all the same: it uses a folder
    and an engine that are given back then."""
    begun = turns.submit(work, *arguments)
    step = asyncio.wrap_future(begun)
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        if not begun.cancel():  # unlike `step`, it cannot be once it runs
            await asyncio.wait([step])
        raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prosody(config: tts_pb2.SynthesisConfig) -> Prosody:
    rate = config.rate if config.HasField("rate") else 1.0
    if not 0.5 <= rate <= 2.0:
        raise InvalidInput("The rate must lie between 0.5 and 2.", reason="RATE_OUT_OF_RANGE", field="rate")
    if not -12 <= config.pitch_semitones <= 12:
        message = "The pitch must lie between -12 and 12 semitones."
        raise InvalidInput(message, reason="PITCH_OUT_OF_RANGE", field="pitch")
    return Prosody(rate, config.pitch_semitones)


def _volume_db(config: tts_pb2.SynthesisConfig) -> float:
    low, high = VOLUME_DB
    if not low <= config.volume_db <= high:
        message = f"The volume must lie between {low:g} and {high:g} dB."
        raise InvalidInput(message, reason="VOLUME_OUT_OF_RANGE", field="volume")
    return config.volume_db


def _audio_pieces(piece: Speech, told: Sequence[SpokenWord], position: int) -> list[tts_pb2.AudioPiece]:
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
        for word in told
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


def _listed(voice: Voice | tuple[str, Conflict]) -> tts_pb2.Voice:
    if isinstance(voice, Voice):
        return _message(voice)
    name, error = voice
    return tts_pb2.Voice(name=name, error=error_message(error.problem))


def _message(voice: Voice) -> tts_pb2.Voice:
    consent = media_pb2.Consent(given_by=voice.consent_by, time=timestamp(voice.consent_at))
    return tts_pb2.Voice(
        name=voice.name,
        engine=voice.engine,
        duration=duration(voice.duration_s),
        transcript=voice.transcript,
        consent=consent,
        create_time=timestamp(voice.created_at),
        training_id=voice.training_id,
        report=_report(voice.judgement) if voice.judgement else None,
    )


def _report(judgement: Judgement) -> tts_pb2.RecordingReport:
    return tts_pb2.RecordingReport(
        duration=duration(judgement.seconds),
        speech=duration(judgement.speech_s),
        signal_to_noise_db=judgement.signal_to_noise_db,
        clipped_share=judgement.clipped_share,
        apart_semitones=judgement.apart_semitones,
        warnings=[error_message(warning) for warning in judgement.warnings()],
    )
