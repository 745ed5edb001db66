"""Settings of the dialogue service, from `LLM_…` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class LlmSettings(ServiceSettings):
    """Who answers, and how."""

    model_config = SettingsConfigDict(env_prefix="LLM_", use_attribute_docstrings=True, extra="ignore")

    port: int = 50052
    """Port to listen on; 0 lets the system choose."""

    engine: str = "knowledge"
    """The dialogue engine: the name of a file in services/llm/engines."""

    personas: Path | None = None
    """A folder of your own personas, one folder each; they come before the shipped ones."""

    default_persona: str = "visavis"
    """The persona of callers that name none."""

    api_key: SecretStr = SecretStr("")
    """Key of the language model's provider. Local servers such as Ollama need none."""

    base_url: str = ""
    """Address of the language model's API, e.g. `http://127.0.0.1:11434/v1`; empty for the provider's own."""

    model: str = ""
    """Name of the language model; empty for the engine's default."""

    thinking: Literal["enabled", "disabled"] = "disabled"
    """Whether GLM models may think before they answer. It delays the first word by seconds."""

    temperature: float = Field(0.7, ge=0, le=2)
    """How free the language model is in its wording."""

    max_tokens: int = Field(400, ge=16, le=8192)
    """Longest reply of a language model."""

    history_characters: int = Field(6000, ge=200)
    """How much of the dialogue a language model remembers; the oldest turns are forgotten first."""

    max_message_characters: int = Field(4000, ge=100)
    """Longest message that a user may send."""

    connect_seconds: float = Field(5.0, gt=0)
    """How long to wait for the provider to accept a connection."""

    read_seconds: float = Field(30.0, gt=0)
    """How long to wait for the next piece of a reply."""
