"""`visavis models` and what `make run` asks, as somebody types it: the command itself, a real server, a real folder."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.model_server import ModelServer, running_model_server
from tests.unit.models.conftest import CONTENTS, write_catalogue

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server that has the model `little`."""
    with running_model_server() as says:
        says.files = {f"/owner/name/resolve/main/{path}": data for path, data in CONTENTS.items()}
        yield says


@pytest.fixture
def environment(server: ModelServer, tmp_path: Path) -> dict[str, str]:
    """In which `little` is the only model that is recommended and can be had, and there is no package index."""
    own = write_catalogue(tmp_path / "own.toml", recommended=True)
    others = ("whisper-base", "piper-en-us-joe", "smart-turn", "silero-vad")
    own.write_text(own.read_text() + "".join(map(UNREACHABLE.format, others)))
    return {
        **os.environ,
        "VISAVIS_MODELS_FOLDER": str(tmp_path / "models"),
        "VISAVIS_MODELS_CATALOGUE": str(own),
        "VISAVIS_MODELS_HUGGINGFACE_URL": server.url,
        "COLUMNS": "200",
    }


UNREACHABLE = """
[{0}]
purpose.en = "Replaced."
licence = "MIT"
[[{0}.files]]
path = "x"
size = 1
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[[{0}.sources]]
kind = "huggingface"
repository = "nobody/here"
"""


@pytest.fixture
def visavis(environment: dict[str, str]) -> Run:
    """Run the command."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "models", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_a_model_is_listed_pulled_verified_and_removed(visavis: Run, tmp_path: Path) -> None:
    assert "little" in visavis().stdout
    pulled = visavis("pull", "little")
    assert pulled.returncode == 0 and "little is here." in pulled.stdout
    (told,) = [one for one in json.loads(visavis("list", "--json").stdout) if one["name"] == "little"]
    assert (told["state"], told["licence"], told["size_bytes"]) == ("whole", "MIT", sum(map(len, CONTENTS.values())))
    assert visavis("verify").stdout == "little: right\n"
    (tmp_path / "models/little/config.json").write_text('{"layers": 3}')
    damaged = visavis("verify", "little")
    assert damaged.returncode == 1 and "damaged: config.json" in damaged.stdout
    assert "visavis models pull little" in damaged.stderr
    removed = visavis("remove", "little")
    assert "freed" in removed.stdout and not (tmp_path / "models/little").exists()


def test_one_is_imported(visavis: Run, tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    for number, data in enumerate(CONTENTS.values()):
        (tmp_path / "usb" / f"file-{number}").write_bytes(data)
    assert visavis("import", str(tmp_path / "usb")).stdout == "little: is here\n"
    again = visavis("import", str(tmp_path / "usb"))
    assert again.returncode == 1 and "Nothing in there" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("pull", "nonsense"), "There is no model 'nonsense'. Known are: "),
        (("pull", "whisper-base"), "nobody/here does not have it (HTTP 404)"),
        (("remove", "nonsense"), "There is no model 'nonsense'"),
        (("import", "/nowhere"), "does not exist"),
        (("pull",), "Missing argument"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(visavis: Run, arguments: tuple[str, ...], told: str) -> None:
    failed = visavis(*arguments)
    assert failed.returncode and told in failed.stderr and "Traceback" not in failed.stderr


def test_one_that_cannot_be_had_keeps_none_from_coming(visavis: Run) -> None:
    failed = visavis("pull", "whisper-base", "little")
    assert failed.returncode == 1 and "little is here." in failed.stdout and "whisper-base" in failed.stderr


# What `make run` asks

OFFER = """
import sys
from cli.offer import offer
from cli.screen import console
from models.folder import ModelFolder
offer(sys.argv[1], ModelFolder.here(), console())
print("goes on")
"""


def offered(environment: dict[str, str], choice: str) -> str:
    """What is said without a terminal."""
    command = [sys.executable, "-c", OFFER, choice]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def asked(environment: dict[str, str], answer: str) -> str:
    """What is said at a terminal at which somebody types an answer."""
    here, there = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", OFFER, "ask"], env=environment, stdin=there, stdout=there, stderr=there, close_fds=True
    )
    os.close(there)
    os.write(here, answer.encode())
    said = b""
    while child.poll() is None or b"goes on" not in said:
        try:
            said += os.read(here, 4096)
        except OSError:  # the other end is closed
            break
    assert child.wait(60) == 0
    os.close(here)
    return said.decode()


def is_here(environment: dict[str, str]) -> bool:
    return (Path(environment["VISAVIS_MODELS_FOLDER"]) / "little" / "model.bin").exists()


def test_without_a_terminal_nobody_is_asked_and_nothing_is_fetched(environment: dict[str, str]) -> None:
    said = offered(environment, "ask")
    assert "little" in said and "MODELS=little make run" in said and said.count("\n") == 2
    assert said.endswith("goes on\n") and not is_here(environment)


def test_who_agrees_gets_it_and_is_not_asked_again(environment: dict[str, str]) -> None:
    said = asked(environment, "y\n")
    assert "720 kB, less than a minute at 20 Mbit/s. Get it now? [Y/n]" in said and "goes on" in said
    assert is_here(environment)
    assert offered(environment, "ask") == "goes on\n"


def test_who_declines_is_not_asked_again(environment: dict[str, str]) -> None:
    said = asked(environment, "n\n")
    assert "visavis models pull little" in said and not is_here(environment)
    assert "?" not in asked(environment, "")


@pytest.mark.parametrize(("choice", "comes"), [("none", False), ("little", True), ("all", True)])
def test_a_choice_is_followed_without_a_question(environment: dict[str, str], choice: str, comes: bool) -> None:
    environment |= {"PIP_NO_INDEX": "1", "VISAVIS_MODELS_MODELSCOPE_URL": "http://127.0.0.1:9"}
    said = offered(environment, choice)
    assert said.endswith("goes on\n") and "?" not in said
    assert is_here(environment) == comes


def test_where_nothing_can_be_reached_it_goes_on(environment: dict[str, str]) -> None:
    environment["VISAVIS_MODELS_HUGGINGFACE_URL"] = "http://127.0.0.1:9"
    said = offered(environment, "little")
    assert "Going on without: The model little could not be had: 127.0.0.1:9/owner/name cannot be reached" in said
    assert said.endswith("goes on\n")


def test_a_wrong_choice_or_catalogue_keeps_nothing_from_starting(environment: dict[str, str], tmp_path: Path) -> None:
    assert "There is no model 'nonsense'" in offered(environment, "nonsense")
    (tmp_path / "own.toml").write_text("[little]")
    said = offered(environment, "ask")
    assert "own.toml is wrong: little.purpose" in said and said.endswith("goes on\n")
