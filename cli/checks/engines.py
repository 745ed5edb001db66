"""The engines and what they lack, told by the services, or by their code where they do not run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from google.protobuf import json_format
from visavis.common.v1 import info_pb2

from cli.checks.finding import Finding, Level
from client import library
from client.wire.services import NAMES, Services

ASKING_S = 120  # PyTorch's first import may take long


def findings(services: Services) -> Iterator[Finding]:
    """Findings about every engine; only a default one is needed."""
    serving = library.engines(services)
    with ThreadPoolExecutor(len(NAMES)) as pool:
        told = pool.map(lambda name: serving.get(name) or _told_by_its_code(name), NAMES)
        for name, engines in zip(NAMES, told, strict=True):
            yield from (_finding(name, engine) for engine in engines)


def _finding(service: str, engine: library.Engine) -> Finding:
    subject = f"{service}: {engine.name}"
    lack, state = engine.lack, f"{engine.state}, the default" if engine.is_default else engine.state
    if lack and engine.is_missing:
        return Finding(Level.MISSING if engine.is_default else Level.NOTE, subject, lack.message, engine.remedy)
    if lack:
        return Finding(Level.NOTE, subject, f"{state}. {lack.message}", engine.remedy)
    return Finding(Level.GOOD, subject, state)


def _told_by_its_code(service: str) -> list[library.Engine]:
    """The engines of a service that does not run, asked for in a process of its own: an engine may break it."""
    command = [sys.executable, "-m", f"services.{service}", "--engines"]
    ended = subprocess.run(command, capture_output=True, timeout=ASKING_S, check=False)
    if ended.returncode:
        return []  # the findings about packages say what is wrong
    return library.described(json_format.Parse(ended.stdout, info_pb2.ServiceInfo()))
