"""What is known to go wrong with CosyVoice's servers."""

from __future__ import annotations

from services.common.errors import ServiceError, Unavailable
from services.tts.cosyvoice.asked import Way
from services.tts.remote.settings import SpeakerFailures, SpeakerSettings


class CosyVoiceFailures(SpeakerFailures):
    """What is known to go wrong with CosyVoice's servers."""

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__(settings)
        self._speaker = settings.variable("speaker")

    def fallen(self, way: Way) -> ServiceError:
        """The server failed before the first sound; both wires tell no more than that."""
        if way in (Way.SFT, Way.INSTRUCT):
            message = (
                f"The server of '{self.engine}' failed before the first sound: its model may have no voice of the name "
                f"in {self._speaker}. CosyVoice 2 and 3 come without any."
            )
            values = {"engine": self.engine, "setting": self._speaker}
            return Unavailable(message, reason="SPEAKER_UNKNOWN", values=values)
        broken, whole = "622a3a1 (2025-12-08)", "d985106 (2025-12-04)"
        message = (
            f"The server of '{self.engine}' failed before the first sound, as CosyVoice's own servers do with "
            f"recordings since commit {broken}. Run commit {whole}, for models up to 2, or correct its server.py."
        )
        values = {"engine": self.engine, "broken": broken, "whole": whole}
        return Unavailable(message, reason="SERVER_KNOWN_BROKEN", values=values)
