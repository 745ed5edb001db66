"""Folders in storage that each hold something whole (an avatar, a voice), described by a manifest in JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from services.common.errors import InvalidInput
from services.common.names import checked_name
from services.common.storage import Storage

MOST_BYTES = 32 * 2**20
MOST_DEPTH = 20
"""Of lists and objects in each other. Messages can carry about thirty; nothing that we write has ten."""
UNFINISHED_S = 600.0
"""A folder without a manifest is being made, or was left over once nothing in it has changed for so long."""


class Shelf:
    """The folders below one, each with its manifest.

    Args:
        folder: where they are in storage.
        manifest: name of the file that describes each.
    """

    def __init__(self, storage: Storage, folder: str, manifest: str) -> None:
        self._storage, self._folder, self._manifest = storage, folder, manifest

    def names(self) -> list[str]:
        """Of every folder, in order; without those that no request could name."""
        return [name for name in self._storage.folders(self._folder) if _is_name(name)]

    def read(self, name: str) -> dict[str, Any]:
        """The manifest of one; numbers in it that are none are null.

        Raises:
            FileNotFoundError: there is none of that name, or it is still being made.
            ValueError: it is damaged.
        """
        key = f"{self._folder}/{name}/{self._manifest}"
        try:
            if self._storage.size(key) > MOST_BYTES:
                raise ValueError("a manifest is far too large")
            return parsed(self._storage.read(key))
        except FileNotFoundError:
            if self.is_left_over(name):
                raise ValueError("a manifest is missing") from None
            raise

    def is_left_over(self, name: str) -> bool:
        """Whether there is a folder of that name, without a manifest, in which nothing happens any more."""
        if self._storage.exists(f"{self._folder}/{name}/{self._manifest}"):
            return False
        changed_at = self._storage.changed_at(f"{self._folder}/{name}")
        return changed_at is not None and time.time() - changed_at > UNFINISHED_S


def parsed(data: bytes) -> dict[str, Any]:
    """A manifest's JSON object.

    Raises:
        ValueError: it is none, or is nested beyond what any message can carry.
    """
    try:
        told = json.loads(data, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("a manifest is nested too deeply") from None
    if not isinstance(told, dict) or _is_deeper(told, MOST_DEPTH):
        raise ValueError("a manifest is no object, or nested too deeply")
    return told


def _is_deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_is_deeper(one, depth - 1) for one in inner if isinstance(one, dict | list))


def _is_name(folder: str) -> bool:
    try:
        return checked_name(folder) == folder
    except InvalidInput:
        return False
