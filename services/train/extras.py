"""What is made of a recording beside its avatar: subtitles, and a voice that bears the avatar's name.

Other services make them, of the recording that is stored. Whatever keeps one from it, its absence or this recording,
costs a training that part only, and a warning says why. The voice is made last, right before the avatar is stored: so a
training that fails or is cancelled before leaves none, and one that does so afterwards takes it away again. Its name is
not held until then; if somebody took it meanwhile, that is one more reason to go without. That it is this training's
own, the voice says itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import grpc
from visavis.asr.v1 import asr_pb2
from visavis.common.v1 import media_pb2
from visavis.tts.v1 import tts_pb2

from basics.problem import Problem
from services.common.errors import ServiceError
from services.common.jobs.child import Task
from services.common.peers import Peers

logger = logging.getLogger(__name__)
T = TypeVar("T")
SUBTITLES, VOICE = "subtitles", "voice"
"""Stages of a training."""
SHARE = 0.95
"""Of the progress, when the engine has done its part."""
NO_SUBTITLES = Problem("SUBTITLES_NOT_MADE", "No subtitles were made of this recording, for the reason that follows.")
NO_VOICE = Problem(
    "VOICE_NOT_MADE",
    "No voice was made of this recording, for the reason that follows. The avatar speaks in any other.",
)
MOST_TRANSCRIPT = 60_000  # characters, as the proto has it
HEAR_TIMEOUT_S, LEARN_TIMEOUT_S = 3600, 900
FORGET_TIMEOUT_S = 4  # a job that is cancelled has little time to clean up
_KEPT, _ASKED = "transcript.json", "voice-asked"


class Tell(Protocol):
    """Hears how far it is, and what is not as it should be."""

    def stage(self, name: str, progress: float) -> None:
        """A stage begins, at a share of the whole."""

    def warn(self, *problems: Problem) -> None:
        """The training goes on all the same."""


@dataclass(frozen=True)
class Transcript:
    """What a recording says, word for word, and its subtitles; empty where that is not known."""

    text: str = ""
    webvtt: str = ""


class Extras:
    """Makes them for one training. Each may be asked for again after a kill."""

    def __init__(self, task: Task, peers: Peers, tell: Tell) -> None:
        self._task, self._spec, self._peers, self._tell = task, task.spec, peers, tell

    def transcript(self) -> Transcript:
        """What the recording says, if that is wanted."""
        wanted, kept = self._spec.get("subtitles"), self._task.work_folder / _KEPT
        if wanted is None:
            return Transcript()
        if kept.exists():
            return Transcript(**json.loads(kept.read_text()))
        self._tell.stage(SUBTITLES, SHARE)
        heard = self._or_warning(lambda: self._transcribe(wanted), NO_SUBTITLES)
        if heard is None:
            return Transcript()
        transcript, part = Transcript(heard.spoken_text, heard.webvtt), kept.with_suffix(".part")
        part.write_text(json.dumps(asdict(transcript)))
        part.replace(kept)
        return transcript

    def _transcribe(self, wanted: dict[str, str]) -> asr_pb2.TranscribeResponse:
        config = asr_pb2.TranscribeConfig(
            language=wanted["language"], engine=wanted["engine"], recording_id=self._spec["recording_id"]
        )
        requests = iter([asr_pb2.TranscribeRequest(config=config)])
        return self._peers.asr.Transcribe(requests, timeout=HEAR_TIMEOUT_S, metadata=self._peers.metadata)

    def voice(self, transcript: Transcript) -> str:
        """Name of the avatar's voice: the one that was chosen, or the one that is made now; empty if there is none."""
        wanted = self._spec.get("new_voice")
        if wanted is None:
            return str(self._spec["voice"])
        self._tell.stage(VOICE, (1 + SHARE) / 2)
        made = self._or_warning(lambda: self._create(wanted, transcript), NO_VOICE)
        return made.name if made else ""

    def _create(self, wanted: dict[str, str], transcript: Transcript) -> tts_pb2.Voice:
        config = tts_pb2.VoiceConfig(
            name=self._spec["name"],
            transcript=transcript.text[:MOST_TRANSCRIPT],
            consent=media_pb2.Consent(given_by=self._spec["consent"]["given_by"]),
            engine=wanted["engine"],
            recording_id=self._spec["recording_id"],
            training_id=self._task.id,
        )
        requests = iter([tts_pb2.CreateVoiceRequest(config=config)])
        (self._task.work_folder / _ASKED).touch()
        call = self._peers.tts.CreateVoice.future(requests, timeout=LEARN_TIMEOUT_S, metadata=self._peers.metadata)
        try:
            return call.result().voice
        finally:
            call.cancel()  # where the training is: a voice that is being learnt is not to be kept any more

    def forget_voice(self) -> None:
        """Take away the voice that was made for this training, now or before a kill: its avatar is not to be."""
        if not (self._task.work_folder / _ASKED).exists():
            return
        forget_voice(self._peers, self._spec["name"], self._task.id)

    def _or_warning(self, attempt: Callable[[], T], lacking: Problem) -> T | None:
        try:
            return self._peers.patiently(attempt)
        except ServiceError as error:
            fields: dict[str, Any] = {"job": self._task.id, "lacking": lacking.reason, "reason": error.reason}
            logger.warning("a part of the training is left out", extra={"fields": fields})
            self._tell.warn(lacking, error.problem)
            return None


def forget_voice(peers: Peers, name: str, training_id: str) -> None:
    """Take away the voice of that name, if it was made for this training."""
    request = tts_pb2.DeleteVoiceRequest(name=name, training_id=training_id)
    with contextlib.suppress(grpc.RpcError):  # there is none, or nobody who could
        peers.tts.DeleteVoice(request, timeout=FORGET_TIMEOUT_S, metadata=peers.metadata)
