"""What can be wrong with a recording, in words that a person who made it understands."""

from __future__ import annotations


class RecordingError(ValueError):
    """The recording cannot become an avatar; `reason` is a stable name, the message is for people.

    `values` are what the message says in figures, for a translation to say too.
    """

    def __init__(self, reason: str, message: str, values: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason, self.values = reason, values or {}

    def __reduce__(self) -> tuple[type[RecordingError], tuple[str, str, dict[str, str]]]:
        return type(self), (self.reason, str(self), self.values)  # it may come from another process


class NotComparable(ValueError):
    """Two videos cannot be judged by each other; `reason` is a stable name, `video` says which one is at fault."""

    def __init__(self, reason: str, video: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.video = reason, video

    def __reduce__(self) -> tuple[type[NotComparable], tuple[str, str, str]]:
        return type(self), (self.reason, self.video, str(self))


class EncoderError(ValueError):
    """A folder holds no speech encoder that can be used; the message says why."""


class AvatarError(ValueError):
    """An avatar's folder is missing, incomplete or from another version."""
