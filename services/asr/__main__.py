"""`python -m services.asr`: serve speech recognition."""

from __future__ import annotations

from services.asr.servicer import AsrServicer
from services.asr.settings import AsrSettings
from services.common.server import run

if __name__ == "__main__":
    run(AsrServicer, AsrSettings)
