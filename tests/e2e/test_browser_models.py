"""The page of models in a real browser: one is fetched from a real server, stopped, gone on with, verified, removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Stack, up
from tests.model_server import ModelServer, running_model_server
from tests.unit.models.conftest import CONTENTS, write_catalogue

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """A server that has the model `little`."""
    with running_model_server() as says:
        says.files = {f"/owner/name/resolve/main/{path}": data for path, data in CONTENTS.items()}
        yield says


@pytest.fixture(scope="module")
def stack(server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this module's own, to which that server is Hugging Face."""
    folder = tmp_path_factory.mktemp("models-stack")
    catalogue = write_catalogue(folder / "own.toml", recommended=True)
    settings = {"VISAVIS_MODELS_CATALOGUE": str(catalogue), "VISAVIS_MODELS_HUGGINGFACE_URL": server.url}
    with up(Stack(folder / "data", settings=settings)) as running:
        yield running


def assert_card_says(page: Any, text: str) -> None:
    page.locator("[data-model=little]").get_by_text(text, exact=True).wait_for()


def test_a_model_is_fetched_stopped_gone_on_with_verified_and_removed(
    open_page: Callable[..., Any], stack: Stack, server: ModelServer
) -> None:
    model: Path = stack.data / "models" / "little"
    page = open_page("/")
    page.get_by_role("link", name="Models").click()
    assert_card_says(page, "not here")
    assert_card_says(page, "recommended")
    assert page.locator("[data-model=whisper-base]").get_by_text(re.compile("148 MB · MIT · 99 languages")).count() == 1

    server.stall_after = 400_000
    page.get_by_role("button", name="Download: little").click()
    card = page.locator("[data-model=little]")
    card.get_by_text("Downloading").wait_for()
    card.get_by_text(re.compile(r"^[1-9]\d? %")).wait_for()
    assert not model.exists()
    card.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop it").click()
    assert_card_says(page, "unfinished")

    server.stall_after = None
    page.get_by_role("button", name="Go on downloading: little").click()
    assert_card_says(page, "here")
    assert (model / "model.bin").read_bytes() == CONTENTS["model.bin"]

    page.get_by_role("button", name="Verify: little").click()
    assert_card_says(page, "here, verified")
    (model / "config.json").write_bytes(b'{"layers": 3}')
    page.get_by_role("button", name="Verify: little").click()
    page.get_by_text("little is damaged: config.json. Mending it downloads just these.").wait_for()
    page.get_by_role("button", name="Mend: little").click()
    assert_card_says(page, "here")

    page.get_by_role("button", name="Remove: little").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    assert_card_says(page, "not here")
    assert not model.exists()


def test_a_model_at_hand_is_imported_and_what_is_wrong_is_said(
    open_page: Callable[..., Any], stack: Stack, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    (stick / "words").mkdir(parents=True)
    for path, data in CONTENTS.items():
        (stick / path).write_bytes(data)
    (stick / ".DS_Store").write_bytes(b"x")
    damaged = tmp_path / "model.bin"
    damaged.write_bytes(bytes(len(CONTENTS["model.bin"])))
    page = open_page("/models")
    importing = page.get_by_role("button", name="Import")
    importing.click()
    page.get_by_text("Choose the model's files first, or its folder.").wait_for()
    page.set_input_files("#files", str(damaged))
    page.get_by_text("model.bin · 0.7 MB").wait_for()
    importing.click()
    page.get_by_text("model.bin is not that of little: its SHA-256 is another. Copy or download it again.").wait_for()
    assert page.evaluate("document.activeElement.id") == "files"
    page.set_input_files("#files", str(stick / "model.bin"))
    importing.click()
    page.get_by_text("little is not whole yet: config.json, words/vocabulary.txt missing.").wait_for()
    assert_card_says(page, "unfinished")
    page.set_input_files("#folder", str(stick))
    page.get_by_text("3 files · 0.7 MB").wait_for()
    importing.click()
    page.get_by_text("little is here, and verified.").wait_for()
    assert_card_says(page, "here, verified")
    assert {path: (stack.data / "models/little" / path).read_bytes() for path in CONTENTS} == CONTENTS
    page.get_by_role("button", name="Remove: little").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    assert_card_says(page, "not here")


def test_the_jobs_page_tells_of_it_in_chinese(open_page: Callable[..., Any], stack: Stack, server: ModelServer) -> None:
    server.stall_after, files = None, server.files
    server.files = {}
    page = open_page("/models", PHONE, "zh-CN")
    page.get_by_role("button", name="下载: little").click()
    page.get_by_text(re.compile("无法获得模型 little：.*请稍后再试")).first.wait_for()
    server.files = files
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/jobs")
    page.get_by_role("heading", name="下载 little").first.wait_for()
    page.get_by_role("button", name="继续: 下载 little").first.click()
    page.get_by_text("完成").first.wait_for()
    page.get_by_role("link", name="查看: 下载 little").first.click()
    assert_card_says(page, "已就绪")
