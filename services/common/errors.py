"""The errors that a service may answer with. Engines and servicers raise them; `interceptors.py` maps them to gRPC.

A message is for the person who reads it: it says what is wrong and what to do, in one or two plain sentences. It never
holds the user's text, a path of this machine or a key.
"""

from __future__ import annotations

from typing import Self

from basics.problem import Problem, ProblemError


class ServiceError(ProblemError):
    """An error with a stable `reason` (UPPER_SNAKE_CASE) that callers and translations key on.

    Args:
        message: plain English for the person, with the remedy.
        reason: stable identifier, e.g. `NO_FACE`; the page translates by it.
        field: the request field that caused it, when one did.
        values: what a translation of the message needs to fill in, e.g. `{"second": "12.4"}`.
    """

    default_reason = "INTERNAL"
    retry_after_s = 0.0
    """Seconds until whoever refused wants to be asked again; 0 where that is not told."""

    def __init__(
        self, message: str, *, reason: str = "", field: str = "", values: dict[str, str] | None = None
    ) -> None:
        super().__init__(Problem(reason or self.default_reason, message, field, values or {}))

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """The error that says this."""
        error = cls(problem.message)
        error.problem = problem
        return error


class InvalidInput(ServiceError):
    """The request is wrong and repeating it will not help."""

    default_reason = "INVALID_INPUT"


class NotFound(ServiceError):
    """No avatar, voice, job or upload has that name."""

    default_reason = "NOT_FOUND"


class AlreadyExists(ServiceError):
    """The name is taken."""

    default_reason = "ALREADY_EXISTS"


class Conflict(ServiceError):
    """The thing is there, but not in a state that allows this."""

    default_reason = "CONFLICT"


class Unsupported(ServiceError):
    """The chosen engine cannot do this; another one may."""

    default_reason = "UNSUPPORTED"


class Busy(ServiceError):
    """Too much is going on; try again soon."""

    default_reason = "BUSY"


class StorageFull(ServiceError):
    """No room is left on the disk."""

    default_reason = "STORAGE_FULL"


class Unavailable(ServiceError):
    """The service is loading, or something it depends on cannot be reached."""

    default_reason = "UNAVAILABLE"


class Internal(ServiceError):
    """The service broke; the log has the details under the request id."""

    default_reason = "INTERNAL"
