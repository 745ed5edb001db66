"""Whether a port is free, and who has it if not."""

from __future__ import annotations

import contextlib
import socket

import psutil

from cli.local.programs import Program

OURS = "another Visavis"


def is_free(host: str, port: int) -> bool:
    """Whether we could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last one's closed connections do not matter
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """The process that listens on a port, in words; empty when the system does not tell."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return _describe(psutil.Process(connection.pid))
    return ""


def _describe(process: psutil.Process) -> str:
    words = process.cmdline()
    if "-m" in words and words[-1].split(".")[0] in ("services", "gateway"):
        return f"{OURS} ({words[-1]}, process {process.pid})"
    return f"{process.name()} (process {process.pid})"


def complaints(programs: list[Program]) -> list[str]:
    """One sentence for each port that is taken: which, by whom, and what to do."""
    return [_complaint(one) for one in programs if one.is_here and not is_free(one.host, one.port)]


def _complaint(program: Program) -> str:
    who = holder(program.port) or "another program"
    setting = program.setting.format(port=_free_port(program.host))
    return f"Port {program.port}, which {program.name} needs, is taken by {who}. Stop that, or use another: {setting}"


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
