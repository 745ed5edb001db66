"""A registered voice that ZipVoice clones in sherpa-onnx, through the speech service as its callers call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from visavis.tts.v1 import tts_pb2

from services.common.audio import from_pcm
from tests import tiny_voices
from tests.contract.test_tts import NAME, Call, call, recording, refused, register, say, settings, spoken
from tests.speakers import hertz

__all__ = ["call", "settings"]  # fixtures


def test_a_registered_voice_is_cloned_once_its_words_are_known(call: Call, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    model = tiny_voices.zipvoice(tmp_path / "model")

    async def work(stub: Any) -> Any:
        await stub.CreateVoice(register(recording("f3"), transcript=""), timeout=60)
        wordless = await refused(stub.StreamingSynthesize(say("Good morning.", voice=NAME), timeout=60))
        words = tts_pb2.SetVoiceTranscriptRequest(name=NAME, transcript="hello there")
        await stub.SetVoiceTranscript(words, timeout=60)
        return wordless, await spoken(stub, say("Good morning. How are you?", voice=NAME))

    wordless, (header, *replies) = call(work, engine="sherpa", engines={"sherpa": {"model": str(model)}})
    assert wordless[1:] == ("WORDS_NEEDED", "config.voice")
    rate = header.header.sample_rate_hertz
    assert rate == 24_000
    assert [reply.sentence.text for reply in replies if reply.HasField("sentence")] == ["Good morning.", "How are you?"]
    heard = from_pcm(b"".join(reply.audio.pcm for reply in replies))
    assert np.abs(heard).max() > 0.1
    assert hertz(heard[: rate // 2], rate) == pytest.approx(tiny_voices.HERTZ, rel=0.03)
