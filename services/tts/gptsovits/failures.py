"""What GPT-SoVITS says of what went wrong, in our words: it answers 400 with JSON, whatever it was."""

from __future__ import annotations

import json

from services.common.errors import ServiceError, Unavailable
from services.common.provider import MISSHAPEN
from services.tts import reference
from services.tts.remote.settings import SpeakerFailures, SpeakerSettings

_UNSEEN = ("not exists", "No such file", "Error opening", "ref_audio_path is required")
_LENGTH = ("3~10", "3-10")
_WORDLESS = ("prompt_text cannot be empty",)
_WEIGHTS = ("change gpt weight failed", "change sovits weight failed")


class GptSovitsFailures(SpeakerFailures):
    """What is known to go wrong with `api_v2`."""

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__(settings)
        self._here, self._there = (settings.variable(name) for name in ("references", "server_references"))
        self._weights = f"{settings.variable('gpt_weights')}, {settings.variable('sovits_weights')}"

    def explained(self, status: int, body: bytes) -> ServiceError | None:
        """What a refusal stands for, by the words in it; None if by its status alone."""
        try:
            told = json.loads(body)
            said = f"{told.get('message', '')} {told.get('Exception', '')}"
        except MISSHAPEN:
            return None
        known = (
            (_WEIGHTS, self.weights_not_taken), (_UNSEEN, self.reference_not_seen),
            (_LENGTH, self.reference_not_taken), (_WORDLESS, self.words_needed),
        )  # fmt: skip
        return next((failure() for signs, failure in known if any(sign in said for sign in signs)), None)

    def reference_not_seen(self) -> ServiceError:
        """The path of the recording leads nowhere on the server's machine."""
        message = (
            f"The server of '{self.engine}' does not find the voice's recording, which it reads from its own disk. Set "
            f"{self._here} to a folder that both see, and {self._there} to the same folder as the server sees it."
        )
        values = {"engine": self.engine, "here": self._here, "there": self._there}
        return Unavailable(message, reason="REFERENCE_NOT_SEEN", values=values)

    def reference_not_shared(self) -> ServiceError:
        """The folder cannot be written."""
        message = (
            f"The voice's recording cannot be laid into the folder that {self._here} names. Check its permissions."
        )
        values = {"engine": self.engine, "here": self._here}
        return Unavailable(message, reason="REFERENCE_NOT_SHARED", values=values)

    def reference_not_taken(self) -> ServiceError:
        """The recording is not of three to ten seconds."""
        message = f"The server of '{self.engine}' takes recordings of 3 to 10 seconds only. Choose another one."
        return Unavailable(message, reason="REFERENCE_NOT_TAKEN", values={"engine": self.engine})

    def words_needed(self) -> ServiceError:
        """This version of the model has to know what is said in the recording."""
        return reference.words_needed(self.engine)

    def weights_not_taken(self) -> ServiceError:
        """It cannot change to the model."""
        message = f"The server of '{self.engine}' cannot load its weights. Check {self._weights}: paths on its machine."
        values = {"engine": self.engine, "settings": self._weights}
        return Unavailable(message, reason="WEIGHTS_NOT_TAKEN", values=values)
