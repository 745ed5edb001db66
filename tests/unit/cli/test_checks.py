"""What the doctor sees."""

from __future__ import annotations

import socket
from collections import namedtuple
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from visavis.common.v1 import error_pb2, info_pb2

from cli.checks import engines, installation, machine, models, running
from cli.checks.finding import Level
from cli.settings import LocalSettings
from client import library
from client.wire.errors import CallError
from client.wire.services import NAMES, Services
from client.wire.settings import ClientSettings

Usage = namedtuple("Usage", "total used free")


def test_what_is_installed_satisfies_its_own_requirement() -> None:
    assert installation._complaint(Requirement("grpcio>=1.60")) == ""


@pytest.mark.parametrize(
    ("requirement", "words"),
    [("grpcio<1", "grpcio is 1."), ("no-such-package-of-ours>=2", "no-such-package-of-ours is missing")],
)
def test_what_is_missing_or_old_is_named(requirement: str, words: str) -> None:
    assert words in installation._complaint(Requirement(requirement))


def test_the_stubs_are_there() -> None:
    assert installation._stubs().level is Level.GOOD


@pytest.mark.parametrize(("free", "level"), [(0.5, Level.MISSING), (3, Level.WARNING), (50, Level.GOOD)])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, level: Level) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(100, 0, free * machine.GIB))
    assert machine._disk(tmp_path / "not" / "yet").level is level


def test_a_missing_font_comes_with_its_command() -> None:
    finding = machine._font("letters", ("no-such-font.ttf",), "fonts-of-ours")
    assert finding.level is Level.WARNING
    assert finding.remedy == "sudo apt-get install fonts-of-ours"


def test_recommended_models_that_are_not_here_are_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path))
    found = {finding.subject: finding for finding in models.findings()}
    missing = found["model: smart-turn"]
    assert (missing.level, missing.remedy) == (Level.NOTE, "visavis models pull smart-turn")
    assert "whether a speaker has finished" in missing.text
    assert "model: whisper-tiny.en" not in found


def _engine(state: int, lack: error_pb2.Error | None, remedy: str) -> library.Engine:
    told = info_pb2.EngineInfo(name="portrait", state=state, lack=lack, remedy=remedy)
    (engine,) = library.described(info_pb2.ServiceInfo(default_engine="portrait", engines=[told]))
    return engine


@pytest.mark.parametrize(
    ("state", "lack", "level", "text"),
    [
        (info_pb2.ENGINE_STATE_READY, "", Level.GOOD, "ready, the default"),
        (info_pb2.ENGINE_STATE_READY, "It hears little.", Level.NOTE, "ready, the default. It hears little."),
        (info_pb2.ENGINE_STATE_MISSING, "It needs a key.", Level.MISSING, "It needs a key."),
    ],
)
def test_what_an_engine_lacks_and_what_it_would_be_better_with(state: int, lack: str, level: Level, text: str) -> None:
    engine = _engine(state, error_pb2.Error(reason="LACK", message=lack) if lack else None, "Get it." if lack else "")
    finding = engines._finding("render", engine)
    assert (finding.level, finding.text, finding.remedy) == (level, text, "Get it." if lack else "")
    if state == info_pb2.ENGINE_STATE_READY:
        engine.check_usable("engine")
    else:
        with pytest.raises(CallError, match="It needs a key. Get it."):
            engine.check_usable("engine")


@pytest.fixture
def addresses() -> ClientSettings:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    names = {f"{name}_address": f"127.0.0.1:{one.getsockname()[1]}" for name, one in zip(NAMES, sockets, strict=True)}
    for one in sockets:
        one.close()
    return ClientSettings(**names)


def _findings(addresses: ClientSettings, tmp_path: Path) -> list:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        local = LocalSettings(gateway_port=probe.getsockname()[1])
    services = Services(addresses)
    try:
        return list(running.findings(local, addresses, services, tmp_path))
    finally:
        services.close()


def test_nothing_running_is_no_fault(addresses: ClientSettings, tmp_path: Path) -> None:
    (finding,) = _findings(addresses, tmp_path)
    assert finding.level is Level.NOTE
    assert finding.remedy == "visavis up"


def test_a_port_held_by_a_stranger_is(addresses: ClientSettings, tmp_path: Path) -> None:
    port = int(addresses.tts_address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        (finding,) = _findings(addresses, tmp_path)
    assert finding.level is Level.MISSING
    assert f"Port {port}, which tts needs, is taken" in finding.text
