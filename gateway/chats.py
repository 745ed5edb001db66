"""Chats: who talks with which avatar. Capped in number, forgotten when idle, and known only to who holds their id."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

from client.conversation import Conversation
from client.live import LiveTalk
from gateway.refusal import Refusal
from gateway.replies import Reply
from gateway.settings import GatewaySettings

_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class Chat:
    """One conversation and the videos of its latest replies."""

    def __init__(self, conversation: Conversation, folder: Path, replies_kept: int) -> None:
        self.id = secrets.token_urlsafe(16)
        self.conversation = conversation
        self._folder = folder / self.id
        self._folder.mkdir(parents=True, exist_ok=True)
        self._replies: OrderedDict[int, Reply] = OrderedDict()
        self._replies_kept = replies_kept
        self._lock = threading.Lock()
        self._count = 0
        self._live: LiveTalk | None = None
        self._is_closed = False
        self.touch()

    def touch(self) -> None:
        """Someone is here."""
        self._used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the chat was used; 0 while a reply is on its way or somebody is connected."""
        is_idle = self._latest_is_over() and self._live is None
        return time.monotonic() - self._used if is_idle else 0.0

    @property
    def is_live(self) -> bool:
        """Whether somebody talks live."""
        return self._live is not None

    @contextlib.contextmanager
    def live(self, talk: LiveTalk) -> Iterator[None]:
        """Talk live for a while. Whoever talked before, live or not, is cut off: a chat has one user.

        Raises:
            Refusal: the chat has been closed meanwhile.
        """
        try:
            with self._lock:
                if self._is_closed:
                    raise _ended()
                self._stop_latest()
                before, self._live = self._live, talk
            if before:
                before.close()
            yield
        finally:
            talk.close()
            with self._lock:
                self._live = None if self._live is talk else self._live
                self.touch()

    def answer(self, text: str, listened: Mapping[str, float] | None = None) -> tuple[int, Reply]:
        """Begin a reply, ending the one before if it still runs; returns its number too."""
        with self._lock:
            self.touch()
            self._stop_latest()
            if self._live:
                self._live.stop()
            self._count += 1
            reply = Reply(self.conversation, text, self._folder / f"{self._count}.mp4", listened)
            self._replies[self._count] = reply
            while len(self._replies) > self._replies_kept:
                self._replies.popitem(last=False)[1].discard()
            return self._count, reply

    def reply(self, number: int) -> Reply:
        """One of the latest replies.

        Raises:
            Refusal: there is none of that number, or no longer.
        """
        self.touch()
        if number not in self._replies:
            raise Refusal("This reply is no longer kept.", reason="REPLY_NOT_FOUND", status=404)
        return self._replies[number]

    def interrupt(self, heard_s: float | None) -> None:
        """Stop the running reply. `heard_s`: how much of it was heard; only that is remembered."""
        with self._lock:
            self.touch()
            self._stop_latest()
            if heard_s is not None:
                self.conversation.heard(heard_s)

    def close(self) -> None:
        """Stop and forget everything."""
        with self._lock:
            self._stop_latest()
            self._is_closed, talk = True, self._live
            shutil.rmtree(self._folder, ignore_errors=True)
        if talk:
            talk.close()

    def _latest_is_over(self) -> bool:
        return not self._replies or next(reversed(self._replies.values())).is_over

    def _stop_latest(self) -> None:
        if self._replies:
            next(reversed(self._replies.values())).cancel()


def _ended() -> Refusal:
    return Refusal("This chat has ended. Start a new one.", reason="CHAT_NOT_FOUND", status=404)


class Chats:
    """Every open chat of this gateway. Their folder holds nothing else and is emptied when the gateway starts."""

    def __init__(self, settings: GatewaySettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._lock = threading.Lock()
        self._chats: dict[str, Chat] = {}
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def open_count(self) -> int:
        """Chats that are open."""
        return len(self._chats)

    @property
    def talk_count(self) -> int:
        """Live talks that are going on."""
        return sum(chat.is_live for chat in list(self._chats.values()))

    def create(self, conversation: Conversation) -> Chat:
        """A new chat.

        Raises:
            Refusal: too many are open.
        """
        self.sweep()
        with self._lock:
            if len(self._chats) >= self._settings.max_chats:
                message = f"All {self._settings.max_chats} chats are taken. Try again when one has ended."
                values = {"max": str(self._settings.max_chats)}
                raise Refusal(message, reason="TOO_MANY_CHATS", status=429, values=values)
            chat = Chat(conversation, self._folder, self._settings.chat_replies_kept)
            self._chats[chat.id] = chat
            return chat

    def get(self, chat_id: str) -> Chat:
        """An open chat.

        Raises:
            Refusal: there is none of that id, or no longer.
        """
        chat = self._chats.get(chat_id) if _ID.fullmatch(chat_id) else None
        if chat is None:
            raise _ended()
        return chat

    def delete(self, chat_id: str) -> None:
        """End a chat and forget what was said and shown in it."""
        chat = self.get(chat_id)
        with self._lock:
            self._chats.pop(chat_id, None)
        chat.close()

    def sweep(self) -> None:
        """Forget the chats that nobody uses any more."""
        limit = self._settings.chat_idle_minutes * 60
        for chat_id, chat in list(self._chats.items()):
            if chat.idle_s > limit and self._chats.pop(chat_id, None):
                chat.close()
