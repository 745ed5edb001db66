"""The real stack: `visavis up` on free ports with its own data folder, started once and shared by every test here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from client.wire.services import NAMES, Services
from client.wire.settings import ClientSettings

# Limits only end what would hang: a busy machine may be many times slower than an idle one.
START_TIMEOUT_S = 600
STOP_TIMEOUT_S = 180
COMMAND_TIMEOUT_S = 1200
TAIL_LINES = 60
BROWSER_WAIT_MS = 180_000
DESKTOP = {"width": 1280, "height": 800}
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
STACK = pytest.StashKey["Stack"]()


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something to come true; fail with what it was."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tail(path: Path) -> str:
    """The end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-TAIL_LINES:]) if path.exists() else ""


@dataclass
class Stack:
    """A running `visavis up`.

    Attributes:
        url: of the gateway.
        data: its data folder; logs are in `logs/<service>.log`.
        environment: what a command needs to find this stack.
    """

    data: Path
    ports: dict[str, int] = field(default_factory=lambda: dict(zip((*NAMES, "gateway"), free_ports(6), strict=True)))
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    until = staticmethod(until)
    start_timeout_s = START_TIMEOUT_S
    stop_timeout_s = STOP_TIMEOUT_S

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def output(self) -> Path:
        """What `up` said."""
        return self.data / "up.log"

    @property
    def environment(self) -> dict[str, str]:
        addresses = {f"VISAVIS_{name.upper()}_ADDRESS": f"127.0.0.1:{self.ports[name]}" for name in NAMES}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VISAVIS_", "GATEWAY_"))}
        return {**inherited, **addresses, "GATEWAY_PORT": str(self.ports["gateway"]), **self.settings}

    def start(self, *options: str) -> None:
        """Start it without waiting."""
        self.data.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "cli", "up", "--data", str(self.data), *options]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Wait until it is up."""
        until(lambda: self.is_up or self.process.poll() is not None, START_TIMEOUT_S, f"up:\n{tail(self.output)}")
        assert self.is_up, f"up ended with {self.process.returncode}:\n{tail(self.output)}"

    @property
    def is_up(self) -> bool:
        return "Visavis is up" in self.output.read_text(errors="replace")

    def stop(self) -> int:
        """Stop it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            self.process.kill()

    def programs(self) -> dict[str, psutil.Process]:
        """The running processes by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # also one that has died and was not buried yet
                words = child.cmdline()
                if "-m" in words and words[-1].split(".")[0] in ("services", "gateway"):
                    found[words[-1].split(".")[-1]] = child
        return found

    def pid(self, name: str) -> int | None:
        """The process of one program; None while there is none."""
        program = self.programs().get(name)
        return program and program.pid

    def kill(self, name: str) -> None:
        """Kill one process as a crash would."""
        self.programs()[name].kill()

    def health(self) -> dict[str, str]:
        """State of each service."""
        services = self.services()
        try:
            return services.health()
        finally:
            services.close()

    def services(self) -> Services:
        """A client of this stack."""
        addresses = {f"{name}_address": f"127.0.0.1:{self.ports[name]}" for name in NAMES}
        return Services(ClientSettings(**addresses))

    def visavis(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a `visavis` command against this stack."""
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            **options,
        )


@contextlib.contextmanager
def up(stack: Stack) -> Iterator[Stack]:
    """A stack from when it is up until it has stopped."""
    stack.start()
    try:
        stack.wait()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack that all tests share. A test that breaks something in it waits until it is whole again."""
    request.config.stash[STACK] = Stack(tmp_path_factory.mktemp("stack") / "data")
    with up(request.config.stash[STACK]) as running:
        yield running


@pytest.fixture
def second_avatar(stack: Stack) -> Iterator[str]:
    """Another avatar, the last of them: the twin of the one that comes with Visavis."""
    first = stack.data / "avatars" / "Vera"
    name = f"{first.name} Twin"
    shutil.copytree(first, first.with_name(name))
    yield name
    shutil.rmtree(first.with_name(name))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, its microphone a beeping one."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *MICROPHONE])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, stack: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of the gateway; whatever a script or the content policy complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def listen(message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_one(path: str, viewport: dict[str, int] = DESKTOP, locale: str = "en-US", theme: str = "light") -> Any:
        context = chromium.new_context(viewport=viewport, locale=locale, color_scheme=theme, base_url=stack.url)
        context.set_default_timeout(BROWSER_WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", listen)
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not complaints


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the ends of the stack's logs beside a failure."""
    report = yield
    running = item.config.stash.get(STACK, None)
    if report.failed and running:
        for path in (running.output, *sorted(running.data.glob("logs/*.log"))):
            report.sections.append((f"end of {path.name}", tail(path)))
    return report
