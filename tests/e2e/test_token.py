"""A gateway that asks for a token, before the services of the running stack."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright import sync_api
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.conftest import COMMAND_TIMEOUT_S, free_ports

pytestmark = pytest.mark.e2e
TOKEN = "open sesame, open sesame"
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
TIMEOUT_S = 600  # only ends what would hang


@pytest.fixture(scope="module")
def environment(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a gateway with a token, and commands that use it, find around them."""
    (port,) = free_ports(1)
    data = tmp_path_factory.mktemp("closed")
    ours = {"GATEWAY_PORT": str(port), "GATEWAY_TOKEN": TOKEN, "GATEWAY_DATA_FOLDER": str(data)}
    return stack.environment | ours


@pytest.fixture(scope="module")
def url(stack: Any, environment: dict[str, str]) -> Iterator[str]:
    """Of that gateway."""
    url = f"http://127.0.0.1:{environment['GATEWAY_PORT']}"
    process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environment, stdout=subprocess.DEVNULL)

    def is_up() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/healthz").is_success
        return False

    try:
        stack.until(lambda: is_up() or process.poll() is not None, TIMEOUT_S, "a gateway with a token")
        yield url
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def talk(environment: dict[str, str], url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "talk", "--avatar", "Vera", "--gateway", url, "-o", str(folder)]
    return subprocess.run(
        command, env=environment, input="Who are you?\n", capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S,
        check=False,
    )  # fmt: skip


def test_a_program_with_the_token_talks_and_one_without_is_told_why(
    url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = talk(environment, url, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Visavis" in done.stdout and len(list(tmp_path.glob("*.mp4"))) == 1
    refused = talk({**environment, "GATEWAY_TOKEN": ""}, url, tmp_path)
    assert refused.returncode != 0 and "token" in refused.stderr


def test_a_cookie_opens_events_and_the_live_socket_until_it_is_signed_out(url: str) -> None:
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        assert client.post("/api/v1/chats", json={"avatar": "Vera"}).status_code == 401
        client.post("/sign-in", data={"token": TOKEN})
        cookie = f"visavis_session={client.cookies['visavis_session']}"
        chat = client.post("/api/v1/chats", json={"avatar": "Vera"}).raise_for_status().json()["id"]
        with client.stream("POST", f"/api/v1/chats/{chat}/messages", json={"text": "Who are you?"}) as reply:
            assert "event: done" in reply.read().decode()
        address = f"{url}/api/v1/chats/{chat}/live".replace("http", "ws", 1)
        with connect(address, additional_headers={"Cookie": cookie}) as live:
            assert '"ready"' in live.recv()
        client.post("/sign-out")
        with pytest.raises(InvalidStatus, match="401"):
            connect(address, additional_headers={"Cookie": cookie})


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "out", "width"), [("en-US", "Sign out", 1280), ("zh-CN", "退出登录", 390)])
def test_people_sign_in_where_they_wanted_to_go_and_out_again(url: str, locale: str, out: str, width: int) -> None:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(base_url=url, locale=locale, viewport={"width": width, "height": 800}).new_page()
        page.set_default_timeout(TIMEOUT_S * 1000)
        page.goto("/train?x=%E6%9D%8E")
        page.fill("#token", "not the token at all")
        page.press("#token", "Enter")
        page.wait_for_selector(".field-error")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_url(re.compile(r"/train\?x=%E6%9D%8E$"))
        page.screenshot(path=ARTIFACTS / f"signed-in-{locale}.png")
        page.get_by_role("button", name=out).click()
        page.wait_for_url("**/sign-in")
        page.screenshot(path=ARTIFACTS / f"signed-out-{locale}.png")
        page.goto("/train")
        page.wait_for_selector("#token")
        browser.close()
