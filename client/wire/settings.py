"""Where the services are, and how long to wait for them."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClientSettings(BaseSettings):
    """gRPC targets; `dns:///render:50054` spreads calls over every replica behind the name."""

    model_config = SettingsConfigDict(env_prefix="VISAVIS_", use_attribute_docstrings=True, extra="ignore")

    asr_address: str = "127.0.0.1:50051"
    """Speech recognition."""

    llm_address: str = "127.0.0.1:50052"
    """Dialogue."""

    tts_address: str = "127.0.0.1:50053"
    """Speech synthesis."""

    render_address: str = "127.0.0.1:50054"
    """Rendering."""

    train_address: str = "127.0.0.1:50055"
    """Training."""

    llm_first_word_seconds: float = Field(15.0, gt=0)
    """How long the dialogue may take to begin an answer; then the avatar apologises. Slow models may need more."""

    llm_next_word_seconds: float = Field(10.0, gt=0)
    """How long the dialogue may pause within an answer."""
