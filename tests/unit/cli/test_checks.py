"""What the doctor sees."""

from __future__ import annotations

import socket
from collections import namedtuple
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli.checks import installation, machine, running
from cli.checks.finding import Level
from cli.settings import LocalSettings
from client.services import NAMES, Services
from client.settings import ClientSettings

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
