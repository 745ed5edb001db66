"""A language model's provider for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.provider import Provider, running_provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider on a free port of the loopback."""
    with running_provider() as provider:
        yield provider
