"""Whether the services answer, with which engines, and whether the ports of those that do not are free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli.checks.finding import Finding, Level
from cli.local import ports
from cli.local.programs import Program, programs
from cli.settings import LocalSettings
from client import library
from client.wire.services import Services
from client.wire.settings import ClientSettings


def findings(local: LocalSettings, addresses: ClientSettings, services: Services, data: Path) -> Iterator[Finding]:
    """Findings about what runs."""
    everything = programs(local, addresses, data.resolve())
    states = {program.name: program.state() for program in everything}
    if all(state == "down" for state in states.values()):
        yield from _nothing_runs(everything)
        return
    engines = library.engines(services)
    for program in everything:
        told = engines.get(program.name, [])
        default = next((one.name for one in told if one.is_default), "")
        yield _finding(program, states[program.name], default, data)


def _nothing_runs(everything: list[Program]) -> Iterator[Finding]:
    complaints = ports.complaints(everything)
    for complaint in complaints:
        yield Finding(Level.MISSING, "ports", complaint)
    if not complaints:
        taken = ", ".join(str(program.port) for program in everything)
        yield Finding(Level.NOTE, "services", f"not started; ports {taken} are free", "visavis up")


def _finding(program: Program, state: str, engine: str, data: Path) -> Finding:
    subject = f"{program.name}, {program.address}"
    if state == "serving":
        return Finding(Level.GOOD, subject, f"serves with {engine}" if engine else "serves")
    if state == "loading":
        return Finding(Level.WARNING, subject, "is still loading")
    if not program.is_here:
        return Finding(Level.MISSING, subject, "cannot be reached", "start it on its machine, or change its address")
    if complaints := ports.complaints([program]):
        return Finding(Level.MISSING, subject, complaints[0])
    remedy = f"read {data / 'logs' / program.name}.log, then: visavis up"
    return Finding(Level.MISSING, subject, "does not run while others do", remedy)
