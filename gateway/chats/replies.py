"""One reply of a chat: its events for the page, and its video on disk while it is being made.

The video is one file of fragmented MP4: the initialisation segment, then every fragment. The fragments of one sentence,
behind the same initialisation segment, can be streamed by themselves; their times go on over the whole reply, so a page
appends sentence after sentence to one SourceBuffer.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from client.talk.conversation import Event, Media, MediaType, Reply
from client.talk.runner import Runner
from client.wire.errors import CallError
from gateway.sse import HEARTBEAT_S


@dataclass(frozen=True)
class _Piece:
    """Where a fragment lies in the file."""

    sentence: int
    offset: int
    length: int


class KeptReply:
    """A reply that is being made, kept for any number of readers: what happens in it, and its video.

    It hears what comes of the reply from the one who runs it.
    """

    def __init__(self, reply: Reply, path: Path) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._events: list[Event | CallError] = []
        self._pieces: list[_Piece] = []
        self._init_bytes = 0
        self._is_over = False
        self._runner = Runner(reply)
        self._runner.start(self)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_over, seconds)

    def events(self) -> Iterator[Event | CallError | None]:
        """Everything from the beginning, ending when the reply does; None when nothing has come for a while."""
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._events) > seen or self._is_over, HEARTBEAT_S)  # noqa: B023
                fresh, over = self._events[seen:], self._is_over
            yield from fresh
            if not (fresh or over):
                yield None
            seen += len(fresh)
            if over:
                return

    def sentence_blocks(self, index: int) -> Iterator[bytes]:
        """One sentence's video as it is made: the initialisation segment, then its fragments."""
        seen, begun = 0, False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._pieces) > seen or self._is_over, 60)  # noqa: B023
                fresh, over = self._pieces[seen:], self._is_over
            seen += len(fresh)
            for piece in fresh:
                if piece.sentence == index and not begun:
                    begun = True
                    yield self._read(0, self._init_bytes)
                if piece.sentence == index:
                    yield self._read(piece.offset, piece.length)
            if over or any(piece.sentence > index for piece in fresh):
                return

    def cancel(self) -> None:
        """Stop all calls of the reply and wait until they have stopped."""
        self._runner.cancel()

    def break_off(self, seconds: float) -> None:
        """Stop it; so much of it was heard, and only that is remembered."""
        self._runner.cancel()
        self._runner.reply.break_off(seconds)

    def discard(self) -> None:
        """Forget the video."""
        self.cancel()
        self.path.unlink(missing_ok=True)

    def _read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def take(self, event: Event) -> None:
        if isinstance(event, MediaType):
            self.path.write_bytes(event.init_segment)
            self._init_bytes = len(event.init_segment)
        if isinstance(event, Media):
            self._pieces.append(self._kept(event))
            event = dataclasses.replace(event, data=b"")  # its bytes are in the file
        self._note(event)

    def _kept(self, media: Media) -> _Piece:
        with self.path.open("ab") as file:
            return _Piece(media.sentence_index, file.tell(), file.write(media.data))

    def fail(self, error: CallError) -> None:
        self._note(error)

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _note(self, event: Event | CallError) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
