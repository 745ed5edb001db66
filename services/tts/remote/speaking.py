"""A text spoken by a server, sentence by sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from services.common.errors import ServiceError
from services.common.provider import pause_s
from services.tts import sentences, timing
from services.tts.engine import Speech
from services.tts.remote.settings import SpeakerFailures
from services.tts.remote.sound import Decoder, heard

Ask = Callable[[str], AsyncGenerator[bytes, None]]
"""Has a sentence spoken; yields the sound as it comes."""

_PAUSES_S = (0.3,)
"""Before a server is asked again that did no work on a sentence."""
_PATIENCE_S = 3.0
"""The longest that it can make a listener wait for that."""


async def spoken(
    text: str, ask: Ask, rate: int, failures: SpeakerFailures, speed: float = 1.0
) -> AsyncGenerator[Speech, None]:
    """Pieces as the server sends them, at `rate`, which is also that of sound without a header; then a pause.

    Args:
        speed: by which the pauses are shorter.

    Raises:
        InvalidInput: there is nothing to say.
        Unavailable, Busy: as `ask`, or what comes is no sound.
    """
    index = -1
    for index, sentence in enumerate(sentences.split(text)):
        is_first = True
        async with aclosing(heard(_asked(ask, sentence), Decoder(rate, rate, failures), failures)) as pieces:
            async for samples in pieces:
                yield Speech(samples, rate, index, sentence, is_first=is_first)
                is_first = False
        pause = timing.silence(timing.pause_s(sentence) / speed, rate)
        yield Speech(pause, rate, index, sentence, is_first=False)
    if index < 0:
        raise failures.nothing_to_say()


async def _asked(ask: Ask, sentence: str) -> AsyncGenerator[bytes, None]:
    """Once more, where the server could not be reached or had too much to do."""
    pauses_s, has_begun = iter(_PAUSES_S), False
    while True:
        try:
            async with aclosing(ask(sentence)) as pieces:
                async for piece in pieces:
                    has_begun = True
                    yield piece
            return
        except ServiceError as error:
            wait_s = None if has_begun else pause_s(error, next(pauses_s, None), _PATIENCE_S)
            if wait_s is None:
                raise
        await asyncio.sleep(wait_s)
