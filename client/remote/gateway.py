"""Chats of a gateway, over its REST interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import grpc

from client.wire.errors import CallError

TIMEOUT_S = 60


class Gateway:
    """A gateway at an address such as http://127.0.0.1:5001."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url, self.token = url.rstrip("/"), token

    def avatars(self) -> list[dict[str, Any]]:
        """All avatars."""
        avatars: list[dict[str, Any]] = self._ask("GET", "/avatars")["avatars"]
        return avatars

    def create_chat(self, **wanted: str | float) -> str:
        """Begin a chat with an avatar; its id.

        Raises:
            CallError: the gateway refuses it, or cannot be reached.
        """
        return str(self._ask("POST", "/chats", wanted)["id"])

    def delete_chat(self, chat: str) -> None:
        """End a chat and forget what was said in it."""
        self._ask("DELETE", f"/chats/{chat}")

    def _ask(self, method: str, path: str, fields: dict[str, str | float] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        body = json.dumps(fields).encode() if fields else None
        if body:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}/api/v1{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                told: dict[str, Any] = json.loads(answer.read() or "{}")
                return told
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except OSError:
            message = f"There is no gateway at {self.url}. Start it with `visavis up`, or give its address."
            raise CallError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message, "gateway") from None


def _refused(error: urllib.error.HTTPError) -> CallError:
    try:
        told = json.load(error)["error"]
        return CallError(grpc.StatusCode.UNKNOWN, told["code"], told["message"], told["field"] or "")
    except (ValueError, LookupError, TypeError):
        message = f"What answers there is no gateway of Visavis (status {error.code})."
        return CallError(grpc.StatusCode.UNKNOWN, "NO_GATEWAY", message, "gateway")
