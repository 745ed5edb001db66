"""The live flow: the microphone is heard all the time, utterances are answered, and a reply ends when the user speaks.

Barge-in takes two steps. When speech begins, whoever plays the reply pauses it (`Hearing`): that is quick and does no
harm. Then it turns out what the user meant. A back-channel ("uh-huh") lets the reply go on (`Resumed`); speech that
goes on, or says anything else, cancels it (`Interrupted`), by the same path as the stop button and a closed connection.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from visavis.asr.v1 import asr_pb2

from basics.scripts import EAST_ASIAN, HAN
from client.talk.channel import Cancelled, Channel
from client.talk.conversation import Conversation, Event, Media, Reply
from client.talk.echo import EchoCanceller, Sound
from client.talk.microphone import RATE, Microphone
from client.talk.runner import Runner
from client.wire import request_id
from client.wire.errors import CallError, from_failure, translate
from client.wire.services import Services

logger = logging.getLogger(__name__)

HANGOVER_MS = 400
DECIDE_S = 0.6
"""Speech that lasts longer is no back-channel if a word of it has been recognised that is none; before, guesses at its
first word are often wrong, and decide nothing …"""
LISTENING_S = 1.2
"""… or longer than this, whatever has been recognised of it: a busy recogniser may know nothing yet."""
BREATH_S = 1.0
"""Who speaks on within this time has only drawn breath …"""
HARDLY_HEARD_S = 0.5
"""… if no more than this was heard of the answer by then."""
RETRY_S = 1.0
LISTEN_TIMEOUT_S = 3600
"""A recognition is opened anew after so long, before the service closes the connection that it is on."""
BACK_CHANNELS = frozenset(
    (
        *("uh", "huh", "um", "mm", "mmhm", "mhm", "hm", "hmm", "ah", "aha", "oh", "ha", "haha"),
        *("ok", "okay", "yeah", "yes", "yep", "right", "sure"),
    )
)
_HAN_BACK_CHANNELS = re.compile(
    "(?:嗯|恩|唔|呃|哦|噢|喔|啊|哈|好的?|[对對]的?|是的?|行|[没沒][错錯]|明白了?|知道了){1,4}"
)
_WORD = re.compile(r"[\w']+")
_BETWEEN_HAN = re.compile(rf"(?<=[{HAN}])\W+(?=[{HAN}])")
_HAN_MEETS_HAN = re.compile(rf"[{EAST_ASIAN}\uff00-\uff60]{{2}}")
_REFUSED = "REFUSED"  # one utterance was, by a provider's filter; the next one will not be
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True)
class Hearing:
    """The user began to speak: pause what is playing. `start_s` is on the microphone's clock."""

    start_s: float


@dataclass(frozen=True)
class Interim:
    """What the utterance seems to say so far."""

    text: str


@dataclass(frozen=True)
class Transcript:
    """What the user said or, without an `end_s`, wrote; `end_s` is the end of the speech on the microphone's clock."""

    text: str
    end_s: float | None = None
    goes_on: bool = False
    """It begins with the transcript before, and takes the place of it and of its reply: the user had drawn breath."""


@dataclass(frozen=True)
class Told:
    """Something of a reply; replies count from 1."""

    reply: int
    event: Event


@dataclass(frozen=True)
class Resumed:
    """The user said nothing that ends a reply: play on."""


@dataclass(frozen=True)
class Interrupted:
    """A reply was cancelled; `heard_s` of it were heard, and only they are remembered."""

    reply: int
    heard_s: float
    next_frame_index: int = 0
    """Where the idle loop goes on: most like the last picture that was shown."""
    heard: str = ""
    """What was written of it: what was heard …"""
    unheard: str = ""
    """… and the rest."""


@dataclass(frozen=True)
class Failed:
    """A reply broke or, without a number, the recognition. The talk goes on."""

    error: CallError
    reply: int | None = None


@dataclass(frozen=True)
class Using:
    """Who talks from the next reply on."""

    avatar: str
    voice: str
    persona: str
    language: str
    rate: float
    pitch_semitones: float
    asr_engine: str = ""
    llm_engine: str = ""
    tts_engine: str = ""


