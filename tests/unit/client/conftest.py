"""Small services of our own on a real gRPC server: what the client sends and receives travels a real wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from visavis.asr.v1 import asr_pb2, asr_pb2_grpc
from visavis.common.v1 import error_pb2, info_pb2, media_pb2
from visavis.jobs.v1 import jobs_pb2, jobs_pb2_grpc
from visavis.llm.v1 import llm_pb2, llm_pb2_grpc
from visavis.render.v1 import render_pb2, render_pb2_grpc
from visavis.train.v1 import train_pb2, train_pb2_grpc
from visavis.tts.v1 import tts_pb2, tts_pb2_grpc

from client.wire.services import NAMES, Services
from client.wire.settings import ClientSettings

RATE = 1000  # samples a second of the speech below
WORD_S = 0.4
FPS = 25


def refuse(context: grpc.ServicerContext, code: int, reason: str, message: str, field_name: str = "") -> None:
    """End a call as our services do: a status with ErrorInfo, and BadRequest when a field is to blame."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="visavis", metadata={"second": "12.4"})]
    if field_name:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field_name, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


class Listener(asr_pb2_grpc.AsrServiceServicer):
    """Hears what its `script` says in the newest call, each event once so many bytes of sound have come.

    `breaks` end the first calls.

    Of a recording it tells how many bytes it has.
    """

    def __init__(self) -> None:
        self.script: list[tuple[int, asr_pb2.StreamingRecognizeResponse]] = []
        self.breaks: list[tuple[int, str, str]] = []
        self.configs: list[asr_pb2.StreamingRecognizeConfig] = []
        self.recorded: list[asr_pb2.TranscribeConfig] = []
        self.heard = 0
        self.ended = threading.Event()

    def GetInfo(self, request: asr_pb2.GetInfoRequest, context: grpc.ServicerContext) -> asr_pb2.GetInfoResponse:
        engine = info_pb2.EngineInfo(name="ear", languages=["en"])
        return asr_pb2.GetInfoResponse(info=info_pb2.ServiceInfo(default_engine="ear", engines=[engine]))

    def Transcribe(
        self, requests: Iterator[asr_pb2.TranscribeRequest], context: grpc.ServicerContext
    ) -> asr_pb2.TranscribeResponse:
        self.recorded.append(next(requests).config)
        size = sum(len(request.data) for request in requests)
        if self.breaks:
            refuse(context, *self.breaks.pop(0))
        word = media_pb2.TimedWord(text=f"{size}", end_offset=_duration(0.4), confidence=0.5)
        utterances = [asr_pb2.Utterance(text=f"{size} bytes", end_offset=_duration(0.5), words=[word])]
        return asr_pb2.TranscribeResponse(text=f"{size} bytes", utterances=utterances, webvtt="WEBVTT")

    def StreamingRecognize(
        self, requests: Iterator[asr_pb2.StreamingRecognizeRequest], context: grpc.ServicerContext
    ) -> Iterator[asr_pb2.StreamingRecognizeResponse]:
        context.add_callback(self.ended.set)
        self.configs.append(next(requests).config)
        count = len(self.configs)
        if self.breaks:
            refuse(context, *self.breaks.pop(0))
        yield asr_pb2.StreamingRecognizeResponse(header=asr_pb2.StreamingRecognizeHeader(language="en"))
        for request in requests:
            self.heard += len(request.audio)
            while count == len(self.configs) and self.script and self.script[0][0] <= self.heard:
                yield self.script.pop(0)[1]


