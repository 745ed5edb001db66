"""A program whose settings are wrong ends, and says which; of their values nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from basics.startup import WRONG_SETTINGS


@pytest.mark.parametrize(
    ("program", "name", "value", "told"),
    [
        ("gateway", "GATEWAY_TOKEN", "s3cret", "GATEWAY_TOKEN is too short: give at least 16 characters."),
        ("gateway", "GATEWAY_PORT", "s3cret", "GATEWAY_PORT is wrong: Input should be a valid integer"),
        ("gateway", "GATEWAY_HOST", "0.0.0.0", "The gateway on 0.0.0.0 is open to others: set GATEWAY_TOKEN."),
        ("services.llm", "LLM_PORT", "s3cret", "LLM_PORT is wrong: Input should be a valid integer"),
        ("services.llm", "LLM_ENGINES", "s3cret", 'field "engines"'),
    ],
)
def test_a_wrong_setting_ends_it(program: str, name: str, value: str, told: str) -> None:
    kept = {key: val for key, val in os.environ.items() if not key.startswith(("GATEWAY_", "LLM_"))}
    command = [sys.executable, "-m", program, *(["--engines"] if "." in program else [])]
    ended = subprocess.run(command, env=kept | {name: value}, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == WRONG_SETTINGS
    assert told in ended.stderr
    assert "s3cret" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
