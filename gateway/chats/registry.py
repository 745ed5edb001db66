"""Chats: who talks with which avatar. Capped in number, put away when idle, and known only to who holds their id."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import shutil
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from client.talk.conversation import Conversation
from client.wire.services import Services
from gateway.chats.archive import Archive, json_of, record_of
from gateway.chats.replies import KeptReply
from gateway.refusal import Refusal
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

RESTING_S = 20.0
"""A chat unused for so long makes room for another: by then, what was asked of it has been fetched."""
ENDING_S = 0.5
"""A talk whose client has just hung up ends within this time; its place is waited for."""
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class Talk(Protocol):
    """What a chat asks of whoever talks live in it."""

    def stop(self) -> None:
        """End the reply."""

    def end(self, why: Refusal | None = None) -> None:
        """End the talk, telling the client why."""


class Chat:
    """One conversation, stored whenever something is said, and the videos of its latest replies."""

    def __init__(
        self,
        conversation: Conversation,
        folder: Path,
        replies_kept: int,
        archive: Archive,
        stored: dict[str, Any] | None = None,
        greeting: str = "",
    ) -> None:
        born: dict[str, Any] = {
            "id": secrets.token_urlsafe(16),
            "greeting": greeting,
            "greeted_by": conversation.avatar,
        }
        born |= {"created_at": time.time()}
        self._born = {name: stored[name] for name in born} if stored else born
        self.id, self.conversation = self._born["id"], conversation
        self._archive, self._saving, self._is_forgotten = archive, threading.Lock(), False
        self._folder = folder / self.id
        self._folder.mkdir(parents=True, exist_ok=True)
        self._replies: OrderedDict[int, KeptReply] = OrderedDict()
        self._replies_kept = replies_kept
        self._lock = threading.Lock()
        self._count = 0
        self._live: Talk | None = None
        self._is_closed = False
        conversation.on_change = self._save
        self.touch()

    def told(self) -> dict[str, Any]:
        """The whole conversation, with all that is needed to go on with it."""
        return self._born | json_of(self.conversation.record())

    def store(self) -> None:
        """Write it down.

        Raises:
            OSError: there is no room.
        """
        with self._saving:
            if not self._is_forgotten:
                self._archive.write(self.id, self.told())

    def _save(self) -> None:
        try:
            self.store()
        except Exception:  # the talk is worth more than its record
            logger.exception("a conversation could not be stored")

    def touch(self) -> None:
        """Someone is here."""
        self._used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the chat was used; 0 while a reply is on its way or somebody is connected."""
        latest = self._latest()
        is_used = self._live is not None or (latest is not None and not latest.is_over)
        return 0.0 if is_used else time.monotonic() - self._used

    @property
    def is_live(self) -> bool:
        """Whether somebody talks live."""
        return self._live is not None

    @contextlib.contextmanager
    def live(self, talk: Talk) -> Iterator[None]:
        """Talk live for a while. Whoever talked before, live or not, is cut off: a chat has one user.

        Raises:
            Refusal: the chat has been closed meanwhile.
        """
        try:
            with self._lock:
                self._check_open()
                self._stop_latest()
                before, self._live = self._live, talk
            if before:
                before.end(_taken_over())
            yield
        finally:
            talk.end()
            with self._lock:
                self._live = None if self._live is talk else self._live
                self.touch()

    def answer(self, text: str, listened: Mapping[str, float] | None = None) -> tuple[int, KeptReply]:
        """Begin a reply, ending the one before if it still runs; returns its number too.

        Raises:
            Refusal: the chat has been closed meanwhile.
        """
        with self._lock:
            self._check_open()
            self.touch()
            self._stop_latest()
            if self._live:
                self._live.stop()
            self._count += 1
            reply = KeptReply(self.conversation.reply(text, listened), self._folder / f"{self._count}.mp4")
            self._replies[self._count] = reply
            while len(self._replies) > self._replies_kept:
                self._replies.popitem(last=False)[1].discard()
            return self._count, reply

    def reply(self, number: int) -> KeptReply:
        """One of the latest replies.

        Raises:
            Refusal: there is none of that number, or no longer.
        """
        self.touch()
        if number not in self._replies:
            raise Refusal("This reply is no longer kept.", reason="REPLY_NOT_FOUND", status=404)
        return self._replies[number]

    def interrupt(self, heard_s: float | None) -> None:
        """Stop the latest reply. `heard_s`: how much of it was heard; only that is remembered."""
        with self._lock:
            self.touch()
            latest = self._latest()
            if latest and heard_s is not None:
                latest.break_off(heard_s)
            elif latest:
                latest.cancel()

    def close(self, why: Refusal | None = None) -> None:
        """Stop everything and delete the videos; what was said stays stored. `why` is told to who talks live."""
        with self._lock:
            self._stop_latest()
            self._is_closed, talk = True, self._live
            shutil.rmtree(self._folder, ignore_errors=True)
        if talk:
            talk.end(why)

    def forget(self) -> None:
        """Close it, and keep nothing of what was said either."""
        self.close(_deleted())
        with self._saving:
            self._is_forgotten = True
            self._archive.delete(self.id)

    def _check_open(self) -> None:
        if self._is_closed:
            raise _ended()

    def _latest(self) -> KeptReply | None:
        return next(reversed(self._replies.values()), None)

    def _stop_latest(self) -> None:
        if latest := self._latest():
            latest.cancel()


