"""Wrong tokens make whoever gave them wait, longer each time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.door import addresses

FREE = 5
"""Wrong tokens from one address before it has to wait: people mistype."""
LONGEST_S = 300.0
FORGET_S = 3600.0
"""An address that has been quiet for so long begins anew."""
MANY = 100
"""Wrong tokens from everywhere within `RECENT_S`, beyond which no address has any free."""
RECENT_S = 600.0
MOST_ADDRESSES = 10_000


@dataclass
class _Address:
    count: int = 0
    last: float = 0.0
    waits_until: float = 0.0


class Guesses:
    """Judges tokens. An address that has to wait learns nothing, not even whether the token was right.

    Waiting is the address's, so strangers keep nobody out who comes from elsewhere: the first token from an address is
    always judged.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._addresses: dict[str, _Address] = {}  # the one that was wrong last is last
        self._recent: deque[float] = deque(maxlen=MANY)

    def judge(self, address: str, *, is_right: bool) -> float:
        """Take note of a token; returns the seconds its address has to wait before one is judged, 0 if this was."""
        key, now = _network(address), self._clock()
        with self._lock:
            known = self._addresses.get(key, _Address())
            if known.waits_until > now:
                return known.waits_until - now
            self._addresses.pop(key, None)
            if not is_right:
                self._note(key, known, now)
            return 0.0

    def _note(self, key: str, known: _Address, now: float) -> None:
        count = known.count + 1 if now - known.last < FORGET_S else 1
        self._recent.append(now)
        are_many = len(self._recent) == MANY and now - self._recent[0] < RECENT_S
        beyond = count if are_many else count - FREE
        wait = min(2.0 ** min(beyond - 1, 20), LONGEST_S) if beyond > 0 else 0.0
        self._addresses[key] = _Address(count, now, now + wait)
        if len(self._addresses) > MOST_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]


def _network(address: str) -> str:
    """Whoever has one address of IPv6 has the 2⁶⁴ beside it."""
    try:
        parsed = addresses.parsed(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False) if parsed.version == 6 else parsed)
