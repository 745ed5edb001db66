"""Who has signed in: each sign-in has a cookie of its own, which ends with time, by signing out, or with the token."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from pathlib import Path

from basics import private

logger = logging.getLogger(__name__)
DAY_S = 24 * 3600
MOST = 1000
"""Sign-ins at once; one more ends the oldest."""


class SignIns:
    """The sign-ins of one gateway, in a file that outlives it.

    The file holds when each ends, by a proof made from its cookie and the token: neither can be had from it, and with
    another token no cookie fits.
    """

    def __init__(self, path: Path, token: str, days: float) -> None:
        self._path, self._token, self.seconds = path, token, days * DAY_S
        self._lock = threading.Lock()
        self._ends = self._stored()

    def begin(self) -> str:
        """A new sign-in; returns what its cookie holds."""
        value = secrets.token_urlsafe(32)
        now = time.time()
        with self._lock:
            valid = [(proof, end) for proof, end in self._ends.items() if end > now][1 - MOST :]
            self._store({**dict(valid), self._proof(value): now + self.seconds})
        return value

    def is_valid(self, value: str) -> bool:
        """Whether a cookie is of a sign-in that lasts."""
        return self._ends.get(self._proof(value), 0) > time.time()

    def end(self, value: str) -> None:
        """Sign out: this cookie, wherever it may have been copied to, opens nothing any more."""
        proof = self._proof(value)
        with self._lock:
            if proof in self._ends:
                self._store({other: end for other, end in self._ends.items() if other != proof})

    def _proof(self, value: str) -> str:
        return hmac.new(self._token.encode(), value.encode(), hashlib.sha256).hexdigest()

    def _store(self, ends: dict[str, float]) -> None:
        private.write(self._path, json.dumps(ends))
        self._ends = ends

    def _stored(self) -> dict[str, float]:
        try:
            ends = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(proof): float(end) for proof, end in ends.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError):
            logger.warning("the file of sign-ins is damaged: everybody has to sign in again")
            return {}
