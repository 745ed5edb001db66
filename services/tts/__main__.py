"""`python -m services.tts`: serve speech synthesis."""

from __future__ import annotations

from services.common.server import run
from services.tts.servicer import TtsServicer
from services.tts.settings import TtsSettings

if __name__ == "__main__":
    run(TtsServicer, TtsSettings)
