"""The job table on both databases that it may lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.common.jobs.store import JobStore
from tests.postgres import Cluster, find_programs, running_cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A server of this test run's own."""
    programs = find_programs()
    if not programs:
        pytest.skip("there is no PostgreSQL server here: install postgresql (tools/system-packages test)")
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def open_store(database_url: str) -> Iterator[Callable[[], JobStore]]:
    """Open the table, as each replica does."""
    stores: list[JobStore] = []

    def open_it() -> JobStore:
        stores.append(JobStore(database_url))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], JobStore]) -> JobStore:
    """The table."""
    return open_store()
