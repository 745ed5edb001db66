"""What `visavis doctor` looks at; one file per area, each with functions that return findings."""

from __future__ import annotations

from pathlib import Path

from cli.checks import engines, graphics, installation, machine, models, running
from cli.checks.finding import Finding, Level
from cli.settings import LocalSettings
from client.wire.services import Services
from client.wire.settings import ClientSettings

__all__ = ["Finding", "Level", "everything"]


def everything(data: Path) -> list[Finding]:
    """All findings, in the order in which a person would mend them."""
    local, addresses = LocalSettings(), ClientSettings()
    services = Services(addresses)
    try:
        return [
            *installation.findings(),
            *machine.findings(data),
            *graphics.findings(),
            *engines.findings(services),
            *models.findings(),
            *running.findings(local, addresses, services, data),
        ]
    finally:
        services.close()
