"""Pulls models: from the first of their sources that has what is missing, whatever was broken off before."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from models import sources
from models.catalogue import Model
from models.disk import full, require_space
from models.errors import BadArchive, InUse, ModelError, NotPulled, SourceFailed, Unwritable
from models.folder import ModelFolder, Staging, State
from models.progress import Meter, Report, Stage
from models.settings import ModelSettings
from models.threads import in_thread

AT_ONCE = 3
LOOK_EVERY_S = 0.3


async def pull(model: Model, folder: ModelFolder, settings: ModelSettings, report: Report = lambda _: None) -> Path:
    """Fetch a model, unless it is there; its folder. Cancelling is safe at any time: the next pull goes on from there.

    Who pulls a model that somebody else is pulling waits for them.

    Raises:
        NotPulled: no source had it; the message says of each why.
        NoSpace: the disk is too full.
    """
    meter = Meter(model.name, report)
    async with _changing(model, folder, meter) as staging:
        if await in_thread(folder.state, model) is State.WHOLE:
            staging.clear()
            return folder.path(model)
        ticking = asyncio.create_task(meter.tick())
        try:
            return await _fetch(model, staging, settings, meter)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full(sum(file.size for file in staging.missing()), 0) from error
            raise
        finally:
            ticking.cancel()


async def pull_all(
    models: Iterable[Model], folder: ModelFolder, settings: ModelSettings, report: Report = lambda _: None
) -> dict[str, ModelError]:
    """Pull several at once, each as `pull`; those that failed, by name."""
    turns = asyncio.Semaphore(AT_ONCE)
    failed: dict[str, ModelError] = {}

    async def one(model: Model) -> None:
        async with turns:
            try:
                await pull(model, folder, settings, report)
            except ModelError as error:
                failed[model.name] = error
            except OSError as error:
                failed[model.name] = Unwritable.because(error)

    async with asyncio.TaskGroup() as group:
        for model in models:
            group.create_task(one(model))
    return failed


@contextlib.asynccontextmanager
async def _changing(model: Model, folder: ModelFolder, meter: Meter) -> AsyncIterator[Staging]:
    with contextlib.ExitStack() as stack:
        while True:
            try:
                staging = stack.enter_context(folder.changing(model))
                break
            except InUse:
                meter.enter(Stage.WAITING)
                await asyncio.sleep(LOOK_EVERY_S)
        yield staging


async def _fetch(model: Model, staging: Staging, settings: ModelSettings, meter: Meter) -> Path:
    meter.enter(Stage.CHECKING)
    await in_thread(staging.open)
    require_space(staging.root, sum(file.size for file in staging.missing()) - staging.part_bytes())
    failures = []
    for source in model.sources:
        if not staging.missing():
            break
        try:
            await sources.fetch(source, staging, settings, meter)
        except (SourceFailed, BadArchive) as error:
            failures.append(f"{sources.name_of(source, settings)} {error}")
    if missing := staging.missing():
        raise _not_pulled(model, failures or [f"no source has {missing[0].path}"])
    meter.enter(Stage.CHECKING)
    return await in_thread(staging.commit)


def _not_pulled(model: Model, failures: list[str]) -> NotPulled:
    reasons = "; ".join(failures)
    remedy = "Try again later, or bring it from elsewhere: visavis models import"
    return NotPulled(f"The model {model.name} could not be had: {reasons}. {remedy}", model=model.name, reasons=reasons)
