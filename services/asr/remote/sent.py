"""An utterance that is sent as a whole when it is over."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Generator, Iterator

from services.asr.engine import SAMPLE_RATE, Hypothesis, Recognition
from services.common.errors import ServiceError
from services.common.line import Line
from services.common.provider import pause_s

Ask = Callable[[bytes, Line], Generator[str, None, Hypothesis]]
"""Sends 16 kHz PCM over a line; yields the text as it becomes known, and returns what was heard."""

LIVE_PAUSES_S = (0.3,)
RECORDED_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Together a minute, by which limits of requests are counted."""
LIVE_PATIENCE_S, RECORDED_PATIENCE_S = 2.0, 60.0
"""The longest that a provider may ask to wait; whoever speaks is told sooner that it takes no more."""


class Sent(Recognition):
    """One utterance. Nothing is known of it before it is over.

    Args:
        answer_s: until the whole answer must be there.
        is_live: whether somebody who speaks waits for it.
    """

    def __init__(self, ask: Ask, answer_s: float, *, is_live: bool) -> None:
        self._ask, self._answer_s = ask, answer_s
        self._pauses_s = LIVE_PAUSES_S if is_live else RECORDED_PAUSES_S
        self._patience_s = LIVE_PATIENCE_S if is_live else RECORDED_PATIENCE_S
        self._pcm = bytearray()
        self._line = Line()
        self._heard: Hypothesis | None = None

    def feed(self, pcm: bytes) -> str:
        self._pcm += pcm
        return ""

    def finishing(self) -> Iterator[str]:
        pauses_s = iter(self._pauses_s)
        while self._pcm and self._heard is None and not self._line.hung_up:
            try:
                with self._line.at_most(self._answer_s):
                    self._heard = yield from self._ask(bytes(self._pcm), self._line)
            except ServiceError as error:
                wait_s = pause_s(error, next(pauses_s, None), self._patience_s)
                if wait_s is None:
                    raise
                self._line.wait(wait_s)

    def finish(self) -> Hypothesis:
        for _ in self.finishing():
            pass
        return self._heard or Hypothesis("")

    def interrupt(self) -> None:
        self._line.hang_up()


def as_wav(pcm: bytes) -> tuple[str, bytes, str]:
    """16 kHz mono PCM as the file of a form: its name, its bytes and what they are."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return "speech.wav", target.getvalue(), "audio/wav"
