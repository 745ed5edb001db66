"""Settings of the dialogue service, from `LLM_…` variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class LlmSettings(ServiceSettings):
    """Who answers, and how."""

    model_config = SettingsConfigDict(env_prefix="LLM_", use_attribute_docstrings=True, extra="ignore")

    port: int = 50052
    """Port to listen on; 0 lets the system choose."""

    engine: str = "knowledge"
    """The dialogue engine of calls that name none: the name of a file in services/llm/engines."""

    personas: Path | None = None
    """A folder of your own personas, one folder each; they come before the shipped ones."""

    default_persona: str = "visavis"
    """The persona of callers that name none."""

    temperature: float = Field(0.7, ge=0, le=2)
    """How free the language model is in its wording."""

    max_tokens: int = Field(400, ge=16, le=8192)
    """Longest reply of a language model."""

    history_characters: int = Field(6000, ge=200)
    """How much of the dialogue a language model remembers; the oldest turns are forgotten first."""

    max_message_characters: int = Field(4000, ge=100)
    """Longest message that a user may send."""
