"""A text spoken by a server, sentence by sentence."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from services.tts import sentences
from services.tts.engine import Speech
from services.tts.remote.settings import SpeakerFailures
from services.tts.remote.sound import Decoder, heard

Ask = Callable[[str], AsyncGenerator[bytes, None]]
"""Has a sentence spoken; yields the sound as it comes."""


async def spoken(text: str, ask: Ask, rate: int, failures: SpeakerFailures) -> AsyncGenerator[Speech, None]:
    """Pieces as the server sends them, at `rate`, which is also that of sound without a header.

    Raises:
        InvalidInput: there is nothing to say.
        Unavailable, Busy: as `ask`, or what comes is no sound.
    """
    index = -1
    for index, sentence in enumerate(sentences.split(text)):
        is_first = True
        async with aclosing(heard(ask(sentence), Decoder(rate, rate, failures), failures)) as pieces:
            async for samples in pieces:
                yield Speech(samples, rate, index, sentence, is_first=is_first)
                is_first = False
    if index < 0:
        raise failures.nothing_to_say()
