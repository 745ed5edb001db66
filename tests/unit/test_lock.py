"""The lock and pyproject.toml agree; when they do not, it is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def check(tmp_path: Path):
    """What the check says of a copy in which a text has been replaced."""
    for name in ("lock", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run(file: str = "pyproject.toml", before: str = "", after: str = "") -> tuple[int, str]:
        text = (tmp_path / file).read_text()
        assert before in text
        (tmp_path / file).write_text(text.replace(before, after, 1))
        done = subprocess.run(
            [sys.executable, tmp_path / "tools" / "lock", "--check"], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_lock_is_that_of_this_project(check) -> None:
    assert check() == (0, "")


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("pyproject.toml", '"flask>=3.1,<4"', '"flask>=3.2,<4"', "pyproject.toml has changed"),
        ("pyproject.toml", '    "jiwer>=4",', "", "pyproject.toml has changed"),
        ("lock/asr.txt", " \\\n", "\n", "asr.txt: no hash for"),
        ("lock/llm.txt", "\n", "\n--index-url https://example.org/simple\n", "llm.txt names an address"),
    ],
)
def test_what_does_not_agree_is_told_with_the_remedy(check, file: str, before: str, after: str, told: str) -> None:
    status, said = check(file, before, after)
    assert status == 1 and told in said and "make lock" in said