class Writer(llm_pb2_grpc.LlmServiceServicer):
    """Writes `deltas`, or for ever when `endless`; after `stop_after` of them it is silent, or `breaks`."""

    def __init__(self) -> None:
        self.deltas = ["Hello ", "there. ", "How are you?"]
        self.endless = False
        self.stop_after: int | None = None
        self.breaks: tuple[int, str, str] | None = None
        self.requests: list[llm_pb2.ReplyRequest] = []
        self.sent_count = 0
        self.ended = threading.Event()

    def Reply(self, request: llm_pb2.ReplyRequest, context: grpc.ServicerContext) -> Iterator[llm_pb2.ReplyResponse]:
        context.add_callback(self.ended.set)
        self.requests.append(request)
        yield llm_pb2.ReplyResponse(header=llm_pb2.ReplyHeader(engine="test"))
        while True:
            for delta in self.deltas:
                if self.sent_count == self.stop_after:
                    self._stop(context)
                self.sent_count += 1
                yield llm_pb2.ReplyResponse(delta=delta)
            if not self.endless or not context.is_active():
                return

    def GetInfo(self, request: llm_pb2.GetInfoRequest, context: grpc.ServicerContext) -> llm_pb2.GetInfoResponse:
        lack = error_pb2.Error(reason="KEY_MISSING", message="It needs a key.", values={"key": "KEY"})
        engines = [
            info_pb2.EngineInfo(name="small", state=info_pb2.ENGINE_STATE_READY),
            info_pb2.EngineInfo(name="large", state=info_pb2.ENGINE_STATE_UNLOADED),
            info_pb2.EngineInfo(name="dear", state=info_pb2.ENGINE_STATE_MISSING, lack=lack, remedy="Set KEY."),
            info_pb2.EngineInfo(
                name="zhipu",
                version="glm-4-flash",
                state=info_pb2.ENGINE_STATE_UNLOADED,
                capabilities=[info_pb2.CAPABILITY_LANGUAGE_MODEL],
            ),
        ]
        info = info_pb2.ServiceInfo(default_engine="small", engines=engines)
        return llm_pb2.GetInfoResponse(
            info=info, personas=[llm_pb2.Persona(name="guide", hotwords=["Louvre", "x" * 51], languages=["fr", "en"])]
        )

    def _stop(self, context: grpc.ServicerContext) -> None:
        if self.breaks:
            refuse(context, *self.breaks)
        self.ended.wait(60)


class Speaker(tts_pb2_grpc.TtsServiceServicer):
    """Speaks each sentence in words of 0.4 s, once it may `go`; the lips are shut soon after a word in b begins.

    `fail_at` is the sentence that it breaks at; `dies_at` those at which it goes away in the first calls, and
    `voiceless` how many calls find it away.
    """

    def __init__(self) -> None:
        self.fail_at: int | None = None
        self.dies_at: list[int] = []
        self.voiceless = 0
        self.go = threading.Event()
        self.go.set()
        self.configs: list[tts_pb2.SynthesisConfig] = []
        self.ended = threading.Event()
        self.voices: dict[str, bytes] = {}
        self.is_away = False  # for whoever asks which voices there are
        self.refusal: tuple[int, str, str, str] | None = None  # of whatever shall be said

    def StreamingSynthesize(
        self, requests: Iterator[tts_pb2.StreamingSynthesizeRequest], context: grpc.ServicerContext
    ) -> Iterator[tts_pb2.StreamingSynthesizeResponse]:
        context.add_callback(self.ended.set)
        self.configs.append(next(requests).config)
        if len(self.configs) <= self.voiceless:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        if self.refusal:
            refuse(context, *self.refusal)
        self.go.wait(60)
        mark = media_pb2.SyntheticMark(aigc='{"Label": "1"}', statement="Synthetic, 合成的。")
        header = tts_pb2.SynthesisHeader(sample_rate_hertz=RATE, mark=mark)
        yield tts_pb2.StreamingSynthesizeResponse(header=header)
        begin, dies_at = 0.0, self.dies_at.pop(0) if self.dies_at else None
        for index, (sentence, text_end) in enumerate(_sentences(request.text for request in requests)):
            if index == dies_at:
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            if index == self.fail_at:
                refuse(context, code_pb2.UNIMPLEMENTED, "LANGUAGE_UNKNOWN", "This voice cannot say that.", "text")
            yield tts_pb2.StreamingSynthesizeResponse(
                sentence=tts_pb2.SentenceStarted(
                    sentence_index=index, text=_plain(sentence), sample_index=round(begin * RATE), text_end=text_end
                )
            )
            for word in _plain(sentence).split():
                yield self._word(word, begin)
                begin += WORD_S

    def GetInfo(self, request: tts_pb2.GetInfoRequest, context: grpc.ServicerContext) -> tts_pb2.GetInfoResponse:
        engines = [
            info_pb2.EngineInfo(name="small", languages=["en", "zh"]),
            info_pb2.EngineInfo(name="english", languages=["en"]),
        ]
        return tts_pb2.GetInfoResponse(info=info_pb2.ServiceInfo(default_engine="small", engines=engines))

    def ListVoices(
        self, request: tts_pb2.ListVoicesRequest, context: grpc.ServicerContext
    ) -> tts_pb2.ListVoicesResponse:
        if self.is_away:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        return tts_pb2.ListVoicesResponse(
            **paged("voices", [tts_pb2.Voice(name=name) for name in self.voices], request)
        )

    def CreateVoice(
        self, requests: Iterator[tts_pb2.CreateVoiceRequest], context: grpc.ServicerContext
    ) -> tts_pb2.CreateVoiceResponse:
        name, recording = next(requests).config.name, b"".join(request.data for request in requests)
        if self.voices.setdefault(name, recording) != recording:
            refuse(context, code_pb2.ALREADY_EXISTS, "VOICE_EXISTS", "There is one.", "name")
        return tts_pb2.CreateVoiceResponse(voice=tts_pb2.Voice(name=name))

    @staticmethod
    def _word(word: str, begin: float) -> tts_pb2.StreamingSynthesizeResponse:
        timed = media_pb2.TimedWord(text=word, start_offset=_duration(begin), end_offset=_duration(begin + WORD_S))
        pcm, start = bytes(2 * round(WORD_S * RATE)), round(begin * RATE)
        shut = [media_pb2.LipClosure(sample_index=start + 9, sample_count=5)] if word[0] in "Bb" else []
        return tts_pb2.StreamingSynthesizeResponse(
            audio=tts_pb2.AudioPiece(pcm=pcm, sample_index=start, words=[timed], closures=shut)
        )


