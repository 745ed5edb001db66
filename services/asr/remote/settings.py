"""How a remote recogniser is reached, and what can go wrong with it."""

from __future__ import annotations

from pydantic import Field

from services.common.errors import ServiceError, Unavailable, Unsupported
from services.common.provider import Failures, ProviderSettings

PIECES = 4
"""How many times as long as for a piece of an answer is waited for the whole of it."""


class RecogniserSettings(ProviderSettings):
    """As of every provider, with less patience: whoever speaks waits."""

    read_seconds: float = Field(15.0, gt=0)
    """How long to wait for the next piece of an answer; four times as long for the whole of it."""

    @property
    def answer_seconds(self) -> float:
        """How long to wait for the whole of an answer."""
        return PIECES * self.read_seconds


class RecogniserFailures(Failures):
    """What a provider says of sound rather than of words."""

    def not_taken(self) -> ServiceError:
        """It does not take this kind of sound, this language or this model."""
        message = f"'{self.engine}' does not take this speech: check {self.model} and whether it knows the language."
        return Unavailable(message, reason="SPEECH_NOT_TAKEN", values={"engine": self.engine, "model": self.model})

    def too_large(self) -> ServiceError:
        """The utterance is too long for it."""
        message = f"'{self.engine}' does not take so much speech at once. Lower ASR_MAX_UTTERANCE_MS."
        return Unavailable(message, reason="SPEECH_TOO_LONG", values={"engine": self.engine})

    def distrusted(self) -> ServiceError:
        """Nobody vouches for its certificate."""
        message = f"The certificate of '{self.engine}' is not trusted. Check {self.url}, or name the file of it."
        values = {"engine": self.engine, "url": self.url}
        return Unavailable(message, reason="PROVIDER_DISTRUSTED", values=values)

    def language_unknown(self, language: str, known: str) -> ServiceError:
        """It does not know the language."""
        message = f"This engine knows {known}, not '{language[:35]}'. Set ASR_ENGINE to an engine that does."
        values = {"language": language[:35], "engine": self.engine}
        return Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="config.language", values=values)
