"""Nobody else on the machine can read what the running stack keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.e2e


def test_all_data_is_its_users_only(stack: Any, tmp_path: Path) -> None:
    assert stack.data.stat().st_mode & 0o777 == 0o700, "it was there before, and open"
    made = stack.visavis("generate", "--avatar", "Vera", "--text", "Good day.", "--output", str(tmp_path / "day.mp4"))
    assert made.returncode == 0, made.stderr
    with httpx.Client(base_url=stack.url, timeout=stack.start_timeout_s) as client:
        client.post("/api/v1/chats", json={"avatar": "Vera"}).raise_for_status()
        client.post("/save_audio", files={"audio": ("a.wav", b"RIFF")}).raise_for_status()
    kept = [path for path in stack.data.rglob("*") if path != stack.output]
    assert any(path.suffix == ".mp4" for path in kept), "the job's result is among them"
    assert [str(path.relative_to(stack.data)) for path in kept if path.stat().st_mode & 0o077] == []
