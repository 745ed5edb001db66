"""A job whose process dies again and again, in people's hands: it is given up, resumed by a click, and deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

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