def _plain(sentence: str) -> str:
    """Without the marks of Markdown."""
    return sentence.replace("**", "")


def _sentences(pieces: Iterator[str]) -> Iterator[tuple[str, int]]:
    """Each sentence as it is written, and where it ends in the whole text."""
    text, ended = "", 0
    for piece in pieces:
        text += piece
        while (end := min((text.find(mark) for mark in ".?!\n" if mark in text), default=-1)) >= 0:
            ended += end + 1
            if text[: end + 1].strip():
                yield text[: end + 1].strip(), ended
            text = text[end + 1 :]
    if text.strip():
        yield text.strip(), ended + len(text)


class Painter(render_pb2_grpc.RenderServiceServicer):
    """A fragment of ten frames, `data`, for each piece of audio, encoded in `encoding_s`; keeps generations."""

    def __init__(self) -> None:
        self.call_count = 0
        self.configs: list[render_pb2.StreamingRenderConfig] = []
        self.encoding_s = 0.0
        self.data = b"fragment"
        self.told: list[tuple[int, int]] = []  # audio so far, in samples, and where a closure begins
        self.ended = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.created: list[render_pb2.CreateGenerationRequest] = []
        self.supplied: list[render_pb2.SupplyGenerationRequest] = []
        self.complete = threading.Event()
        self.known: dict[str, jobs_pb2.Job] = {}  # by the request that made it
        self.refusals: list[tuple[int, str, str]] = []  # of the first supplies
        self.avatars: list[str] = []
        self.own_voice = ""
        self.loop_fps = 0.0  # of every avatar
        self.steps: list[render_pb2.ClipProgress] = []  # of an avatar that talks turn by turn
        self.jobs = Jobs()

    def StreamingRender(
        self, requests: Iterator[render_pb2.StreamingRenderRequest], context: grpc.ServicerContext
    ) -> Iterator[render_pb2.StreamingRenderResponse]:
        context.add_callback(self.ended.set)
        self.call_count += 1
        config = next(requests).config
        self.configs.append(config)
        header = render_pb2.StreamingRenderHeader(init_segment=b"init", media_type="video/mp4", fps=FPS)
        yield render_pb2.StreamingRenderResponse(header=header)
        yield from (render_pb2.StreamingRenderResponse(progress=step) for step in self.steps)
        frame = heard = 0
        for request in requests:
            self.go.wait(60)
            self.told += [(heard, closure.sample_index) for closure in request.closures.closures]
            if request.WhichOneof("request") == "closures":
                continue
            heard += len(request.audio) // 2
            count = round(len(request.audio) / 2 / RATE * FPS)
            alike = [config.start_frame_index + 1000 + index for index in range(frame, frame + count)]
            fragment = render_pb2.MediaFragment(
                data=self.data,
                frame_index=frame,
                frame_count=count,
                encoding_duration=_duration(self.encoding_s),
                idle_frame_indices=alike,
            )
            yield render_pb2.StreamingRenderResponse(fragment=fragment)
            frame += count
        end = render_pb2.StreamingRenderEnd(frame_count=frame, next_frame_index=config.start_frame_index + frame)
        yield render_pb2.StreamingRenderResponse(end=end)

    def CreateGeneration(
        self, request: render_pb2.CreateGenerationRequest, context: grpc.ServicerContext
    ) -> render_pb2.CreateGenerationResponse:
        if request.avatar == "nobody":
            refuse(context, code_pb2.NOT_FOUND, "AVATAR_NOT_FOUND", "There is no avatar of that name.", "avatar")
        known = self.known.get(request.request_id)
        if known or request.validate_only:
            return render_pb2.CreateGenerationResponse(job=known)
        self.created.append(request)
        stage = "" if request.HasField("script") else "input"
        return render_pb2.CreateGenerationResponse(job=generation(jobs_pb2.JOB_STATE_QUEUED, stage=stage))

    def SupplyGeneration(
        self, requests: Iterator[render_pb2.SupplyGenerationRequest], context: grpc.ServicerContext
    ) -> render_pb2.SupplyGenerationResponse:
        supplied = list(requests)
        if not supplied.pop().HasField("end"):
            refuse(context, code_pb2.INVALID_ARGUMENT, "SPEECH_BROKEN_OFF", "Bring it again.")
        self.supplied += supplied
        if self.refusals:
            refuse(context, *self.refusals.pop(0))
        self.complete.set()
        return render_pb2.SupplyGenerationResponse(job=generation(jobs_pb2.JOB_STATE_QUEUED))

    def ListAvatars(
        self, request: render_pb2.ListAvatarsRequest, context: grpc.ServicerContext
    ) -> render_pb2.ListAvatarsResponse:
        return render_pb2.ListAvatarsResponse(
            **paged("avatars", [render_pb2.Avatar(name=name) for name in self.avatars], request)
        )

    def GetAvatar(
        self, request: render_pb2.GetAvatarRequest, context: grpc.ServicerContext
    ) -> render_pb2.GetAvatarResponse:
        if request.name not in self.avatars:
            refuse(context, code_pb2.NOT_FOUND, "AVATAR_NOT_FOUND", "There is no avatar of that name.", "name")
        avatar = render_pb2.Avatar(name=request.name, voice=self.own_voice, fps=self.loop_fps)
        return render_pb2.GetAvatarResponse(avatar=avatar)


