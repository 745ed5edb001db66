"""Which processes make up Visavis here, and what each is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.local.programs import programs, reachable
from cli.settings import LocalSettings
from client.wire.settings import ClientSettings

DATA = Path("/srv/visavis")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISAVIS_STORAGE_URL", "VISAVIS_DATABASE_URL", "VISAVIS_MODELS_FOLDER", "GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GATEWAY_HOST", raising=False)


def test_five_services_and_the_page() -> None:
    found = programs(LocalSettings(), ClientSettings(), DATA)
    assert [(one.name, one.module, one.port) for one in found] == [
        ("asr", "services.asr", 50051),
        ("llm", "services.llm", 50052),
        ("tts", "services.tts", 50053),
        ("render", "services.render", 50054),
        ("train", "services.train", 50055),
        ("gateway", "gateway", 5001),
    ]


def test_everyone_shares_the_data_folder() -> None:
    for one in programs(LocalSettings(), ClientSettings(), DATA):
        assert one.environment["VISAVIS_STORAGE_URL"] == "file:///srv/visavis"
        assert one.environment["VISAVIS_DATABASE_URL"] == "sqlite:////srv/visavis/jobs.sqlite"
        assert one.environment["VISAVIS_WORK_FOLDER"] == "/srv/visavis/work"
        assert one.environment["VISAVIS_MODELS_FOLDER"] == "/srv/visavis/models"


def test_storage_and_database_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_STORAGE_URL", "s3://bucket/visavis")
    monkeypatch.setenv("VISAVIS_DATABASE_URL", "postgresql://db/visavis")
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", "/mnt/models")
    one = programs(LocalSettings(), ClientSettings(), DATA)[0]
    assert one.environment["VISAVIS_STORAGE_URL"] == "s3://bucket/visavis"
    assert one.environment["VISAVIS_DATABASE_URL"] == "postgresql://db/visavis"
    assert one.environment["VISAVIS_MODELS_FOLDER"] == "/mnt/models"


def test_a_service_listens_where_callers_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_TTS_ADDRESS", "127.0.0.1:6003")
    tts = programs(LocalSettings(), ClientSettings(), DATA)[2]
    assert (tts.port, tts.environment["TTS_PORT"], tts.environment["TTS_HOST"]) == (6003, "6003", "127.0.0.1")


@pytest.mark.parametrize("address", ["10.0.0.7:50054", "gpu-box:50054", "dns:///render:50054"])
def test_a_service_on_another_machine_is_used_not_started(address: str) -> None:
    render = programs(LocalSettings(), ClientSettings(render_address=address), DATA)[3]
    assert not render.is_here
    assert render.address == address


def test_the_option_wins_over_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "6001")
    assert programs(LocalSettings(), ClientSettings(), DATA)[-1].port == 6001
    gateway = programs(LocalSettings(), ClientSettings(), DATA, port=7001)[-1]
    assert gateway.environment["GATEWAY_PORT"] == "7001"


def test_without_the_page() -> None:
    assert len(programs(LocalSettings(), ClientSettings(), DATA, with_gateway=False)) == 5


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("10.0.0.7", "10.0.0.7")])
def test_an_address_that_a_browser_can_open(host: str, shown: str) -> None:
    assert reachable(host) == shown


def test_everyone_is_told_where_the_others_are() -> None:
    addresses = ClientSettings(tts_address="127.0.0.1:6003", asr_address="gpu-box:50051")
    for one in programs(LocalSettings(), addresses, DATA):
        if one.is_here:
            assert one.environment["VISAVIS_TTS_ADDRESS"] == "127.0.0.1:6003"
            assert one.environment["VISAVIS_ASR_ADDRESS"] == "gpu-box:50051"