LiveEvent = Hearing | Interim | Transcript | Told | Resumed | Interrupted | Failed | Using


def is_back_channel(text: str) -> bool:
    """Whether somebody says only that they listen."""
    words = _WORD.findall(_BETWEEN_HAN.sub("", text.lower()))
    return 0 < len(words) <= 3 and all(word in BACK_CHANNELS or _HAN_BACK_CHANNELS.fullmatch(word) for word in words)


class _Turn:
    """A reply being made and played, and what it answers. It hears what comes of the reply and passes it on."""

    def __init__(
        self, number: int, asked: Transcript, reply: Reply, sound: Sound, echo: EchoCanceller, to: Channel
    ) -> None:
        self.number, self.asked, self.reply = number, asked, reply
        self._sound, self._echo, self._events = sound, echo, to
        self._runner = Runner(reply)
        self.played_s = 0.0
        self.is_played = False
        self._runner.start(self)

    def cancel(self) -> None:
        """Stop making it."""
        self._runner.cancel()

    @property
    def is_over(self) -> bool:
        """Whether it was cancelled, or all of it has been sent and played."""
        is_heard = self.is_played or not self.reply.seconds_sent
        return self._runner.cancelled.is_set() or (self._runner.is_sent and is_heard)

    def take(self, event: Event) -> None:
        if isinstance(event, Media) and not event.frame_index:
            self._echo.play(self._sound)
        self._events.put(Told(self.number, event), self._runner.cancelled)

    def fail(self, error: CallError) -> None:
        self._events.put(Failed(error, self.number), self._runner.cancelled)

    def end(self) -> None:
        pass

    def is_asked_until(self, start_s: float) -> bool:
        """Whether the question still goes on with speech that begins now."""
        end_s = self.asked.end_s
        return end_s is not None and start_s - end_s <= BREATH_S and self.played_s <= HARDLY_HEARD_S