class Jobs(jobs_pb2_grpc.JobServiceServicer):
    """Lists `all` its jobs, newest first; every watch shows `snapshots`. Nothing can be had of a single job."""

    def __init__(self) -> None:
        self.all: list[jobs_pb2.Job] = []
        self.snapshots: list[jobs_pb2.Job] = []
        self.breaks: list[grpc.StatusCode] = []  # what the first watches end with, after one snapshot
        self.ended = threading.Event()
        self.is_down = False
        self.refusal: tuple[int, str, str] | None = None  # of what shall be resumed
        self.deleted: list[str] = []

    def GetJob(self, request: jobs_pb2.GetJobRequest, context: grpc.ServicerContext) -> jobs_pb2.GetJobResponse:
        refuse(context, code_pb2.INVALID_ARGUMENT, "NO_FACE", "No face at second 12.4.", "recording")

    def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: grpc.ServicerContext) -> jobs_pb2.ListJobsResponse:
        if self.is_down:
            context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        token = request.page_token  # the second that a job was asked for in, which is each one's own
        behind = [one for one in self.all if not token or one.create_time.seconds < int(token)]
        shown = behind[: min(request.page_size or PAGE, PAGE)]
        for one in shown:
            one.page_token = str(one.create_time.seconds)
        more = len(behind) > len(shown)
        return jobs_pb2.ListJobsResponse(jobs=shown, next_page_token=shown[-1].page_token if more else "")

    def WatchJob(
        self, request: jobs_pb2.WatchJobRequest, context: grpc.ServicerContext
    ) -> Iterator[jobs_pb2.WatchJobResponse]:
        context.add_callback(self.ended.set)
        for snapshot in self.snapshots:
            yield jobs_pb2.WatchJobResponse(job=snapshot)
            if self.breaks:
                context.abort(self.breaks.pop(0), "broken off")
        while self.snapshots[-1].state == jobs_pb2.JOB_STATE_RUNNING and context.is_active():
            self.ended.wait(0.05)

    def CancelJob(
        self, request: jobs_pb2.CancelJobRequest, context: grpc.ServicerContext
    ) -> jobs_pb2.CancelJobResponse:
        return jobs_pb2.CancelJobResponse(job=jobs_pb2.Job(id=request.id, state=jobs_pb2.JOB_STATE_CANCELLED))

    def ResumeJob(
        self, request: jobs_pb2.ResumeJobRequest, context: grpc.ServicerContext
    ) -> jobs_pb2.ResumeJobResponse:
        if self.refusal:
            refuse(context, *self.refusal)
        return jobs_pb2.ResumeJobResponse(job=jobs_pb2.Job(id=request.id, state=jobs_pb2.JOB_STATE_QUEUED))

    def DeleteJob(
        self, request: jobs_pb2.DeleteJobRequest, context: grpc.ServicerContext
    ) -> jobs_pb2.DeleteJobResponse:
        self.deleted.append(request.id)
        return jobs_pb2.DeleteJobResponse()


