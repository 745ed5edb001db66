"""The chat flow: what the user says becomes a reply that is written, spoken and shown, all at once.

Three streaming calls overlap: the dialogue's deltas feed the synthesis, whose audio feeds the rendering. One way of
ending them all: closing the iterator of events.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Unpack

import grpc
from visavis.llm.v1 import llm_pb2
from visavis.render.v1 import render_pb2

from client import library
from client.talk import cast, hearing, speech
from client.talk.apology import apology
from client.talk.cast import Cast
from client.talk.channel import Cancelled, Channel
from client.talk.speech import Prosody
from client.wire import deadline, request_id
from client.wire.errors import CallError, from_failure, translate
from client.wire.services import Services

logger = logging.getLogger(__name__)

REPLY_TIMEOUT_S = 120
STREAM_TIMEOUT_S = 1800
MESSAGES_KEPT = 60
"""Messages before the newest that the dialogue service is told; the conversation itself holds more."""
MESSAGES_HELD = 2000
TEXT_QUEUE_LENGTH = 4096
"""Pieces of text, which are small: the dialogue's time runs while it waits, and replies are made as they play."""
USUAL_FPS = 25.0
LEAD_S = 0.12
"""From beginning a reply on a frame of the idle loop until its first pictures are there."""
STAGES = ("llm_first_token", "first_sentence", "tts_first_audio", "render_first_fragment")
"""What follows from what in a reply, up to the first that is seen of it."""
EXCUSED = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,  # by the service, which was stopped
    )
)
"""Failures of the dialogue that the avatar apologises for. Any other is a refusal of what was asked."""


@dataclass(frozen=True)
class Delta:
    """The next piece of the reply's text."""

    text: str


@dataclass(frozen=True)
class Sentence:
    """A sentence is about to be spoken."""

    index: int
    text: str
    start_s: float


@dataclass(frozen=True)
class Words:
    """The next words of a sentence, before the sound in which they are spoken."""

    index: int
    words: tuple[speech.Word, ...]


@dataclass(frozen=True)
class MediaType:
    """The format of the fragments that follow, and their initialisation segment."""

    media_type: str
    width: int
    height: int
    fps: float
    init_segment: bytes
    start_frame_index: int = 0
    """The frame of the avatar's idle loop that its first frame is."""


@dataclass(frozen=True)
class Rendering:
    """The avatar talks turn by turn: its clip is being made, and no fragment comes before that is done.

    `stage` is "listen" while it is being spoken, "queue" while others' clips are made, "load" while the engine starts,
    then as that names it; `progress` is the share that is done, 0 to 1, `eta_s` the seconds that are left, if they are
    known.
    """

    stage: str
    progress: float
    eta_s: float | None = None


@dataclass(frozen=True)
class Media:
    """A fragment of MP4; `sentence_index` is the sentence being spoken where it begins."""

    sentence_index: int
    data: bytes
    frame_index: int
    frame_count: int


@dataclass(frozen=True)
class Apology:
    """The dialogue failed. What is said from here on is an apology, which is not remembered."""

    error: CallError


@dataclass(frozen=True)
class Done:
    """Everything has been sent. `timeline`: seconds from the call of `reply` to each first; `latency`: see `Reply`.

    `next_frame_index`: the frame of the avatar's idle loop that follows.
    """

    text: str
    timeline: dict[str, float]
    latency: dict[str, float] = field(default_factory=dict)
    next_frame_index: int = 0


@dataclass(frozen=True)
class Message:
    """Something that was said, as it is stored. All but the first three fields are of answers."""

    role: str
    """`user` or `assistant`."""
    text: str
    """Of an answer, what was heard of it: only that is told to the dialogue."""
    at: float
    """Seconds since 1970."""
    avatar: str = ""
    """Who gave the answer …"""
    voice: str = ""
    """… and in which voice; empty for the engine's own."""
    unheard: str = ""
    """What had been written beyond `text` when the answer was stopped."""
    is_stopped: bool = False
    """Whether it ended before its end."""


@dataclass(frozen=True)
class Record:
    """All that is needed to go on with a conversation: who talks, how, and what was said."""

    avatar: str
    voice: str = ""
    persona: str = ""
    language: str = ""
    size: int = 0
    rate: float = 1.0
    pitch_semitones: float = 0.0
    asr_engine: str = ""
    llm_engine: str = ""
    tts_engine: str = ""
    mouth_amplitude: float = 1.0
    head_motion: float = 1.0
    messages: tuple[Message, ...] = ()


Event = Delta | Sentence | Words | MediaType | Rendering | Media | Apology | Done


