"""What the commands refuse before they call anyone, and how a refusal reads."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from cli.main import cli
from cli.report import report_card
from cli.screen import explain
from cli.train import train

COMMANDS = ("up", "train", "generate", "chat", "say", "transcribe", "evaluate", "avatars", "voices", "jobs", "doctor")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    for name in ("ASR", "LLM", "TTS", "RENDER", "TRAIN"):
        monkeypatch.setenv(f"VISAVIS_{name}_ADDRESS", address)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["avatars"],
        ["voices", "list"],
        ["jobs"],
        ["say", "Hello.", "-o", "never.wav"],
        ["say", "-", "-o", "never.wav"],
        ["chat", "--avatar", "Ann"],
        ["generate", "--avatar", "Ann", "--text", "Hi.", "-o", "never.mp4"],
        ["generate", "--avatar", "Ann", "--text", "-", "-o", "never.mp4"],
    ],
)
def test_services_that_are_down_are_a_sentence_not_a_trace(nobody, arguments: list[str]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "A service cannot be reached" in result.output
    assert "Traceback" not in result.output
    assert not Path("never.wav").exists()


def test_generate_wants_audio_or_text() -> None:
    result = _run("generate", "--avatar", "Ann", "-o", "out.mp4")
    assert result.exit_code == 2
    assert "Give either --audio or --text" in result.output


def test_a_parameter_has_a_name_and_a_value(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    result = _run("train", str(video), "--name", "A", "--consent-by", "A", "--param", "quality")
    assert result.exit_code == 2
    assert "'quality' is not of the form name=value" in result.output


def test_a_job_of_no_kind(nobody) -> None:
    result = _run("jobs", "watch", "nonsense")
    assert result.exit_code == 2
    assert "There is no such job." in result.output


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("consent.given_by", " (--consent-by)"),
        ("params.quality", " (--param quality)"),
        ("recording", " (VIDEO)"),
        ("name", " (--name)"),
        ("webvtt", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_field_is_shown_as_what_was_typed(field: str | None, shown: str) -> None:
    assert explain("Wrong.", field, train) == f"Wrong.{shown}"


def test_the_report_card_stands_beside_its_baselines() -> None:
    report = {
        "metrics": {"lmd_px": 2.13, "psnr": 39.29, "new_metric": 1.0, "frames": "267"},
        "baselines": {"static_mouth": {"psnr": 32.28, "lmd_px": 4.58}},
    }
    screen = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    screen.print(report_card(report))
    rows = [line.split() for line in screen.export_text().splitlines()]
    assert rows[0][-3:] == ["result", "static", "mouth"]
    assert rows[1][-2:] == ["39.290", "32.280"]
    assert rows[2][-2:] == ["2.130", "4.580"]
    assert rows[3] == ["new", "metric", "1.000"]


def test_the_report_card_of_a_failed_training_fits_a_terminal() -> None:
    worst = {name: -999.999 for name in ("psnr", "lmd_centred_iod", "aperture_std_ratio")} | {"lag_ms": -1000.0}
    names = ("closed_mouth", "looped_mouth", "mean_crop", "true_shapes")
    screen = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    screen.print(report_card({"metrics": worst, "baselines": dict.fromkeys(names, worst)}))
    header = screen.export_text().splitlines()[0]
    assert all(name.replace("_", " ") in header for name in names)
