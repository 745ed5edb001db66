"""What images that speak are given, and what is said where there are none."""

from __future__ import annotations

import asyncio

import pytest

from services.common.errors import ServiceError, Unavailable
from services.tts.boxed.chunks import MOST, chunks
from services.tts.engine import Prosody
from services.tts.engines.rvc_app import Engine, Settings


@pytest.mark.parametrize(
    "sentence",
    [
        "你好。",
        "我们今天下午在学校的图书馆里见面，然后一起去看新的电影，看完电影以后再去吃晚饭，吃完晚饭就回家休息，明天再见。",
        "She asked her father why the birds fly south in winter, and he told her a long story about the wind.",
        "x" * 130,
        "没有标点" * 30,
        "他说 hello, how are you today, my friend，然后就走了，再也没有回来过，一直到很多年以后的今天。",
    ],
)
def test_no_part_is_longer_than_an_image_takes_and_nothing_is_lost(sentence: str) -> None:
    parts = chunks(sentence)
    assert all(0 < len(part) <= MOST for part in parts)
    assert "".join("".join(parts).split()) == "".join(sentence.split())


def test_it_is_cut_where_one_would_breathe() -> None:
    parts = chunks("I opened the window of my old room, looked at the street, and saw nobody there.")
    assert parts == ["I opened the window of my old room,", "looked at the street, and saw nobody there."]


def test_no_image_is_told_with_the_setting() -> None:
    lack = Engine(Settings()).lack()
    assert lack
    assert (lack.code, lack.values) == ("IMAGE_UNNAMED", {"setting": "TTS_RVC_APP_IMAGE"})


def test_no_docker_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        Engine(Settings(image="rvc-app")).load()
    assert caught.value.reason == "DOCKER_UNREACHABLE"


def test_it_has_no_voice_of_its_own() -> None:
    engine = Engine(Settings(image="rvc-app"))
    with pytest.raises(ServiceError) as caught:
        asyncio.run(anext(engine.synthesize("你好。", language="zh", voice=None, prosody=Prosody())))
    assert caught.value.reason == "NO_OWN_VOICE"
