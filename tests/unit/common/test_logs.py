"""What reaches the log, and what must not."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from basics.logs import JsonFormatter
from services.common import errors
from services.common.jobs import process

NAME = "Ada Lovelace"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that is logged, as a service writes it."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter("test"))
    logging.getLogger().addHandler(handler)
    yield target
    logging.getLogger().removeHandler(handler)


def read_voice() -> None:
    try:
        (Path("/nowhere/voices") / NAME / "voice.json").read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{NAME} has no voice") from error


def test_an_exception_leaves_its_types_and_frames_but_not_what_it_says(written: io.StringIO) -> None:
    try:
        read_voice()
    except ValueError:
        logging.getLogger("services.test").exception("reading broke")
    line = json.loads(written.getvalue())
    assert line["event"] == "reading broke"
    assert NAME not in written.getvalue()
    assert line["trace"].index("FileNotFoundError") < line["trace"].index("ValueError")
    assert "in read_voice" in line["trace"]


def test_what_asyncio_tells_of_a_forgotten_task_names_nobody(written: io.StringIO) -> None:
    async def forgotten() -> None:
        read_voice()

    async def main() -> None:
        task = asyncio.create_task(forgotten())
        await asyncio.sleep(0.01)
        del task
        gc.collect()

    asyncio.run(main())
    assert "never retrieved" in written.getvalue()
    assert NAME not in written.getvalue()


def test_a_job_that_breaks_does_not_log_what_it_was_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(errors.Internal):
        asyncio.run(process.call("tests.unit.common.jobs_child", {"do": "break", "secret": NAME}, {}, tmp_path))
    out, err = capfd.readouterr()
    assert "job broke" in err
    assert "RuntimeError" in err
    assert NAME not in out + err
