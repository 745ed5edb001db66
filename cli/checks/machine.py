"""Disk, memory, fonts, Docker and Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException

from cli.checks.finding import Finding, Level

GIB = 2**30
DISK_NEEDED, DISK_WISHED = 1 * GIB, 5 * GIB
MEMORY_NEEDED, MEMORY_WISHED = 3 * GIB, 6 * GIB
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/Library/Fonts"))
LATIN = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
CHINESE = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def findings(data: Path) -> Iterator[Finding]:
    """Findings about the machine."""
    yield _disk(data)
    yield _memory()
    yield Finding(Level.GOOD, "processors", f"{len(os.sched_getaffinity(0))} usable")
    yield _font("subtitle font", LATIN, "fonts-dejavu-core")
    yield _font("Chinese subtitles", CHINESE, "fonts-wqy-microhei")
    yield _docker()
    yield _browser()


def _disk(data: Path) -> Finding:
    folder = data.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free for {data}"
    if not os.access(folder, os.W_OK):
        return Finding(Level.MISSING, "disk", f"{folder} cannot be written to", "visavis up --data FOLDER")
    if free < DISK_NEEDED:
        return Finding(Level.MISSING, "disk", f"{text}; a training needs 1 GiB", "visavis up --data FOLDER")
    return Finding(Level.GOOD if free >= DISK_WISHED else Level.WARNING, "disk", text)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    if memory.total < MEMORY_NEEDED:
        return Finding(Level.MISSING, "memory", f"{text}; at least {MEMORY_NEEDED // GIB} GiB are needed")
    if memory.available < MEMORY_WISHED:
        return Finding(Level.WARNING, "memory", f"{text}; a training is at ease with {MEMORY_WISHED // GIB} GiB")
    return Finding(Level.GOOD, "memory", text)


def _font(subject: str, names: tuple[str, ...], package: str) -> Finding:
    for folder in FONT_FOLDERS:
        for name in names:
            if found := next(folder.rglob(name), None):
                return Finding(Level.GOOD, subject, str(found))
    return Finding(Level.WARNING, subject, "no font for it", f"sudo apt-get install {package}")


def _docker() -> Finding:
    try:
        client = docker.from_env(timeout=5)
        text = f"engine {client.version()['Version']}"
        client.close()
    except DockerException:
        return Finding(
            Level.NOTE, "Docker", "no engine answers; only `docker compose up` and published engines need it"
        )
    return Finding(Level.GOOD, "Docker", text)


def _browser() -> Finding:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        return Finding(Level.GOOD, "Chromium", found)
    return Finding(Level.NOTE, "Chromium", "not there; only `make test` needs it", "make test-setup")
