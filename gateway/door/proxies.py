"""What a reverse proxy tells of its callers: believed of the proxies that are named, and of nobody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from gateway.door import addresses

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """A WSGI application that sees the caller's address and scheme as one of `trusted` tells them."""

    def __init__(self, app: Any, trusted: Iterable[Network]) -> None:
        self._app, self._behind, self._trusted = app, ProxyFix(app, x_for=1, x_proto=1), tuple(trusted)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        app = self._behind if self._is_trusted(environ.get("REMOTE_ADDR", "")) else self._app
        return app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        try:
            caller = addresses.parsed(address)
        except ValueError:
            return False
        return any(caller in network for network in self._trusted)


def networks(text: str) -> list[Network]:
    """Addresses and networks, with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    return [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]
