"""Engines whose work an image does, on a real Docker engine with an image that behaves as theirs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest

from services.common.containers import LABEL
from services.common.errors import ServiceError
from services.tts.boxed.engine import BoxedEngine
from services.tts.engine import Prosody, Speech
from services.tts.engines import cosyvoice_app, rvc_app

RATE = 24_000
PERSON = (0.3 * np.sin(np.arange(4 * RATE) * 2 * np.pi * 150 / RATE)).astype(np.float32)
FOLDER = Path(__file__).parent / "speaking_image"
SOON_S = 60  # only ends what would hang


@pytest.fixture(scope="module")
def engine_host() -> docker.DockerClient:
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine here: {type(error).__name__}")
    return client


@pytest.fixture(scope="module")
def image(engine_host: docker.DockerClient) -> Iterator[str]:
    tag = f"visavis-speaking:{uuid.uuid4().hex[:8]}"
    engine_host.images.build(path=str(FOLDER), tag=tag, rm=True)
    yield tag
    engine_host.images.remove(tag, force=True)


@pytest.fixture
def made(image: str) -> Iterator[Callable[..., BoxedEngine]]:
    engines: list[BoxedEngine] = []

    def make(module: Any = rvc_app, **changes: Any) -> BoxedEngine:
        engine = module.Engine(module.Settings(**{"image": image, "gpu": False, **changes}))
        assert engine.lack() is None
        engine.load()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def voice(engine: BoxedEngine, folder: Path, words: str = "你好") -> Path:
    folder.mkdir(exist_ok=True)
    engine.enrol(PERSON, RATE, words, folder)
    return folder


def speak(engine: BoxedEngine, text: str, folder: Path) -> list[Speech]:
    async def collected() -> list[Speech]:
        speech = engine.synthesize(text, language=engine.languages[0], voice=folder, prosody=Prosody())
        return [piece async for piece in speech]

    return asyncio.run(collected())


def running(host: docker.DockerClient, image: str) -> list[Any]:
    return host.containers.list(filters={"ancestor": image, "label": LABEL})


def hertz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * RATE / len(samples))


def until_it_works(container: Any) -> None:
    deadline = time.monotonic() + SOON_S
    while not any("speak.py" in " ".join(row) for row in container.top()["Processes"]):
        assert time.monotonic() < deadline, "its program is not called"
        time.sleep(0.1)


def until_none(host: docker.DockerClient, image: str) -> None:
    deadline = time.monotonic() + SOON_S
    while running(host, image):
        assert time.monotonic() < deadline, "the container is still there"
        time.sleep(0.2)


def test_a_text_is_said_part_by_part_in_one_container(
    engine_host: docker.DockerClient, image: str, made: Callable[..., BoxedEngine], tmp_path: Path
) -> None:
    engine = made()
    folder = voice(engine, tmp_path / "voice")
    sentence = (
        "我们今天下午在学校的图书馆里见面，然后一起去看新的电影，看完电影以后再去吃晚饭，吃完晚饭就回家休息，明天再见。"
    )
    pieces = speak(engine, f"早上好。{sentence}", folder)
    assert len(running(engine_host, image)) == 1
    assert [piece.is_first for piece in pieces] == [True, True, *[False] * (len(pieces) - 2)]
    assert len(pieces) >= 3
    assert {piece.sample_rate for piece in pieces} == {RATE}
    assert all(hertz(piece.samples) == pytest.approx(200, rel=0.03) for piece in pieces)
    assert sum(len(piece.samples) for piece in pieces[1:]) / RATE == pytest.approx(0.1 * len(sentence), rel=0.3)
    engine.close()
    until_none(engine_host, image)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fail", "IMAGE_SPOKE_NOTHING"),
        ("half", "IMAGE_SPOKE_NOTHING"),
        ("silent", "IMAGE_SPOKE_NOTHING"),
        ("dies", "IMAGE_OUT_OF_MEMORY"),
    ],
)
def test_a_failure_is_told_and_the_next_sentence_is_said(
    made: Callable[..., BoxedEngine], tmp_path: Path, text: str, reason: str
) -> None:
    engine = made()
    folder = voice(engine, tmp_path / "voice")
    with pytest.raises(ServiceError) as caught:
        speak(engine, text, folder)
    assert caught.value.reason == reason
    assert speak(engine, "你好。", folder)


def test_what_takes_too_long_is_ended(made: Callable[..., BoxedEngine], tmp_path: Path) -> None:
    engine = made(seconds=1)
    folder = voice(engine, tmp_path / "voice")
    with pytest.raises(ServiceError) as caught:
        speak(engine, "slow", folder)
    assert caught.value.reason == "IMAGE_TIMEOUT"


def test_who_hangs_up_ends_the_work(
    engine_host: docker.DockerClient, image: str, made: Callable[..., BoxedEngine], tmp_path: Path
) -> None:
    engine = made()
    folder = voice(engine, tmp_path / "voice")

    async def leaves() -> None:
        async with aclosing(engine.synthesize("slow", language="zh", voice=folder, prosody=Prosody())) as speech:
            waiting = asyncio.ensure_future(anext(speech))
            (container,) = running(engine_host, image)
            await asyncio.to_thread(until_it_works, container)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(asyncio.wait_for(leaves(), SOON_S))
    until_none(engine_host, image)
    assert speak(engine, "你好。", folder)


def test_nothing_is_left_of_a_process_that_is_killed(engine_host: docker.DockerClient, image: str) -> None:
    program = (
        "import sys, time; from services.common.containers import Box, Image; "
        "box = Box(Image(sys.argv[1], 'test', 'SETTING')); print('up', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, image], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout
        assert child.stdout.readline() == "up\n"
        assert len(running(engine_host, image)) == 1
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    until_none(engine_host, image)


def test_a_container_that_is_removed_is_made_anew(
    engine_host: docker.DockerClient, image: str, made: Callable[..., BoxedEngine], tmp_path: Path
) -> None:
    engine = made()
    folder = voice(engine, tmp_path / "voice")
    for container in running(engine_host, image):
        container.remove(force=True)
    assert speak(engine, "你好。", folder)


def test_cosyvoice_app_is_told_the_words_and_finds_its_models(
    engine_host: docker.DockerClient, made: Callable[..., BoxedEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosyvoice_app.Engine, "models_folder", "/app/models")
    engine = made(cosyvoice_app)
    (piece,) = speak(engine, "你好。", voice(engine, tmp_path / "voice"))
    assert hertz(piece.samples) == pytest.approx(300, rel=0.03)
    with pytest.raises(ServiceError) as caught:
        speak(engine, "你好。", voice(engine, tmp_path / "wordless", ""))
    assert caught.value.reason == "WORDS_NEEDED"
    volume = engine_host.volumes.create()
    try:
        empty = made(cosyvoice_app, models=volume.name)
        with pytest.raises(ServiceError) as caught:
            speak(empty, "你好。", voice(empty, tmp_path / "voice"))
        assert caught.value.reason == "IMAGE_SPOKE_NOTHING"
        empty.close()
    finally:
        volume.remove(force=True)


def test_an_image_that_is_not_there_is_named(engine_host: docker.DockerClient) -> None:
    with pytest.raises(ServiceError) as caught:
        rvc_app.Engine(rvc_app.Settings(image="visavis-no-such-image", gpu=False)).load()
    assert caught.value.reason == "IMAGE_MISSING"
    assert caught.value.values["setting"] == "TTS_RVC_APP_IMAGE"
