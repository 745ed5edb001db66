from __future__ import annotations

from pathlib import Path

import pytest

from gateway.door import sign_ins
from gateway.door.sign_ins import SignIns

TOKEN = "open sesame, open sesame"


def test_they_outlive_the_gateway_but_not_the_token(tmp_path: Path) -> None:
    path = tmp_path / "sign_ins.json"
    value = SignIns(path, TOKEN, 1).begin()
    assert SignIns(path, TOKEN, 1).is_valid(value)
    assert not SignIns(path, TOKEN + "!", 1).is_valid(value)


def test_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SignIns(tmp_path / "sign_ins.json", TOKEN, 1)
    value, other = kept.begin(), kept.begin()
    kept.end(value)
    assert not kept.is_valid(value) and kept.is_valid(other)
    later = sign_ins.time.time() + 24 * 3600 + 1
    monkeypatch.setattr(sign_ins.time, "time", lambda: later)
    assert not kept.is_valid(other)


def test_the_file_opens_nothing_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "sign_ins.json"
    value = SignIns(path, TOKEN, 1).begin()
    stored = path.read_text()
    assert value not in stored and TOKEN not in stored
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damaged", ["", "{", "[]", "null", '{"a": "b"}', '{"a": null}'])
def test_a_damaged_file_asks_for_signing_in_again(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "sign_ins.json"
    path.write_text(damaged)
    kept = SignIns(path, TOKEN, 1)
    assert kept.is_valid(kept.begin())


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 3)
    kept = SignIns(tmp_path / "sign_ins.json", TOKEN, 1)
    values = [kept.begin() for _ in range(4)]
    assert [kept.is_valid(value) for value in values] == [False, True, True, True]