QUIET = error_pb2.Error(reason="QUIET", message="Rather quiet (-40 dB).", values={"level": "-40"})


class Trainer(train_pb2_grpc.TrainServiceServicer):
    """Takes every recording, with a warning that stays with its training."""

    def __init__(self) -> None:
        self.is_photo = False  # whether what is brought is taken for a photo
        self.jobs = Jobs()
        self.uploads: list[bytes] = []
        self.taken: set[str] = set()  # names of avatars
        self.known: dict[str, jobs_pb2.Job] = {}  # by the request that made it
        self.created: list[train_pb2.CreateTrainingRequest] = []
        self.breaks: list[tuple[int, str, str]] = []  # how the next calls that create one end

    def UploadRecording(
        self, requests: Iterator[train_pb2.UploadRecordingRequest], context: grpc.ServicerContext
    ) -> train_pb2.UploadRecordingResponse:
        self.uploads.append(b"".join(request.data for request in requests))
        return train_pb2.UploadRecordingResponse(
            recording=train_pb2.Recording(id="r1", warnings=[QUIET], is_photo=self.is_photo)
        )

    def CreateTraining(
        self, request: train_pb2.CreateTrainingRequest, context: grpc.ServicerContext
    ) -> train_pb2.CreateTrainingResponse:
        if request.validate_only:
            return self._judge(request, context)
        if self.breaks:
            refuse(context, *self.breaks.pop(0))
        self.created.append(request)
        begun = training(jobs_pb2.JOB_STATE_QUEUED, 9, warnings=[QUIET])
        begun.training.avatar = request.name
        return train_pb2.CreateTrainingResponse(job=begun)

    def _judge(
        self, request: train_pb2.CreateTrainingRequest, context: grpc.ServicerContext
    ) -> train_pb2.CreateTrainingResponse:
        if request.request_id in self.known:
            return train_pb2.CreateTrainingResponse(job=self.known[request.request_id])
        running = {one.training.avatar for one in self.jobs.all if one.state == jobs_pb2.JOB_STATE_RUNNING}
        if request.name in self.taken | running:
            refuse(context, code_pb2.ALREADY_EXISTS, "NAME_TAKEN", "There is one.", "name")
        return train_pb2.CreateTrainingResponse()


