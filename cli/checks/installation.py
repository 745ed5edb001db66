"""Python, the package groups of pyproject.toml, and the generated stubs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from packaging.requirements import Requirement

from cli.checks.finding import Finding, Level

PYTHONS = ((3, 11), (3, 12))
GROUPS = {
    "asr": "speech recognition",
    "llm": "dialogue",
    "tts": "speech",
    "portrait": "the talking head",
    "gateway": "the page",
    "cli": "this command",
}
MEDIAPIPE = "mediapipe==0.10.21"
REINSTALL = "pip install --require-hashes --no-deps -r lock/all.txt"


def findings() -> Iterator[Finding]:
    """Findings about what is installed."""
    yield _python()
    if _complaint(Requirement("visavis")):
        yield Finding(Level.MISSING, "Visavis", "is not installed in this Python", "make setup")
        return
    for group, purpose in GROUPS.items():
        yield _group(group, purpose)
    yield _mediapipe()
    yield _stubs()


def _python() -> Finding:
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] in PYTHONS:
        return Finding(Level.GOOD, "Python", text)
    return Finding(Level.MISSING, "Python", f"{text}; 3.11 or 3.12 is needed", "make clean setup PYTHON=python3.11")


def _group(group: str, purpose: str) -> Finding:
    subject = f"packages: {group}"
    wrong = [complaint for requirement in _requirements({group}) if (complaint := _complaint(requirement))]
    if wrong:
        return Finding(Level.MISSING, subject, f"{purpose}: {', '.join(wrong)}", REINSTALL)
    return Finding(Level.GOOD, subject, purpose)


def _requirements(groups: set[str]) -> Iterator[Requirement]:
    """What a group asks for, and the groups of ours that it builds on."""
    for line in requires("visavis") or ():
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": group}) for group in groups):
            continue
        if requirement.name == "visavis":
            yield from (one for one in _requirements(set(requirement.extras)) if one.marker)
        else:
            yield requirement


def _complaint(requirement: Requirement) -> str:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(found, prereleases=True):
        return ""
    return f"{requirement.name} is {found}, not {requirement.specifier}"


def _mediapipe() -> Finding:
    complaint = _complaint(Requirement(MEDIAPIPE))
    if complaint:
        return Finding(Level.MISSING, "face landmarks", complaint, REINSTALL)
    return Finding(Level.GOOD, "face landmarks", MEDIAPIPE)


def _stubs() -> Finding:
    missing = [
        name for name in ("asr", "llm", "tts", "render", "train") if not _has(f"visavis.{name}.v1.{name}_pb2_grpc")
    ]
    if missing:
        return Finding(Level.MISSING, "gRPC stubs", f"not built: {', '.join(missing)}", "make stubs")
    return Finding(Level.GOOD, "gRPC stubs", "built")


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
