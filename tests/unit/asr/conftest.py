"""Recognisers' servers for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recognisers import Runtime, Transcriber, running_runtime, running_transcriber


@pytest.fixture
def transcriber() -> Iterator[Transcriber]:
    """A server with an API of transcriptions on a free port of the loopback."""
    with running_transcriber() as transcriber:
        yield transcriber


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """FunASR's runtime on a free port of the loopback."""
    with running_runtime() as runtime:
        yield runtime