def _ended() -> Refusal:
    return Refusal("This chat has ended. Start a new one.", reason="CHAT_NOT_FOUND", status=404)


def _taken_over() -> Refusal:
    return Refusal("This chat goes on in another window or program.", reason="TAKEN_OVER", status=409)


def _deleted() -> Refusal:
    return Refusal("This chat has been deleted. Start a new one.", reason="CHAT_DELETED", status=404)


class Chats:
    """Every chat of this gateway: some open, the others stored until somebody asks for them again.

    The folder of the open ones' videos holds nothing else and is emptied when the gateway starts.
    """

    def __init__(self, settings: GatewaySettings, folder: Path, archive: Archive, services: Services) -> None:
        self._settings, self._folder, self._archive, self._services = settings, folder, archive, services
        self._lock = threading.Lock()
        self._chats: dict[str, Chat] = {}
        self._talking: Counter[str] = Counter()
        self._freed = threading.Condition(self._lock)
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def open_count(self) -> int:
        """Chats that are open."""
        return len(self._chats)

    @property
    def talk_count(self) -> int:
        """Live talks that are going on."""
        return sum(chat.is_live for chat in list(self._chats.values()))

    def create(self, conversation: Conversation, greeting: str = "") -> Chat:
        """A new chat.

        Raises:
            Refusal: too many are in use.
        """
        with self._lock:
            self._make_room()
            chat = Chat(conversation, self._folder, self._settings.chat_replies_kept, self._archive, greeting=greeting)
            chat.store()
            self._chats[chat.id] = chat
            return chat

    def get(self, chat_id: str) -> Chat:
        """A chat, ready to go on; one that is stored is opened again.

        Raises:
            Refusal: there is none of that id, or no longer; or it is stored, and too many are in use.
        """
        with self._lock:
            chat = self._chats.get(chat_id)
            if chat is None:
                chat = self._chats[chat_id] = self._reopened(self._stored(chat_id))
            chat.touch()
            return chat

    def is_open(self, chat_id: str) -> bool:
        """Whether a chat is in memory."""
        return chat_id in self._chats

    def told(self, chat_id: str) -> dict[str, Any]:
        """A whole conversation; that does not open it.

        Raises:
            Refusal: there is none of that id, or no longer.
        """
        with self._lock:
            chat = self._chats.get(chat_id)
            return chat.told() if chat else self._stored(chat_id)

    def delete(self, chat_id: str) -> None:
        """End a chat and forget what was said and shown in it.

        Raises:
            Refusal: there is none of that id, or no longer.
        """
        with self._lock:
            chat = self._chats.pop(chat_id, None)
            if chat is None and not (_ID.fullmatch(chat_id) and self._archive.delete(chat_id)):
                raise _ended()
        if chat:
            chat.forget()

    @contextlib.contextmanager
    def place(self, chat: Chat) -> Iterator[None]:
        """One of the places of those who talk live. A chat whose newer connection takes over has its place already.

        Raises:
            Refusal: all are taken.
        """
        with self._freed:
            if not self._freed.wait_for(lambda: self._has_place(chat), ENDING_S):
                raise self._busy()
            self._talking[chat.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._talking[chat.id] -= 1
                if not self._talking[chat.id]:
                    del self._talking[chat.id]
                    self._freed.notify_all()

    def sweep(self) -> None:
        """Put away the chats that nobody uses any more, and forget those stored for too long."""
        limit = self._settings.chat_idle_minutes * 60
        with self._lock:
            for chat in [chat for chat in self._chats.values() if chat.idle_s > limit]:
                self._put_away(chat)
        self._archive.sweep()

    def close(self) -> None:
        """Put everything away: the gateway is about to end."""
        for chat in list(self._chats.values()):
            chat.close()

    def _stored(self, chat_id: str) -> dict[str, Any]:
        stored = self._archive.read(chat_id) if _ID.fullmatch(chat_id) else None
        if stored is None:
            raise _ended()
        return {"greeted_by": stored["avatar"]} | stored | json_of(record_of(stored))

    def _reopened(self, stored: dict[str, Any]) -> Chat:
        self._make_room()
        conversation = Conversation.of(self._services, record_of(stored))
        return Chat(conversation, self._folder, self._settings.chat_replies_kept, self._archive, stored)

    def _make_room(self) -> None:
        """Put away the chat that has rested for longest if there is no room for another."""
        if len(self._chats) < self._settings.max_chats:
            return
        longest = max(self._chats.values(), key=lambda chat: chat.idle_s)
        if longest.idle_s < self._rest_s:
            message = f"All {self._settings.max_chats} chats are taken. Try again when one has ended."
            values = {"max": str(self._settings.max_chats)}
            raise Refusal(message, reason="TOO_MANY_CHATS", status=429, values=values)
        self._put_away(longest)

    @property
    def _rest_s(self) -> float:
        """What is not stored would be lost, so it stays until it is idle."""
        return RESTING_S if self._archive.is_used else self._settings.chat_idle_minutes * 60

    def _put_away(self, chat: Chat) -> None:
        del self._chats[chat.id]
        chat.close()

    def _has_place(self, chat: Chat) -> bool:
        return chat.id in self._talking or len(self._talking) < self._settings.max_talks

    def _busy(self) -> Refusal:
        count = self._settings.max_talks
        message = f"{count} live talks are going on, and no more are possible. Try again in a little, or write instead."
        return Refusal(message, reason="TOO_MANY_TALKS", status=429, values={"max": str(count)})
