"""The six containers, built and started by Compose on a real engine; skipped, and saying so, where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"asr", "llm", "tts", "render", "train", "gateway"}
START_TIMEOUT_S = 900  # only ends what would hang


class Composed:
    """A running `docker compose` project of its own, with its own volume."""

    def __init__(self, command: list[str]) -> None:
        self.project = f"visavis-test-{uuid.uuid4().hex[:8]}"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._command = [*command, "--project-name", self.project, "--file", str(ROOT / "compose.yaml")]
        self._environment = {**os.environ, "VISAVIS_PUBLISH_PORT": str(self.port)}
        self.engine = docker.from_env()

    @property
    def url(self) -> str:
        """Where the gateway is published."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, timeout: float = 1800) -> str:
        """Run a Compose command; its output is shown when it fails."""
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def up(self, *arguments: str) -> None:
        """Start in the background and wait until every container is healthy."""
        self.run("up", "--detach", *arguments)
        deadline = time.monotonic() + START_TIMEOUT_S
        while set((states := self.health()).values()) != {"healthy"}:
            assert time.monotonic() < deadline, f"not healthy: {states}\n{self.run('logs', '--tail=40')}"
            time.sleep(1)

    def containers(self, room: str = "") -> list[docker.models.containers.Container]:
        """The project's running containers, or those of one room."""
        labels = [f"com.docker.compose.project={self.project}"]
        labels += [f"com.docker.compose.service={room}"] if room else []
        return self.engine.containers.list(filters={"label": labels})

    def health(self) -> dict[str, str]:
        """Health of each container by name."""
        return {one.name: one.attrs["State"].get("Health", {}).get("Status", "none") for one in self.containers()}

    def http(self) -> httpx.Client:
        """A client of the published gateway."""
        return httpx.Client(base_url=self.url, timeout=900)


def compose_command() -> list[str] | None:
    """How Compose is called here; None where it is not."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if plugin.returncode == 0 else None


@pytest.fixture(scope="session")
def composed() -> Iterator[Composed]:
    """The stack, healthy."""
    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        pytest.skip("no Docker engine answers; the container tests did not run")
    command = compose_command()
    if command is None:
        pytest.skip("Docker answers but Compose is not installed; the container tests did not run")
    stack = Composed(command)
    stack.run("build")
    try:
        stack.up()
        yield stack
    finally:
        stack.run("down", "--volumes", "--timeout", "5")
