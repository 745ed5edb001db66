"""Conversations on disk: what was said, by whom and when, until somebody deletes it or it is too old."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from client import private
from gateway.refusal import Refusal
from gateway.sweeping import delete_older_than

DAY_HOURS = 24


class Archive:
    """Stored conversations by id, a JSON file each that nobody else on the machine can read.

    A conversation is deleted `days` after its last word; with 0 days nothing is stored.
    """

    def __init__(self, folder: Path, days: float) -> None:
        self._folder, self._days = folder, days
        private.make_folder(folder)

    @property
    def is_used(self) -> bool:
        """Whether conversations are stored at all."""
        return self._days > 0

    def write(self, chat_id: str, told: dict[str, Any]) -> None:
        """Store a conversation; readers see the old one or the new one, never half."""
        if not self.is_used:
            return
        private.write(self._path(chat_id), json.dumps(told, ensure_ascii=False))

    def read(self, chat_id: str) -> dict[str, Any] | None:
        """A stored conversation; None if there is none of that id, or no longer.

        Raises:
            Refusal: its file is damaged.
        """
        try:
            return json.loads(self._path(chat_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            text = "This stored conversation is damaged and cannot be read. Delete it and start a new one."
            raise Refusal(text, reason="CHAT_DAMAGED", status=500) from None

    def delete(self, chat_id: str) -> bool:
        """Forget a conversation; returns whether there was one."""
        try:
            self._path(chat_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def sweep(self) -> None:
        """Forget the conversations in which nothing has been said for too long."""
        delete_older_than(self._folder, self._days * DAY_HOURS)

    def _path(self, chat_id: str) -> Path:
        return self._folder / f"{chat_id}.json"
