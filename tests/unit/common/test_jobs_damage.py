"""A job table that is damaged is moved aside, and only then."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.common import tidying
from services.common.jobs import store as store_module
from services.common.jobs.runner import LocalRunner
from services.common.jobs.store import JobStore
from services.common.settings import ServiceSettings

GARBAGE = b"no table at all " * 1000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with many jobs, closed."""
    file = tmp_path / "jobs.sqlite"
    store = JobStore(f"sqlite:///{file}")
    for _ in range(30):
        store.create("training", {"text": "x" * 1000})
    store.close()
    return file


def opened(file: Path) -> JobStore:
    return JobStore(f"sqlite:///{file}")


def aside(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.glob("*.damaged-*") if not path.name.endswith(("-wal", "-shm")))


def scratch(file: Path) -> None:
    """Lose the pages in the middle, as a bad disk does; the head still says that this is a table."""
    size = file.stat().st_size
    with file.open("r+b") as table:
        table.seek(4096)
        table.write(b"\xff" * (size - 4096))


def test_it_is_moved_aside_and_the_log_says_where_and_what_to_do(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    table.write_bytes(GARBAGE)
    store = opened(table)
    assert store.list(("training",)) == []
    assert store.get(store.create("training", {}).id)
    (kept,) = aside(table)
    assert kept.read_bytes() == GARBAGE
    (record,) = [record for record in caplog.records if "damaged" in record.message]
    assert record.fields == {"file": str(table), "moved_to": str(kept)}
    assert ".recover" in record.message
    store.close()


def test_what_its_jobs_had_made_stays(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "CERTAIN_AFTER_S", 0.0)
    settings = ServiceSettings(work_folder=table.parent / "work", storage_url="memory://test")
    store = opened(table)
    checkpoint = settings.work_folder / store.list(("training",))[0].id / "checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    store.close()
    table.write_bytes(GARBAGE)
    store = opened(table)
    assert store.list(("training",)) == []
    LocalRunner(store, "training", "none", ["cpu"], settings).forget_folders()
    assert checkpoint.exists()
    store.close()


def test_damage_in_the_middle_is_found_too(table: Path) -> None:
    scratch(table)
    store = opened(table)
    assert store.list(("training",)) == []
    assert len(aside(table)) == 1
    store.close()


def test_services_that_start_together_move_it_once_and_share_the_new_one(table: Path) -> None:
    table.write_bytes(GARBAGE)
    stores: list[JobStore] = []

    def start() -> None:
        store = opened(table)
        store.create("training", {})
        stores.append(store)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(aside(table)) == 1
    assert [len(store.list(("training",))) for store in stores] == [6] * 6
    for store in stores:
        store.close()


def test_who_still_has_it_open_goes_on_with_the_new_one(table: Path) -> None:
    running = opened(table)
    assert len(running.list(("training",))) == 30
    scratch(table)
    starting = opened(table)
    job = starting.create("training", {})
    assert [one.id for one in running.list(("training",))] == [job.id]
    running.close()
    starting.close()


def test_damage_that_is_found_at_work_ends_one_call(table: Path) -> None:
    running = opened(table)
    running.close()  # its connections, not the service
    scratch(table)
    with pytest.raises(sa.exc.DatabaseError):
        running.list(("training",))
    assert running.list(("training",)) == []
    assert len(aside(table)) == 1
    running.close()


def test_a_locked_table_is_not_damaged(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_S", 0)
    other = sqlite3.connect(table)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("UPDATE jobs SET stage = 'x'")
    with pytest.raises(sa.exc.OperationalError, match="locked"):
        opened(table)
    other.rollback()
    other.close()
    assert aside(table) == []
    store = opened(table)
    assert len(store.list(("training",))) == 30
    store.close()


def test_what_cannot_be_opened_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").mkdir()
    with pytest.raises(sa.exc.OperationalError, match="unable to open"):
        opened(tmp_path / "jobs.sqlite")
    assert (tmp_path / "jobs.sqlite").is_dir()
