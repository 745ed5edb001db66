"""What can go wrong with models, in words for people."""

from __future__ import annotations

from typing import ClassVar


class ModelError(Exception):
    """An error with a stable `reason` on which translations key.

    Args:
        message: plain English.
        remedy: the command that mends it, if it is not in the message.
        values: what a translation of the message needs to fill in.
    """

    default_reason: ClassVar[str]

    def __init__(self, message: str, *, remedy: str = "", **values: str) -> None:
        super().__init__(f"{message} Run: {remedy}" if remedy else message)
        self.message, self.remedy, self.reason = message, remedy, self.default_reason
        self.values = {**values, "remedy": remedy} if remedy else values


class CatalogueWrong(ModelError):
    """A catalogue's file cannot be read; the message names the file and the key."""

    default_reason = "MODEL_CATALOGUE_WRONG"


class UnknownModel(ModelError):
    """No catalogue has that name."""

    default_reason = "MODEL_UNKNOWN"


class NotThere(ModelError):
    """The model has not been pulled."""

    default_reason = "MODEL_MISSING"


class NotPulled(ModelError):
    """None of its sources had it."""

    default_reason = "MODEL_NOT_PULLED"


class NoSpace(ModelError):
    """The disk is too full for it."""

    default_reason = "MODEL_NO_SPACE"


class Unwritable(ModelError):
    """The folder of models cannot be written."""

    default_reason = "MODEL_FOLDER_UNWRITABLE"

    @classmethod
    def because(cls, error: OSError) -> Unwritable:
        """The error for what the system says, without the path, which is the machine's own."""
        cause = error.strerror or type(error).__name__
        return cls(f"The folder of models cannot be written: {cause}. Correct VISAVIS_MODELS_FOLDER.", cause=cause)


class InUse(ModelError):
    """Another process is pulling it."""

    default_reason = "MODEL_BEING_PULLED"


class BadArchive(ModelError):
    """An archive cannot be read, or holds what would lead out of it."""

    default_reason = "MODEL_BAD_ARCHIVE"


class NothingNew(ModelError):
    """Nothing that was brought is needed."""

    default_reason = "MODEL_NOTHING_NEW"


class WrongBytes(ModelError):
    """A file that was brought is not what it seems to be."""

    default_reason = "MODEL_WRONG_BYTES"


class SourceFailed(Exception):
    """One source did not help; the message goes on from "it …", e.g. "cannot be reached"."""
