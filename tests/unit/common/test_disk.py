"""Whoever finds the disk full, people are told the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from safetensors.numpy import save_file

from services.common.disk import is_full
from services.common.errors import StorageFull
from services.common.interceptors import to_service_error
from services.common.jobs.store import JobStore
from tests.postgres import Cluster


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk without any room, which a job table lies on."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        JobStore(f"sqlite:///{place / 'jobs.sqlite'}").close()
        with (place / "filling").open("wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
    except OSError as error:
        assert is_full(error)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def is_told(error: Exception) -> bool:
    return isinstance(to_service_error(error), StorageFull)


def test_a_table_on_a_full_disk(full_disk: Path) -> None:
    with pytest.raises((sa.exc.OperationalError, OSError)) as failure:
        JobStore(f"sqlite:///{full_disk / 'jobs.sqlite'}").create("training", {"text": "x" * 100_000})
    assert is_told(failure.value)


def test_weights_on_a_full_disk(full_disk: Path) -> None:
    with pytest.raises(Exception, match="No space") as failure:
        save_file({"weights": np.zeros(10**6)}, full_disk / "checkpoint.safetensors")
    assert is_told(failure.value)


def test_a_table_that_cannot_grow(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # of this connection, which the pool gives out next
    with pytest.raises(sa.exc.OperationalError) as failure:
        store.create("training", {"text": "x" * 100_000})
    assert is_told(failure.value)
    assert "xxx" not in str(failure.value), "what people wrote reaches no log"
    store.close()


def test_a_postgresql_server_without_room(postgres: Cluster) -> None:
    engine = sa.create_engine(postgres.new_database())
    fails = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
    with pytest.raises(sa.exc.DBAPIError) as failure, engine.begin() as connection:
        connection.exec_driver_sql(fails)
    assert is_told(failure.value)
    engine.dispose()


def test_what_was_raised_because_of_it_is_told_too_and_nothing_else() -> None:
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise RuntimeError("cannot save") from error
    except RuntimeError as error:
        assert is_told(error)
    assert not is_told(OSError(13, "Permission denied"))
    assert not is_told(RuntimeError("cannot save"))