class Conversation:
    """One user's talk with one avatar."""

    def __init__(
        self,
        services: Services,
        *,
        avatar: str,
        voice: str = "",
        persona: str = "",
        language: str = "",
        size: int = 0,
        mouth_amplitude: float = 1.0,
        head_motion: float = 1.0,
        rate: float = 1.0,
        pitch_semitones: float = 0.0,
        asr_engine: str = "",
        llm_engine: str = "",
        tts_engine: str = "",
    ) -> None:
        self._services = services
        self.asr_engine, self.llm_engine, self.tts_engine = asr_engine, llm_engine, tts_engine
        self.avatar, self.voice, self.persona, self.language = avatar, voice, persona, language
        self.size, self.rate, self.pitch_semitones = size, rate, pitch_semitones
        self.expression = render_pb2.Expression(mouth_amplitude=mouth_amplitude, head_motion=head_motion)
        self.messages: list[Message] = []
        """What was said."""
        self.next_frame_index = 0  # of the avatar's idle loop, so that one reply goes on where the last one ended
        self._loop = ("", USUAL_FPS)  # frames a second of an avatar's idle loop
        self._resting: tuple[int, float] | None = None  # a frame of the idle loop, and when it was shown
        self.on_reply: Callable[[Reply], object] = lambda reply: None
        """Called with every reply when it is over, in whichever thread that is."""
        self._last: Reply | None = None
        self.on_change: Callable[[], object] = lambda: None
        """Called whenever `messages` have changed."""

    @classmethod
    def of(cls, services: Services, record: Record) -> Conversation:
        """Go on with a conversation, which may have been long ago."""
        told = vars(record).copy()
        messages = told.pop("messages")
        conversation = cls(services, **told)
        conversation.messages += messages
        return conversation

    def record(self) -> Record:
        """How it was begun and what was said."""
        return Record(
            avatar=self.avatar,
            voice=self.voice,
            persona=self.persona,
            language=self.language,
            size=self.size,
            rate=self.rate,
            pitch_semitones=self.pitch_semitones,
            asr_engine=self.asr_engine,
            llm_engine=self.llm_engine,
            tts_engine=self.tts_engine,
            mouth_amplitude=round(self.expression.mouth_amplitude, 4),
            head_motion=round(self.expression.head_motion, 4),
            messages=tuple(self.messages),
        )

    def use(self, *, rate: float | None = None, pitch_semitones: float | None = None, **chosen: Unpack[Cast]) -> None:
        """Go on with another of `cast.NAMES`, rate or pitch from the next reply on.

        What is not named stays; but another avatar speaks in its own voice unless one is named. An empty voice is the
        avatar's own, if it has one, and `speech.STANDARD_VOICE` the engine's; an empty persona or language is the
        engine's choice, an empty engine the service's.

        Raises:
            CallError: there is none of that name.
        """
        wanted: Cast = {"avatar": self.avatar, **chosen} if "voice" in chosen else chosen
        if wanted.keys() & {"language", "tts_engine"}:
            wanted = {"language": self.language, "tts_engine": self.tts_engine, **wanted}
        found = cast.known(self._services, wanted)
        if found.get("avatar", self.avatar) != self.avatar:
            self.next_frame_index, self._resting = 0, None
        for name, value in found.items():
            setattr(self, name, value)
        self.rate = self.rate if rate is None else rate
        self.pitch_semitones = self.pitch_semitones if pitch_semitones is None else pitch_semitones
        self.on_change()

    def listen(self, audio: IO[bytes]) -> str:
        """What a recording of the user says.

        Raises:
            CallError: nothing could be recognised in it, or the recogniser refuses it.
        """
        expected = self.expected()
        if not expected["language"]:
            expected["language"] = hearing.default(self._services, self.asr_engine)
        return speech.hear(self._services, audio, self.asr_engine, **expected).text

    def expected(self) -> hearing.Expected:
        """What may be said in it."""
        return hearing.expected(self._services, self.avatar, self.persona, self.language)

    def reply(
        self,
        text: str,
        listened: Mapping[str, float] | None = None,
        on_sound: Callable[[int, bytes], object] | None = None,
    ) -> Reply:
        """Answer the user.

        Args:
            listened: seconds of the stages that came before this, for the reply's `latency`.
            on_sound: hears the reply before it is shown: sample rate, 16-bit mono PCM.
        """
        del self.messages[:-MESSAGES_HELD]
        self._note("user", text)
        self._last = Reply(self, listened or {}, on_sound)
        self.on_change()
        return self._last

    def rests_on(self, frame_index: int) -> None:
        """The idle loop shows this frame now, and plays on until the next reply."""
        self._resting = (frame_index, time.monotonic())

    def first_frame_index(self) -> int:
        """The frame of the idle loop to begin a reply on now: the one that it will show when the reply is there."""
        if self._resting is None:
            return self.next_frame_index
        frame, at = self._resting
        return frame + round((time.monotonic() - at + LEAD_S) * self._fps())

    def _fps(self) -> float:
        """Frames a second of the avatar's idle loop."""
        if self._loop[0] != self.avatar:
            try:
                self._loop = self.avatar, library.avatar(self._services, self.avatar).fps or USUAL_FPS
            except CallError:  # whoever is shown next fails of it, and says so
                return USUAL_FPS
        return self._loop[1]

    def remember(self, reply: Reply, seconds: float | None = None) -> None:
        """Note what of a reply was heard: all of it, or so many seconds.

        A reply that another has followed has been noted already.
        """
        if reply is not self._last:
            return
        if self.messages and self.messages[-1].role == "assistant":
            self.messages.pop()
        heard, unheard = reply.parted(seconds)
        if heard or unheard:
            is_stopped = bool(unheard) or not reply.is_complete
            giver = {"avatar": reply.avatar, "voice": reply.voice}
            self._note("assistant", heard, **giver, unheard=unheard, is_stopped=is_stopped)
        if reply.avatar == self.avatar:
            self.next_frame_index = reply.next_frame_index
            self._resting = None
        self.on_change()

    def take_back(self, reply: Reply) -> None:
        """Forget a reply that has ended, and what it answers: the user had not said all of it."""
        if reply is not self._last:
            return
        self._last = None
        while self.messages and self.messages.pop().role == "assistant":
            pass
        self.on_change()

    def _note(self, role: str, text: str, **more: Any) -> None:
        self.messages.append(Message(role, text, round(time.time(), 3), **more))


