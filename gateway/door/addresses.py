"""Addresses of callers and hosts."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed(text: str) -> Address:
    """An address; one of IPv4 is that, even if a socket for both kinds tells it as `::ffff:192.0.2.1`.

    Raises:
        ValueError: it is none.
    """
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
