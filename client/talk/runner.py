"""Runs a reply in a thread of its own, whatever it answers: what was written as much as what was said."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Protocol

from client.talk.channel import Cancelled
from client.talk.conversation import Event, Reply
from client.wire import request_id
from client.wire.errors import CallError, from_failure

logger = logging.getLogger(__name__)

JOIN_S = 5.0


class Listener(Protocol):
    """Whom a runner tells, in its own thread, what comes of the reply."""

    def take(self, event: Event) -> None:
        """The next event. The reply waits meanwhile.

        Raises:
            Cancelled: nobody wants the rest of it.
        """

    def fail(self, error: CallError) -> None:
        """It broke, and not because it was cancelled. No event follows."""

    def end(self) -> None:
        """Nothing follows, however it ended."""


class Runner:
    """A reply on its way to a listener. Any thread may cancel it once it has been started."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.cancelled = threading.Event()
        self._is_over = False
        self._thread = threading.Thread()

    def start(self, listener: Listener) -> None:
        """Begin. Once."""
        self._thread = threading.Thread(target=request_id.kept(self._run), args=(listener,), daemon=True)
        self._thread.start()

    @property
    def is_sent(self) -> bool:
        """Whether all that will ever come of it has come."""
        return self._is_over or self.reply.is_complete

    def cancel(self) -> None:
        """Stop all calls of the reply and wait until they have stopped."""
        self.cancelled.set()
        self.reply.cancel()
        self._thread.join(JOIN_S)

    def _run(self, listener: Listener) -> None:
        try:
            with contextlib.closing(self.reply):
                for event in self.reply:
                    listener.take(event)
        except Cancelled:
            pass
        except CallError as error:
            self._fail(error, listener)
        except Exception as error:  # noqa: BLE001 - whatever it was, whoever waits for the reply must learn of it
            logger.exception("a reply broke")
            self._fail(from_failure(error), listener)
        finally:
            self._is_over = True
            listener.end()

    def _fail(self, error: CallError, listener: Listener) -> None:
        if not self.cancelled.is_set():
            with contextlib.suppress(Cancelled):
                listener.fail(error)
