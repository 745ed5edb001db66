"""How a server that speaks is reached, and what can go wrong with it."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.common.engine import EngineSettings
from services.common.errors import InvalidInput, ServiceError, Unavailable, Unsupported
from services.common.provider import Failures


class SpeakerSettings(EngineSettings):
    """How a server that speaks is reached. An engine's own class adds the prefix."""

    url: str = ""
    """Address of the server."""

    api_key: SecretStr = SecretStr("")
    """Key that a proxy before the server asks for, sent as a bearer token; the server itself needs none."""

    model: str = ""
    """The model that the server was started with."""

    connect_seconds: float = Field(5.0, gt=0)
    """How long to wait for the server to accept a connection."""

    read_seconds: float = Field(30.0, gt=0)
    """How long to wait for the next piece of the speech; four times as long for all of a sentence."""

    @property
    def answer_seconds(self) -> float:
        """How long to wait for the whole of a sentence."""
        return 4 * self.read_seconds


class SpeakerFailures(Failures):
    """What a server says of speech rather than of words."""

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__(settings, url="url")

    def not_taken(self) -> ServiceError:
        """It cannot do anything with the request."""
        message = f"The server of '{self.engine}' does not take this request. Check {self.model}; its log tells more."
        values = {"engine": self.engine, "model": self.model}
        return Unavailable(message, reason="SPEAKING_NOT_TAKEN", values=values)

    def nothing_spoken(self) -> ServiceError:
        """The answer is empty, or nothing in it can be heard: that is how some servers tell that they failed."""
        message = f"The server of '{self.engine}' sent silence for this sentence. Try again; its log tells more."
        return Unavailable(message, reason="NOTHING_SPOKEN", values={"engine": self.engine})

    def language_unknown(self, language: str, known: str) -> ServiceError:
        """Its model does not speak the language."""
        message = f"This engine speaks {known}, not '{language[:35]}'. Choose another engine for it."
        values = {"language": language[:35], "engine": self.engine}
        return Unsupported(message, reason="LANGUAGE_NOT_SUPPORTED", field="language", values=values)

    def voice_needed(self, speaker: str) -> ServiceError:
        """It has no voice of its own."""
        message = f"'{self.engine}' has no voice of its own here. Choose a registered voice, or set {speaker}."
        values = {"engine": self.engine, "setting": speaker}
        return InvalidInput(message, reason="VOICE_NEEDED", field="config.voice", values=values)

    def nothing_to_say(self) -> ServiceError:
        """There is no sentence in the text."""
        return InvalidInput("There is nothing to say. Write a sentence.", reason="NOTHING_TO_SAY", field="text")
