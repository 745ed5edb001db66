"""`python -m gateway.health`: exit 0 when the gateway answers. For container health checks."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from gateway.settings import GatewaySettings

TIMEOUT_S = 3


def is_answering(port: int) -> bool:
    """Whether the gateway on this machine answers on `port`."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_answering(GatewaySettings().port) else 1)