PAGE = 2
"""No page has more than so many, whatever is asked for: callers must go on by the token."""


def paged(field: str, entries: list[Any], request: Any) -> dict[str, Any]:
    """The fields of a List… answer: the page that the request asks for, whose token counts entries."""
    begin = int(request.page_token or 0)
    end = begin + min(request.page_size or PAGE, PAGE)
    return {field: entries[begin:end], "next_page_token": str(end) if end < len(entries) else ""}


def generation(state: int, number: int = 1, **job: Any) -> jobs_pb2.Job:
    """A generation in some state."""
    return jobs_pb2.Job(id=f"generation-{number}", state=state, generation=jobs_pb2.Generation(avatar="Ann"), **job)


def training(state: int, number: int = 1, **job: Any) -> jobs_pb2.Job:
    """A training in some state."""
    return jobs_pb2.Job(id=f"training-{number}", state=state, training=jobs_pb2.Training(avatar="Ann"), **job)


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


class IdsSeen(grpc.ServerInterceptor):
    """The request ids that calls came with, by method."""

    def __init__(self) -> None:
        self.by_method: dict[str, str] = {}

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        self.by_method[details.method.rpartition("/")[2]] = dict(details.invocation_metadata)["x-request-id"]
        return continuation(details)


@dataclass
class Rooms:
    """The small services, and a client of them."""

    services: Services
    listener: Listener = field(default_factory=Listener)
    writer: Writer = field(default_factory=Writer)
    speaker: Speaker = field(default_factory=Speaker)
    painter: Painter = field(default_factory=Painter)
    trainer: Trainer = field(default_factory=Trainer)
    ids: IdsSeen = field(default_factory=IdsSeen)

    def register(self, server: grpc.Server, train_server: grpc.Server) -> None:
        """Add them to a server, and to another the training service: two that have jobs cannot share one."""
        asr_pb2_grpc.add_AsrServiceServicer_to_server(self.listener, server)
        llm_pb2_grpc.add_LlmServiceServicer_to_server(self.writer, server)
        tts_pb2_grpc.add_TtsServiceServicer_to_server(self.speaker, server)
        render_pb2_grpc.add_RenderServiceServicer_to_server(self.painter, server)
        jobs_pb2_grpc.add_JobServiceServicer_to_server(self.painter.jobs, server)
        train_pb2_grpc.add_TrainServiceServicer_to_server(self.trainer, train_server)
        jobs_pb2_grpc.add_JobServiceServicer_to_server(self.trainer.jobs, train_server)


def client_of(port: int, **settings: Any) -> Services:
    """A client that finds all five services on one port."""
    addresses = {f"{name}_address": f"127.0.0.1:{port}" for name in NAMES}
    return Services(ClientSettings(**addresses | settings))


@pytest.fixture
def rooms() -> Iterator[Rooms]:
    """The services on a port of their own, for one test."""
    ids = IdsSeen()
    servers = [grpc.server(ThreadPoolExecutor(8), interceptors=[ids]) for _ in range(2)]
    port, train_port = (server.add_insecure_port("127.0.0.1:0") for server in servers)
    rooms = Rooms(client_of(port, train_address=f"127.0.0.1:{train_port}"), ids=ids)
    rooms.register(*servers)
    for server in servers:
        server.start()
    yield rooms
    rooms.painter.go.set()
    rooms.speaker.go.set()
    rooms.services.close()
    for server in servers:
        server.stop(0).wait()


@pytest.fixture
def make() -> SimpleNamespace:
    """Makers of messages and clients."""
    return SimpleNamespace(generation=generation, training=training, duration=_duration, client_of=client_of)