@dataclass
class _Timeline:
    """Seconds from the start to the first time each thing happened."""

    began: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> bool:
        """Note that it happened; whether this was the first time."""
        is_first = name not in self.marks
        if is_first:
            self.marks[name] = round(time.monotonic() - self.began, 4)
        return is_first


class Reply:
    """The three overlapping calls of one reply. Iterate over it, once, for what they bring.

    Any thread may cancel it, also before it has begun; the iterator then ends. What was sent by then is remembered.
    """

    def __init__(
        self,
        conversation: Conversation,
        listened: Mapping[str, float],
        on_sound: Callable[[int, bytes], object] | None = None,
    ) -> None:
        self._talk, self._listened, self._on_sound = conversation, listened, on_sound
        self.avatar, self.voice = conversation.avatar, conversation.voice
        self._persona, self._language = conversation.persona, conversation.language
        self._llm_engine, self._tts_engine = conversation.llm_engine, conversation.tts_engine
        self._prosody: Prosody = {"rate": conversation.rate, "pitch_semitones": conversation.pitch_semitones}
        self._services = conversation._services
        self._cancelled = threading.Event()
        self._text = Channel(self._cancelled, TEXT_QUEUE_LENGTH)
        self._rate, self._audio, self._events = (Channel(self._cancelled) for _ in range(3))
        self._endings: list[Callable[[], object]] = []
        self._sentences: list[speech.SpokenSentence] = []
        self._words_told: dict[int, int] = {}  # how many of each sentence
        self._fps = USUAL_FPS
        self._sent_s = 0.0
        self.is_complete = False  # whether all of it has been sent
        self._asked = conversation.messages[-1].text
        self._written = self._apology = ""
        self._timeline = _Timeline()
        self._encoding_s = 0.0  # of the first fragment
        self._error: CallError | None = None
        self.start_frame_index = self.next_frame_index = conversation.next_frame_index
        self._idle_frames: list[int] = []  # of the idle loop, the one most like each frame
        self._told = self._tell()

    def __iter__(self) -> Iterator[Event]:
        return self._told

    def close(self) -> None:
        """Cancel it, in the thread that iterates."""
        self.cancel()
        self._told.close()

    def _tell(self) -> Generator[Event, None, None]:
        try:
            yield from self._run_calls()
        except CallError as error:
            self._error = error
            raise
        finally:
            self.cancel()
            if not self.is_complete:
                self._talk.remember(self, self._sent_s)
            self._talk.on_reply(self)

    def _run_calls(self) -> Iterator[Event]:
        for stage in (self._write, self._speak, self._show):
            threading.Thread(target=request_id.kept(self._run), args=(stage,), daemon=True).start()
        for event in self._events:
            if isinstance(event, CallError):
                raise event
            if isinstance(event, Media):
                self._sent_s = (event.frame_index + event.frame_count) / self._fps
            if isinstance(event, Done):  # remembered before anybody can go on with the talk
                self.is_complete = True
                self._talk.remember(self)
            yield event

    def cancel(self) -> None:
        """End every call that still runs."""
        self._cancelled.set()
        for end in list(self._endings):
            end()

    def _register(self, end: Callable[[], object]) -> None:
        """Note how to end a call. One that is opened after the cancelling ends at once."""
        self._endings.append(end)
        if self._cancelled.is_set():
            end()

    @property
    def outcome(self) -> str:
        """How it ended: "done", "interrupted" before all of it was sent, "timed_out" or "failed"."""
        if self._error is None:
            return "done" if self.is_complete else "interrupted"
        return "timed_out" if self._error.code == grpc.StatusCode.DEADLINE_EXCEEDED else "failed"

    @property
    def latency(self) -> dict[str, float]:
        """Seconds of each stage from the end of the user's speech or text to the first fragment; `total` is their sum.

        `vad` and `asr` are known of speech. Empty while there is no fragment, and when the dialogue did not answer.
        """
        marks = self._timeline.marks
        if not all(stage in marks for stage in STAGES):
            return {}
        stages = {**self._listened, STAGES[0]: marks[STAGES[0]]}
        stages |= {stage: marks[stage] - marks[before] for before, stage in itertools.pairwise(STAGES)}
        stages[STAGES[-1]] -= self._encoding_s
        stages |= {"encode": self._encoding_s, "total": sum(stages.values()) + self._encoding_s}
        return {stage: round(seconds, 4) for stage, seconds in stages.items()}

    @property
    def seconds_sent(self) -> float:
        """Length of what has been sent to the user."""
        return self._sent_s

    def break_off(self, seconds: float) -> None:
        """It was played so far and no farther: the dialogue is not told the rest of it.

        The idle loop goes on from the frame most like the last one shown.
        """
        if self._idle_frames:
            last = min(int(seconds * self._fps), len(self._idle_frames) - 1)
            self.next_frame_index = self._idle_frames[last] + 1
        self._talk.remember(self, seconds)

    def parted(self, seconds: float | None = None) -> tuple[str, str]:
        """What was written of it: what begins to be heard before a position, None for its end, and the rest.

        An apology is neither.
        """
        written = self._written.removesuffix(self._apology)
        end = len(written) if seconds is None else self._end_of_heard(written, seconds)
        return written[:end].strip(), written[end:].strip()

    def _end_of_heard(self, written: str, seconds: float) -> int:
        answer = itertools.takewhile(lambda sentence: sentence.text not in self._apology, list(self._sentences))
        return speech.end_of_heard(written, answer, seconds)

    def _run(self, stage: Callable[[], None]) -> None:
        if self._cancelled.is_set():
            return
        try:
            with translate():
                stage()
        except Cancelled:
            return
        except CallError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, whoever waits for the reply must learn of it
            logger.exception("a stage of a reply broke")
            self._fail(from_failure(error))

    def _fail(self, error: CallError) -> None:
        with contextlib.suppress(Cancelled):
            self._events.put(error)

    def _write(self) -> None:
        try:
            for delta in self._deltas():
                self._timeline.mark("llm_first_token")
                self._put_text(delta)
        except CallError as error:
            if error.code not in EXCUSED:
                raise
            self._apologise(error)
        self._text.end()

    def _put_text(self, text: str) -> None:
        self._written += text
        self._events.put(Delta(text))
        self._text.put(text)

    def _deltas(self) -> Iterator[str]:
        talk, settings = self._talk, self._services.settings
        messages = [
            llm_pb2.Message(
                role=llm_pb2.ROLE_USER if message.role == "user" else llm_pb2.ROLE_ASSISTANT, text=message.text
            )
            for message in talk.messages[-MESSAGES_KEPT - 1 :]
            if message.text  # of some answers nothing was heard
        ]
        request = llm_pb2.ReplyRequest(
            messages=messages, persona=self._persona, language=self._language, engine=self._llm_engine
        )
        with translate():
            call = self._services.llm.Reply(request, timeout=REPLY_TIMEOUT_S)
            self._register(call.cancel)
            deltas = (reply.delta for reply in call if reply.delta)
            first_s, next_s = settings.llm_first_word_seconds, settings.llm_next_word_seconds
            try:
                yield from deadline.in_time(deltas, call.cancel, first_s=first_s, next_s=next_s)
            except deadline.TookTooLong:
                raise _late(has_begun=bool(self._written)) from None

    def _apologise(self, error: CallError) -> None:
        """Say that there is no answer, instead of saying nothing."""
        self._events.put(Apology(error))  # unless it was we who cancelled
        self._error = error
        words = apology(self._language, self._asked)
        if self._written:
            self._put_text("\n\n")  # whatever was being said ends here
        self._apology = words
        self._put_text(words)

    def _speak(self) -> None:
        voice, language, engine = self.voice, self._language, self._tts_engine
        spoken = speech.say(self._services, self._text, voice=voice, language=language, engine=engine, **self._prosody)
        self._register(spoken.close)
        self._sentences = spoken.sentences
        self._rate.put(spoken.sample_rate)
        for event in spoken.events():
            if isinstance(event, speech.SpokenSentence):
                self._timeline.mark("first_sentence")
                self._events.put(Sentence(event.index, event.text, event.start_s))
            elif isinstance(event, bytes):
                self._timeline.mark("tts_first_audio")
                self._tell_words(spoken.sentences[-1])
                if self._on_sound:
                    self._on_sound(spoken.sample_rate, event)
                self._audio.put(render_pb2.StreamingRenderRequest(audio=event))
            else:
                self._audio.put(render_pb2.StreamingRenderRequest(closures=event))
        self._audio.end()

    def _tell_words(self, sentence: speech.SpokenSentence) -> None:
        fresh = sentence.words[self._words_told.get(sentence.index, 0) :]
        if fresh:
            self._words_told[sentence.index] = len(sentence.words)
            self._events.put(Words(sentence.index, tuple(fresh)))

    def _show(self) -> None:
        rate = next(iter(self._rate), None)
        if rate is None:  # cancelled before there was anything to show
            return
        call = self._services.render.StreamingRender(self._render_requests(rate), timeout=STREAM_TIMEOUT_S)
        self._register(call.cancel)
        end = None
        for reply in call:
            kind = reply.WhichOneof("response")
            if kind == "header":
                self._fps = reply.header.fps
                header = reply.header
                format_ = (header.media_type, header.width, header.height, header.fps, header.init_segment)
                self._events.put(MediaType(*format_, self.start_frame_index))
            elif kind == "progress":
                self._events.put(_rendering(reply.progress))
            elif kind == "fragment":
                if self._timeline.mark("render_first_fragment"):
                    self._encoding_s = reply.fragment.encoding_duration.ToTimedelta().total_seconds()
                self._idle_frames.extend(reply.fragment.idle_frame_indices)
                self._events.put(self._media(reply.fragment))
            else:
                end = reply.end
        if end is not None:  # not before the call is over: it would be cancelled while the service puts things away
            self._finish(end)

    def _render_requests(self, rate: int) -> Iterator[render_pb2.StreamingRenderRequest]:
        self.start_frame_index = self._talk.first_frame_index()
        config = render_pb2.StreamingRenderConfig(
            avatar=self.avatar,
            sample_rate_hertz=rate,
            size=self._talk.size,
            start_frame_index=self.start_frame_index,
            expression=self._talk.expression,
        )
        yield render_pb2.StreamingRenderRequest(config=config)
        yield from self._audio

    def _media(self, fragment: render_pb2.MediaFragment) -> Media:
        start_s = fragment.frame_index / self._fps
        begun = [sentence.index for sentence in self._sentences if sentence.start_s <= start_s + 1e-3]
        return Media(begun[-1] if begun else 0, fragment.data, fragment.frame_index, fragment.frame_count)

    def _finish(self, end: render_pb2.StreamingRenderEnd) -> None:
        self._timeline.mark("done")
        self.next_frame_index = end.next_frame_index
        done = Done(self._written.strip(), dict(self._timeline.marks), self.latency, end.next_frame_index)
        self._events.put(done)
        self._events.end()


def _rendering(clip: render_pb2.ClipProgress) -> Rendering:
    eta_s = clip.eta.ToTimedelta().total_seconds() if clip.HasField("eta") else None
    return Rendering(clip.stage, clip.progress, eta_s)


def _late(*, has_begun: bool) -> CallError:
    setting = "VISAVIS_LLM_NEXT_WORD_SECONDS" if has_begun else "VISAVIS_LLM_FIRST_WORD_SECONDS"
    message = f"The dialogue did not answer in time. Try again, or raise {setting}."
    return CallError(grpc.StatusCode.DEADLINE_EXCEEDED, "LLM_TIMEOUT", message, values={"setting": setting})
