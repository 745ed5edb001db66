"""The id of what a person asked for: it goes with every call made for that, and the services log it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from basics import logs
from client.wire.interceptor import Interceptor

_METADATA = "x-request-id"
_current = logs.request_id


def begin() -> str:
    """A new id, for the calls that this thread makes from now on."""
    _current.set(uuid.uuid4().hex[:16])
    return _current.get()


def current() -> str:
    """The id of this thread's calls."""
    return _current.get() or begin()


def kept(work: Callable[..., None]) -> Callable[..., None]:
    """The same work for another thread, under the id of this one."""
    current()
    return partial(copy_context().run, work)


class Sender(Interceptor):
    """Sends the id with every call of a channel."""

    def intercept(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        metadata = [*(details.metadata or ()), (_METADATA, current())]
        return proceed(details._replace(metadata=metadata), request)
