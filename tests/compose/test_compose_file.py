"""What the containers are given, as Compose itself reads the files; no container runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.compose.conftest import ROOMS, ROOT, compose_command

pytestmark = pytest.mark.compose
SERVICES = ROOMS - {"gateway"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what is read, to be changed."""
    for name in ("compose.yaml", "engines.env"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def given(folder: Path, **shell: str) -> dict[str, str]:
    """Per service, its part of the file as Compose resolves it."""
    command = compose_command()
    if not command:
        pytest.skip("no Compose here")
    engines = ("ASR_", "LLM_", "TTS_", "RENDER_", "TRAIN_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(engines)} | shell
    done = subprocess.run([*command, "config"], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    services = re.search(r"^services:\n(.*?)(?=^\S|\Z)", done.stdout, re.S | re.M)[1]
    parts = re.split(r"^  (\w+):\n", services, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_what_the_readme_says_of_the_shell_is_true(folder: Path) -> None:
    told = given(folder, LLM_ENGINE="zhipu", LLM_API_KEY="from the shell")
    assert set(told) == ROOMS
    for service in SERVICES:
        assert "LLM_API_KEY: from the shell" in told[service] and "LLM_ENGINE: zhipu" in told[service]
    assert not re.search(r"^\s+LLM_", told["gateway"], re.M)


def test_any_variable_of_any_engine_is_handed_on_without_being_named_in_the_compose_file(folder: Path) -> None:
    with (folder / "engines.env").open("a") as file:
        file.write("TTS_COSYVOICE_STEPS=7\nASR_WHISPER_KEY\n")
    (folder / ".env").write_text("ASR_WHISPER_KEY=kept apart\n")
    told = given(folder)
    for service in SERVICES:
        assert re.search(r"TTS_COSYVOICE_STEPS: ['\"]?7\b", told[service])
        assert "ASR_WHISPER_KEY: kept apart" in told[service]


def test_what_nobody_sets_is_not_set(folder: Path) -> None:
    values = re.findall(r"^\s+(?:ASR|LLM|TTS|TRAIN)_\w+: (\S+)", "".join(given(folder).values()), re.M)
    assert set(values) <= {"null"}


def test_one_service_writes_the_models_and_those_that_need_them_read_them(folder: Path) -> None:
    told = given(folder)
    ways = {
        name: re.search(r"models:/models(:r[ow])?|target: /models(?:\n\s+read_only: (true))?", part)
        for name, part in told.items()
    }
    assert {name for name, way in ways.items() if way} == {"asr", "tts", "render", "train"}
    assert [name for name, way in ways.items() if way and not {":ro", "true"} & set(way.groups())] == ["train"]
