from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common import private
from services.common.settings import ServiceSettings


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def settings(folder: Path) -> ServiceSettings:
    database = f"sqlite:///{folder / 'jobs.sqlite'}"
    return ServiceSettings(storage_url=folder.as_uri(), database_url=database, work_folder=folder / "work")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_data_from_before_is_closed_and_what_is_made_later_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "work").mkdir(parents=True)
    (folder / "jobs.sqlite").write_bytes(b"")
    assert [mode(path) for path in (folder, folder / "work", folder / "jobs.sqlite")] == [0o755, 0o755, 0o644]
    private.keep(settings(folder))
    (folder / "new").write_bytes(b"")
    paths = (folder, folder / "work", folder / "jobs.sqlite", folder / "new")
    assert [mode(path) for path in paths] == [0o700, 0o700, 0o600, 0o600]


def test_a_folder_that_all_share_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private.keep(settings(tmp_path))
    assert mode(tmp_path) == 0o1777


def test_nothing_is_made_that_is_not_there(tmp_path: Path) -> None:
    private.keep(settings(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_storage_elsewhere_is_none_of_ours(tmp_path: Path) -> None:
    away = {"storage_url": "memory://x", "database_url": "postgresql://nowhere/x"}
    private.keep(ServiceSettings(work_folder=tmp_path, **away))
    assert mode(tmp_path) == 0o700
