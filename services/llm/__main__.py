"""`python -m services.llm`: serve dialogue."""

from __future__ import annotations

from services.common.server import run
from services.llm.servicer import LlmServicer
from services.llm.settings import LlmSettings

if __name__ == "__main__":
    run(LlmServicer, LlmSettings)