class LiveTalk:
    """One user's live talk on top of a conversation. Any thread may call it; one thread iterates over `events`."""

    def __init__(self, services: Services, conversation: Conversation, *, hangover_ms: int = HANGOVER_MS) -> None:
        self._services, self._talk, self._hangover_ms = services, conversation, hangover_ms
        self._closed = threading.Event()
        self._events = Channel(self._closed)
        self._microphone = Microphone()
        self._echo = EchoCanceller()
        self._lock = threading.RLock()
        self._recognition: grpc.Call | None = None
        self._turn: _Turn | None = None
        self._latest: _Turn | None = None  # also when it has been interrupted
        self._gone_on: _Turn | None = None  # whose question goes on in what is being said
        self._count = 0
        self._is_deaf = False  # whether the user has been told that nobody hears
        self._is_ear_new = False  # to the recognition that is open
        self._onset_s: float | None = None  # of speech of which it is not known yet what it means
        self._lasts_s = 0.0  # how long it has been known to last
        self._guessed = ""  # what it seems to say so far
        threading.Thread(target=request_id.kept(self._listen), daemon=True).start()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._closed.is_set()

    def events(self) -> Iterator[LiveEvent]:
        """What happens, until the talk is closed. Nothing of an interrupted reply comes after its `Interrupted`."""
        interrupted = 0
        for event in self._events:
            if isinstance(event, Interrupted):
                interrupted = event.reply
            if not (isinstance(event, Told) and event.reply <= interrupted):
                yield event

    def hear(self, pcm: bytes) -> None:
        """Take what the microphone heard: signed 16-bit little-endian mono PCM at 16 kHz.

        Raises:
            TooFast: it comes faster than it is spoken.
        """
        if clean := self._echo.clean(pcm):
            self._microphone.push(clean)

    def say(self, text: str) -> None:
        """Take what the user wrote."""
        with self._lock:
            self._answer(Transcript(text))

    def use(self, chosen: dict[str, Any]) -> None:
        """Go on with others from the next reply on, as `Conversation.use`; a name that nobody has is `Failed`."""
        talk = self._talk
        before = self._heard_by()
        try:
            talk.use(**chosen)
        except CallError as error:
            self._tell(Failed(error))
            return
        self._tell(Using(**{one.name: getattr(talk, one.name) for one in fields(Using)}))
        if self._heard_by() != before:
            self._listen_anew()

    def _heard_by(self) -> tuple[str, ...]:
        """What a recognition is told when it is opened."""
        talk = self._talk
        return talk.language, talk.asr_engine, talk.avatar, talk.persona

    def _listen_anew(self) -> None:
        with self._lock:
            self._is_ear_new, self._is_deaf = True, False
            if self._recognition:
                self._recognition.cancel()

    def stop(self) -> None:
        """End the reply that is being made or played."""
        with self._lock:
            self._interrupt()

    def played(self, reply: int, seconds: float, *, is_over: bool = False) -> None:
        """How much of a reply has been played; what is not told has not been heard."""
        with self._lock:
            turn = self._turn
            if turn and turn.number == reply:
                turn.played_s = max(turn.played_s, min(seconds, turn.reply.seconds_sent))
                turn.is_played = turn.is_played or is_over
                self._echo.played(turn.played_s)

    def rests_on(self, frame_index: int) -> None:
        """The client's idle loop shows this frame now."""
        self._talk.rests_on(frame_index)

    def close(self) -> None:
        """End everything: recognition, and the reply on its way."""
        self._closed.set()  # first: whoever waits to tell something while holding the lock gives up
        if self._recognition:
            self._recognition.cancel()  # before its sound ends: a recogniser told so would finish the utterance
        self._microphone.close()
        with self._lock:
            self._interrupt()

    def _tell(self, event: LiveEvent) -> None:
        with contextlib.suppress(Cancelled):  # the talk is closed: nobody wants to know
            self._events.put(event)

    def _listen(self) -> None:
        """Keep a recognition open; one that ends for a passing reason is opened anew."""
        while not self._closed.is_set():
            try:
                with translate():
                    self._recognise()
            except CallError as error:
                self._deafen(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, the user must learn of it
                logger.exception("a recognition broke")
                self._deafen(from_failure(error))

    def _deafen(self, error: CallError) -> None:
        """The recognition has ended: tell it once, and hear nothing for a while, or never again."""
        if self._closed.is_set():
            return
        with self._lock:
            is_undecided, self._onset_s = self._onset_s is not None, None
            self._echo.resume()
        if is_undecided:
            self._tell(Resumed())
        if self._is_ear_new or (error.code == grpc.StatusCode.DEADLINE_EXCEEDED and not self._is_deaf):
            return  # it was open for long enough
        if not self._is_deaf:
            self._tell(Failed(error))
        self._is_deaf = True
        is_passing = error.code in _PASSING or error.reason == _REFUSED
        self._overhear(RETRY_S if is_passing else math.inf)

    def _overhear(self, seconds: float) -> None:
        """Let the microphone's sound go for a while: nobody understands it, and it must not pile up."""
        end = time.monotonic() + seconds
        for _ in self._microphone.read():
            if time.monotonic() > end or self._is_ear_new:
                return

    def _recognise(self) -> None:
        began_s = self._microphone.taken_s
        with self._lock:
            self._is_ear_new = False
            self._recognition = self._services.asr.StreamingRecognize(self._requests(), timeout=LISTEN_TIMEOUT_S)
        if self._closed.is_set():
            self._recognition.cancel()
        for reply in self._recognition:
            kind = reply.WhichOneof("response")
            self._is_deaf = False
            if kind == "speech_started":
                self._onset(began_s + _seconds(reply.speech_started.offset))
            elif kind == "interim":
                self._guess(reply.interim.text)
            elif kind == "speech_goes_on":
                self._go_on(began_s + _seconds(reply.speech_goes_on.offset))
            elif kind == "final":
                end_s = began_s + _seconds(reply.final.end_offset)
                endpoint_s = began_s + _seconds(reply.final.endpoint_offset)
                self._understand(reply.final.text, end_s, endpoint_s)

    def _requests(self) -> Iterator[asr_pb2.StreamingRecognizeRequest]:
        hangover = Duration()
        hangover.FromMilliseconds(self._hangover_ms)
        config = asr_pb2.StreamingRecognizeConfig(
            sample_rate_hertz=RATE,
            hangover=hangover,
            engine=self._talk.asr_engine,
            **self._talk.expected(),
        )
        yield asr_pb2.StreamingRecognizeRequest(config=config)
        for pcm in self._microphone.read():
            yield asr_pb2.StreamingRecognizeRequest(audio=pcm)

    def _onset(self, start_s: float) -> None:
        with self._lock:
            self._onset_s = start_s if self._turn and not self._turn.is_over else None
            self._gone_on = self._latest if self._latest and self._latest.is_asked_until(start_s) else None
            self._lasts_s, self._guessed = 0.0, ""
            self._echo.pause()
        self._tell(Hearing(start_s))

    def _guess(self, text: str) -> None:
        with self._lock:
            self._guessed = text
            if self._onset_s is not None and self._lasts_s >= DECIDE_S and text and not is_back_channel(text):
                self._interrupt()
        self._tell(Interim(text))

    def _go_on(self, until_s: float) -> None:
        """Speech that began has lasted until now."""
        with self._lock:
            if self._onset_s is None:
                return
            self._lasts_s = until_s - self._onset_s
            is_known = self._guessed and not is_back_channel(self._guessed)
            if self._lasts_s > (DECIDE_S if is_known else LISTENING_S):
                self._interrupt()

    def _understand(self, text: str, end_s: float, endpoint_s: float) -> None:
        """An utterance has ended: answer it, unless it says nothing that wants an answer."""
        with self._lock:
            is_undecided, self._onset_s = self._onset_s is not None, None
            gone_on, self._gone_on = self._gone_on, None
            self._echo.resume()
            if is_undecided and (not text or is_back_channel(text)):
                self._tell(Resumed())
            elif text and gone_on and gone_on is self._latest:
                self._answer(Transcript(_joined(gone_on.asked.text, text), end_s, goes_on=True), endpoint_s)
            elif text:
                self._answer(Transcript(text, end_s), endpoint_s)
            elif self._guessed:
                self._tell(Interim(""))

    def _answer(self, heard: Transcript, endpoint_s: float = 0.0) -> None:
        if self._closed.is_set():
            return  # the conversation may be somebody else's by now
        self._interrupt()
        if heard.goes_on and self._latest:
            self._talk.take_back(self._latest.reply)
        self._tell(heard)
        self._count += 1
        sound = Sound()
        reply = self._talk.reply(heard.text, self._listened(heard, endpoint_s), sound.push)
        self._turn = self._latest = _Turn(self._count, heard, reply, sound, self._echo, self._events)

    def _listened(self, heard: Transcript, endpoint_s: float) -> dict[str, float]:
        """How long it took to notice that the user had ended, and from then until now."""
        if heard.end_s is None or endpoint_s < heard.end_s:  # written, or the recogniser does not tell
            return {}
        asr_s = time.monotonic() - self._microphone.arrived_at(endpoint_s)
        return {"vad": endpoint_s - heard.end_s, "asr": asr_s}

    def _interrupt(self) -> None:
        """The one way in which a reply ends before its end."""
        turn, self._turn, self._onset_s = self._turn, None, None
        if turn is None or turn.is_over:
            return
        turn.cancel()
        self._echo.stop()
        turn.reply.break_off(turn.played_s)
        told = turn.reply.parted(turn.played_s)
        self._tell(Interrupted(turn.number, turn.played_s, turn.reply.next_frame_index, *told))


def _joined(first: str, second: str) -> str:
    """Two pieces of one utterance; Chinese has no spaces between words."""
    return first + ("" if _HAN_MEETS_HAN.fullmatch(first[-1:] + second[:1]) else " ") + second


def _seconds(offset: Duration) -> float:
    return offset.ToTimedelta().total_seconds()
