"""Servers of our own that speak as those of other people do: real gRPC and HTTP, no part of a client is replaced."""

from __future__ import annotations

import contextlib
import io
import json
import select
import struct
import threading
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import grpc
import numpy as np
from visavis.foreign import cosyvoice_pb2 as messages
from visavis.foreign import cosyvoice_pb2_grpc

from tests.recognisers import Server, form_parts

LONGEST_S = 60  # only ends what would hang


def tone(seconds: float, rate: int, hertz: float = 440.0) -> bytes:
    """16-bit PCM in which that many hertz can be counted."""
    return (12_000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype("<i2").tobytes()


def hertz(samples: np.ndarray, rate: int) -> float:
    """Of a tone, by its zeros."""
    return float(np.count_nonzero(np.diff(np.signbit(samples))) / 2 / (len(samples) / rate))


def sounding(samples: np.ndarray) -> np.ndarray:
    """Without the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]


@dataclass
class Speaker:
    """What a server should do, and what it saw."""

    url: str = ""
    pieces: list[bytes] = field(default_factory=list)  # of each answer
    status: Any = None  # a refusal: a number, or gRPC's code
    details: str = ""  # of a refusal
    refuses: int | None = None  # so many requests, then it behaves; None: all
    kind: str = ""  # what the answer calls itself
    encoding: str = ""  # how the answer says that it is packed
    stall_after: int | None = None  # pieces before it falls silent
    trickles: bool = False  # all pieces again and again, until the client hangs up
    break_after: int | None = None  # pieces before the connection ends
    asked: list[dict[str, Any]] = field(default_factory=list)  # the fields of each request, its way under "way"
    keys: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)  # the client hung up while it was silent
    go_on: threading.Event = field(default_factory=threading.Event)  # what a server waits for that `waits_after`
    waits_after: int | None = None  # pieces before it waits

    def sound(self) -> Iterator[bytes]:
        """The pieces of an answer, each when its time has come."""
        yield from self.pieces
        while self.trickles and not self.gone.wait(0.01):
            yield from self.pieces

    def refuses_now(self) -> bool:
        """Whether this request is to be refused."""
        if self.status is None or self.refuses == 0:
            return False
        if self.refuses is not None:
            self.refuses -= 1
        return True


class _CosyVoice(cosyvoice_pb2_grpc.CosyVoiceServicer):
    """As `runtime/python/grpc/server.py`: one of four requests, answered by messages of sound."""

    def __init__(self, speaks: Speaker) -> None:
        self._speaks = speaks

    def Inference(self, request: messages.Request, context: grpc.ServicerContext) -> Iterator[messages.Response]:
        speaks, way = self._speaks, request.WhichOneof("RequestPayload")
        told = {name.name: value for name, value in getattr(request, way).ListFields()}
        speaks.asked.append({"way": way.removesuffix("_request"), **told})
        speaks.keys.append(dict(context.invocation_metadata()).get("authorization", ""))
        if speaks.refuses_now():
            context.abort(speaks.status, speaks.details)
        if speaks.details:
            raise TypeError(speaks.details)
        if not context.add_callback(speaks.gone.set):  # it has gone already
            speaks.gone.set()
        for count, piece in enumerate(speaks.sound()):
            if speaks.stall_after == count:
                speaks.stalled.set()
                speaks.gone.wait(LONGEST_S)
            if speaks.break_after == count:
                raise RuntimeError("out of memory")
            if speaks.waits_after == count:
                speaks.go_on.wait(LONGEST_S)
            yield messages.Response(tts_audio=piece)


@contextlib.contextmanager
def running_cosyvoice_grpc() -> Iterator[Speaker]:
    """CosyVoice's gRPC server."""
    speaks = Speaker(pieces=[tone(0.5, 24_000), tone(0.5, 24_000)])
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        cosyvoice_pb2_grpc.add_CosyVoiceServicer_to_server(_CosyVoice(speaks), server)
        speaks.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield speaks
        finally:
            for event in (speaks.gone, speaks.go_on):
                event.set()
            server.stop(None).wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    speaks: Speaker

    def _answer(self) -> None:
        try:
            self._speak()
        except ConnectionError:  # it did not wait for the silence
            self.speaks.gone.set()
            self.close_connection = True

    def _speak(self) -> None:
        speaks = self.speaks
        speaks.keys.append(self.headers["Authorization"] or "")
        if speaks.refuses_now():
            self._refuse(speaks.status, speaks.details.encode())
            return
        self.send_response(200)
        if speaks.kind:
            self.send_header("Content-Type", speaks.kind)
        if speaks.encoding:
            self.send_header("Content-Encoding", speaks.encoding)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for count, piece in enumerate(speaks.sound()):
            if speaks.stall_after == count:
                self._stall()
                return
            if speaks.break_after == count:
                self.close_connection = True
                return
            if speaks.waits_after == count:
                speaks.go_on.wait(LONGEST_S)
            self._write(piece)
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stall(self) -> None:
        self.speaks.stalled.set()
        readable, _, _ = select.select([self.connection], [], [], LONGEST_S)
        if readable and self.connection.recv(1) == b"":
            self.speaks.gone.set()
        self.close_connection = True

    def _write(self, data: bytes) -> None:
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class _CosyVoiceHandler(_Handler):
    """As `runtime/python/fastapi/server.py`: forms, answered by bare sound; 200 before anything is known."""

    def do_POST(self) -> None:
        if not self.path.startswith("/inference_"):
            self._refuse(404, json.dumps({"detail": "Not Found"}).encode())
            return
        if self.headers["Content-Type"].startswith("multipart/"):
            form = {name: content if is_file else content.decode() for name, content, is_file in form_parts(self)}
        else:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.speaks.asked.append({"way": self.path.removeprefix("/inference_"), **form})
        self._answer()


class _GptSovitsHandler(_Handler):
    """As `api_v2.py`: JSON in, a WAV file out, JSON with 400 for all that goes wrong before the sound; recordings are
    read from its own disk. Streamed, a failure is an answer that ends."""

    LANGUAGES = ("auto", "en", "zh", "ja", "yue", "ko")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.speaks.asked.append({"way": self.path.removeprefix("/"), **asked})
        for name in ("text_lang", "prompt_lang"):
            if asked[name] not in self.LANGUAGES:
                self._refuse(
                    400, json.dumps({"message": f"{name}: {asked[name]} is not supported in version v2"}).encode()
                )
                return
        if (wrong := self._wrong(asked["ref_audio_path"])) and not asked["streaming_mode"]:
            self._refuse(400, json.dumps({"message": "tts failed", "Exception": wrong}).encode())
            return
        if wrong:
            self.speaks.break_after = 0
        self.speaks.kind = self.speaks.kind or "audio/wav"
        self._answer()

    def do_GET(self) -> None:
        route, _, query = self.path.partition("?")
        asked = dict(parse_qsl(query))
        self.speaks.asked.append({"way": route.removeprefix("/"), **asked})
        wrong = self._wrong(asked["refer_audio_path"]) if "refer_audio_path" in asked else self.speaks.details
        if wrong:
            kind = route.removeprefix("/set_").removesuffix("_weights")
            said = "set refer audio failed" if kind == "refer_audio" else f"change {kind} weight failed"
            self._refuse(400, json.dumps({"message": said, "Exception": wrong}).encode())
        else:
            self._refuse(200, json.dumps({"message": "success"}).encode())

    @staticmethod
    def _wrong(path: str) -> str:
        if not Path(path).is_file():
            return f"{path} not exists"
        with wave.open(path) as file:
            seconds = file.getnframes() / file.getframerate()
        return "" if 3 <= seconds <= 10 else "参考音频在3~10秒范围外，请更换！"


@contextlib.contextmanager
def running_gptsovits() -> Iterator[Speaker]:
    """GPT-SoVITS' `api_v2`; its streamed answer begins with a header of its own."""
    pieces = [wav(b"", 32_000), tone(0.5, 32_000), tone(0.5, 32_000)]
    with _running(_GptSovitsHandler, Speaker(pieces=pieces)) as speaks:
        yield speaks


@contextlib.contextmanager
def _running(handler: type[_Handler], speaks: Speaker) -> Iterator[Speaker]:
    with Server(("127.0.0.1", 0), type("Handler", (handler,), {"speaks": speaks})) as server:
        speaks.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield speaks
        finally:
            speaks.go_on.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def running_cosyvoice_http() -> Iterator[Speaker]:
    """CosyVoice's FastAPI server."""
    with _running(_CosyVoiceHandler, Speaker(pieces=[tone(0.5, 24_000), tone(0.5, 24_000)])) as speaks:
        yield speaks


def wav(pcm: bytes, rate: int, *, size: int | None = None, channels: int = 1) -> bytes:
    """A WAV file; `size` is what its header says, where that is not the truth."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(pcm)
    data = bytearray(target.getvalue())
    if size is not None:
        struct.pack_into("<I", data, 40, size)
    return bytes(data)
