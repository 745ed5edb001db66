"""An utterance that is sent as a whole when it is over."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Generator, Iterator

from services.asr.engine import SAMPLE_RATE, Hypothesis, Recognition
from services.common.errors import ServiceError
from services.common.line import Line
from services.common.provider import NOT_BEGUN

Ask = Callable[[bytes, Line], Generator[str, None, Hypothesis]]
"""Sends 16 kHz PCM over a line; yields the text as it becomes known, and returns what was heard."""

LIVE_PAUSES_S = (0.3,)
RECORDED_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Together a minute, by which limits of requests are counted."""


class Sent(Recognition):
    """One utterance. Nothing is known of it before it is over.

    Args:
        pauses_s: before it is sent again to a provider that did no work on it.
        answer_s: until the whole answer must be there.
    """

    def __init__(self, ask: Ask, pauses_s: tuple[float, ...], answer_s: float) -> None:
        self._ask, self._pauses_s, self._answer_s = ask, pauses_s, answer_s
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
                pause_s = next(pauses_s, None)
                if error.reason not in NOT_BEGUN or pause_s is None:
                    raise
                self._line.wait(pause_s)

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
