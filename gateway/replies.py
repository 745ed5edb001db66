"""One reply of a chat: its events for the page, and its video on disk while it is being made.

The video is one file of fragmented MP4: the initialisation segment, then every fragment. The fragments of one sentence,
behind the same initialisation segment, can be streamed by themselves; their times go on over the whole reply, so a page
appends sentence after sentence to one SourceBuffer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from client import request_id
from client.conversation import Apology, Conversation, Delta, Done, Event, Media, MediaType, Sentence, Words
from client.errors import CallError, from_failure
from gateway.sse import HEARTBEAT_S

logger = logging.getLogger(__name__)

JOIN_S = 5.0


@dataclass(frozen=True)
class _Piece:
    """Where a fragment lies in the file."""

    sentence: int
    offset: int
    length: int


class Reply:
    """A reply being written, spoken and shown by a thread; any number of readers follow it."""

    def __init__(
        self, conversation: Conversation, text: str, path: Path, listened: Mapping[str, float] | None = None
    ) -> None:
        self._reply, self.path = conversation.reply(text, listened), path
        self._changed = threading.Condition()
        self._events: list[Event | CallError] = []
        self._pieces: list[_Piece] = []
        self._init_bytes = 0
        self._is_over = False
        self._thread = threading.Thread(target=request_id.kept(self._run), daemon=True)
        self._thread.start()

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
            yield from fresh or ([] if over else [None])
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
        if not self._is_over:
            self._reply.cancel()
            self._thread.join(JOIN_S)

    def discard(self) -> None:
        """Forget the video."""
        self.cancel()
        self.path.unlink(missing_ok=True)

    def _read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _run(self) -> None:
        try:
            with contextlib.closing(self._reply), self.path.open("wb") as file:
                for event in self._reply:
                    self._keep(event, file)
                    self._note(event)
        except CallError as error:
            self._note(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the page must learn of it
            logger.exception("a reply broke")
            self._note(from_failure(error))
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _keep(self, event: Event, file: BinaryIO) -> None:
        if isinstance(event, MediaType):
            self._init_bytes = file.write(event.init_segment)
        elif isinstance(event, Media):
            piece = _Piece(event.sentence_index, file.tell(), len(event.data))
            file.write(event.data)
            file.flush()
            with self._changed:
                self._pieces.append(piece)

    def _note(self, event: Event | CallError) -> None:
        if isinstance(event, Media):  # the page needs to know the sentence, not the bytes
            event = Media(event.sentence_index, b"", event.frame_index, event.frame_count)
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


def as_page_events(
    events: Iterator[Event | CallError | None], sentence_url: str, video_url: str
) -> Iterator[tuple[str, dict] | Apology | CallError | None]:
    """A reply's events under the names that pages know. `media` comes once per sentence, with its first fragment.

    Args:
        sentence_url: where a sentence's video is, with `{index}` for its number.
        video_url: where the whole reply's video is.
    """
    media_type, shown = "", set()
    for event in events:
        match event:
            case None | CallError() | Apology():
                yield event
            case Delta(text):
                yield "delta", {"text": text}
            case Sentence(index, text, start_s):
                yield "sentence", {"index": index, "text": text, "start_s": start_s}
            case Words(index, words):
                yield "words", {"index": index, "words": words}
            case MediaType():
                media_type = event.media_type
                yield None
            case Media(sentence_index=index) if index not in shown:
                shown.add(index)
                yield "media", {"index": index, "url": sentence_url.format(index=index), "media_type": media_type}
            case Done():
                yield "done", dataclasses.asdict(event) | {"video_url": video_url}
            case _:
                yield None  # so that the stream is written to, and a reader who has gone is noticed
