"""A job whose process dies again and again, in people's hands: it is given up, resumed by a click, and deleted."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from services.common.jobs.runner import CRASHED
from services.common.jobs.store import JobStore, State
from services.common.storage import Storage
from tests.e2e.conftest import Stack
from tests.e2e.test_browser import keep

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

GIVEN_UP_S = 600  # only ends what would hang
WAIT_MS = 600_000
WORDS = "This is a sentence that is long enough to be interrupted, again and again, before it has been said."


def given_up(stack: Stack) -> str:
    """A video whose process is killed as often as it begins; the job's id."""
    asked = httpx.post(
        f"{stack.url}/api/v1/generations", json={"avatar": "Vera", "text": WORDS, "size": 128}, timeout=60
    )
    path = f"{stack.url}/api/v1/jobs/{asked.raise_for_status().json()['id']}"

    def is_given_up() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(stack.pid("render")).children():
                if "services.render.job" in child.cmdline():
                    child.kill()
        return httpx.get(path, timeout=60).json()["state"] == "failed"

    stack.until(is_given_up, GIVEN_UP_S, "the job is given up")
    return path.rpartition("/")[2]


def test_a_video_that_was_given_up_is_resumed_by_a_click_and_deleted(
    stack: Stack, open_page: Callable[..., Any]
) -> None:
    expect, job_id = sync_api.expect, given_up(stack)
    page = open_page("/jobs")
    card = page.locator("article", has_text="This is a sentence that is long").first
    expect(card).to_contain_text("Failed")
    expect(card).to_contain_text("What was done is kept: resume the job, or delete it.")
    keep(page, "jobs-failed")
    card.get_by_role("button", name="Resume").click()
    expect(card).to_contain_text("Done", timeout=WAIT_MS)
    expect(card.get_by_role("button", name="Resume")).to_have_count(0)
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    assert not (stack.data / "work" / job_id).exists()
    assert httpx.get(f"{stack.url}/api/v1/jobs/{job_id}", timeout=60).status_code == 404


def test_why_a_training_cannot_be_resumed_is_said_where_it_was_asked_for(
    stack: Stack, open_page: Callable[..., Any]
) -> None:
    """Its name is that of another avatar by now; its recording is still there."""
    table, storage = JobStore(f"sqlite:///{stack.data / 'jobs.sqlite'}"), Storage(stack.data.as_uri(), stack.data)
    recording_id = f"recording-{'0' * 32}"
    storage.write(f"recordings/{recording_id}/recording.json", json.dumps({"created_s": time.time()}).encode())
    spec = {"name": "Vera", "engine": "portrait", "voice": "", "recording_id": recording_id, "device": ""}
    job = table.create("training", spec, waiting=True)  # nobody takes it
    table.finish(job.id, State.FAILED, error=CRASHED)
    why = "这个名称现已被另一个数字人使用，或正在训练。请先删除它，再继续。"
    page = open_page("/jobs", locale="zh-CN")
    card = page.locator("article", has=page.get_by_role("button", name="继续"))
    card.get_by_role("button", name="继续").click()
    sync_api.expect(card.get_by_role("alert")).to_have_text(why)
    keep(page, "jobs-refused")
    page.goto(f"/train?job={job.id}")
    page.get_by_role("button", name="继续").click()
    sync_api.expect(page.locator("[data-job-body]").get_by_role("alert")).to_have_text(why)
    keep(page, "train-refused")
    httpx.delete(f"{stack.url}/api/v1/jobs/{job.id}", timeout=60).raise_for_status()
    assert not storage.folders("recordings")
    table.close()
