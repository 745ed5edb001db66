"""What a video says, made ready for filming: a recording that was brought, or a text that is spoken now; its subtitles.

Whatever is made of it here is kept beside the input: a job that is killed or resumed finds its pieces of film fit for
just this speech, and nothing is spoken or heard twice.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import media_pb2
from visavis.render.v1 import render_pb2
from visavis.tts.v1 import tts_pb2

from services.common.audio import too_long
from services.common.disk import require_space
from services.common.jobs import child
from services.common.peers import Peers
from services.common.storage import Storage
from services.common.subtitles import Word, cues, to_webvtt
from services.render.film.generations import CLOSURES, SCRIPT, SPEECH, SUBTITLES, input_folder
from services.render.live.closures import ToldClosures
from services.render.settings import RenderSettings

SPEAK, LISTEN = "speech", "listen"
"""Stages of a job."""
SHARE = 0.15
"""Of the progress, when what it says is ready."""
SPEAK_TIMEOUT_S, HEAR_TIMEOUT_S = 3600, 3600
CHUNK_BYTES = 512 * 1024
_SPOKEN, _MANIFEST = "spoken", "spoken.json"


@dataclass(frozen=True)
class Speech:
    """What is said.

    Attributes:
        file: local, of any kind.
        closures: first and last second of each stretch in which the lips are shut, as far as that is known.
        webvtt: the subtitles; empty if none are wanted.
    """

    file: Path
    duration_s: float
    closures: list[tuple[float, float]]
    webvtt: str


def ready(
    task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage, peers: Peers
) -> tuple[Speech, float]:
    """The speech of a job, and the share of the work that lies behind when it is there.

    Raises:
        ServiceError: speech or recognition refuses it, or stays away.
    """
    source = _Source(task, storage)
    if task.spec.get("script"):
        if not source.has(f"{_SPOKEN}/{_MANIFEST}"):
            _Voice(task, report, settings, storage, peers).speak()
        facts = json.loads(source.read(f"{_SPOKEN}/{_MANIFEST}"))
        return source.speech(f"{_SPOKEN}/", facts["duration_s"]), SHARE
    if task.spec["subtitles"] and not source.has(SUBTITLES):
        report({"stage": LISTEN, "progress": 0.01})
        webvtt = peers.patiently(lambda: _heard(peers, source.local(SPEECH), task.spec["subtitles"]))
        storage.write(source.key(SUBTITLES), webvtt.encode())
    return source.speech("", task.spec["duration_s"]), SHARE if task.spec["subtitles"] else 0.0


class _Source:
    """The folder of what a job was given and what was made of it, in storage."""

    def __init__(self, task: child.Task, storage: Storage) -> None:
        self._folder, self._storage = input_folder(task.id, task.spec), storage

    def key(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def has(self, name: str) -> bool:
        return self._storage.exists(self.key(name))

    def read(self, name: str) -> bytes:
        return self._storage.read(self.key(name))

    def local(self, name: str) -> Path:
        return self._storage.local_file(self.key(name))

    def speech(self, place: str, duration_s: float) -> Speech:
        closures, subtitles = place + CLOSURES, place + SUBTITLES
        return Speech(
            self.local(place + SPEECH),
            duration_s,
            [(start, end) for start, end in json.loads(self.read(closures))] if self.has(closures) else [],
            self.read(subtitles).decode() if self.has(subtitles) else "",
        )


def _heard(peers: Peers, file: Path, options: dict[str, str]) -> str:
    config = asr_pb2.TranscribeConfig(language=options["language"], engine=options["engine"])

    def requests() -> Iterator[asr_pb2.TranscribeRequest]:
        yield asr_pb2.TranscribeRequest(config=config)
        with file.open("rb") as data:
            while chunk := data.read(CHUNK_BYTES):
                yield asr_pb2.TranscribeRequest(data=chunk)

    told: asr_pb2.TranscribeResponse = peers.asr.Transcribe(requests(), timeout=HEAR_TIMEOUT_S, metadata=peers.metadata)
    return told.webvtt


@dataclass
class _Sentence:
    text: str
    start_s: float
    words: list[media_pb2.TimedWord] = field(default_factory=list)


class _Voice:
    """Has a job's text spoken into files: the speech as WAV, when the lips are shut, and the subtitles."""

    def __init__(
        self, task: child.Task, report: child.Report, settings: RenderSettings, storage: Storage, peers: Peers
    ) -> None:
        self._task, self._report, self._settings, self._storage = task, report, settings, storage
        self._peers = peers
        self._source = _Source(task, storage)
        self._folder = task.work_folder / _SPOKEN

    def speak(self) -> None:
        """Speak the text, from its beginning if the service restarts, and keep what came whole."""
        script = render_pb2.Script.FromString(self._source.read(SCRIPT))
        self._report({"stage": SPEAK, "progress": 0.01})
        self._peers.patiently(lambda: self._attempt(script))
        self._storage.require_space(sum(file.stat().st_size for file in self._folder.iterdir()))
        self._storage.put_folder(self._folder, self._source.key(_SPOKEN), _MANIFEST)
        shutil.rmtree(self._folder)

    def _attempt(self, script: render_pb2.Script) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        requests = [
            tts_pb2.StreamingSynthesizeRequest(config=script.how),
            tts_pb2.StreamingSynthesizeRequest(text=script.text),
        ]
        call = self._peers.tts.StreamingSynthesize(
            iter(requests), timeout=SPEAK_TIMEOUT_S, metadata=self._peers.metadata
        )
        try:
            rate = next(call).header.sample_rate_hertz
            self._write(call, rate, len(script.text))
        finally:
            call.cancel()

    def _write(self, replies: Iterator[tts_pb2.StreamingSynthesizeResponse], rate: int, length: int) -> None:
        sentences: list[_Sentence] = []
        told, closures, count = ToldClosures(rate), [], 0
        with wave.open(str(self._folder / SPEECH), "wb") as wav:
            wav.setparams((1, 2, rate, 0, "NONE", ""))
            for reply in replies:
                if reply.WhichOneof("response") == "sentence":
                    sentences.append(_Sentence(reply.sentence.text, reply.sentence.sample_index / rate))
                    self._report({"stage": SPEAK, "progress": SHARE * min(1.0, reply.sentence.text_end / length)})
                    continue
                piece = reply.audio
                sentences[-1].words.extend(piece.words)
                told.hear(len(piece.pcm) // 2)
                closures += told.take(media_pb2.LipClosures(closures=piece.closures))
                count += len(piece.pcm) // 2
                self._check(count / rate, len(piece.pcm))
                wav.writeframesraw(piece.pcm)
        (self._folder / CLOSURES).write_text(json.dumps(closures))
        if self._task.spec["subtitles"]:
            said_when = to_webvtt(cues(_words(sentences, count / rate)))
            (self._folder / SUBTITLES).write_text(said_when, encoding="utf-8")
        (self._folder / _MANIFEST).write_text(json.dumps({"duration_s": count / rate}))

    def _check(self, seconds: float, next_bytes: int) -> None:
        if seconds > self._settings.max_speech_seconds:
            raise too_long(self._settings.max_speech_seconds, "text")
        require_space(self._folder, next_bytes)


def _words(sentences: list[_Sentence], end_s: float) -> Iterator[Word]:
    """All that is said as it is written, in pieces whose times are known: words, or whole sentences."""
    for sentence, following in itertools.zip_longest(sentences, sentences[1:]):
        yield from _pieces(sentence, following.start_s if following else end_s)


def _pieces(sentence: _Sentence, end_s: float) -> Iterator[Word]:
    """A word that is not written in the sentence goes with the one before it."""
    starts, at = [(0, sentence.start_s)], 0
    for word in sentence.words:
        if found := re.compile(re.escape(word.text), re.IGNORECASE).search(sentence.text, at):
            starts.append((found.start(), word.start_offset.ToTimedelta().total_seconds()))
            at = found.end()
    if len(starts) > 1 and not sentence.text[: starts[1][0]].strip():
        starts[1:2] = []
    for (begin, start_s), (end, next_s) in itertools.pairwise([*starts, (len(sentence.text), end_s)]):
        yield Word(sentence.text[begin:end].strip(), start_s, next_s)
