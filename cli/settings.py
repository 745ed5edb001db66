"""Where things are on this machine, from the same variables that the services and the gateway read."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalSettings(BaseSettings):
    """What `visavis up` and `visavis doctor` read; the rest goes from the environment straight to the services."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True, extra="ignore", populate_by_name=True)

    gateway_host: str = "127.0.0.1"
    """Address of the page. On any other than loopback the gateway asks for GATEWAY_TOKEN."""

    gateway_port: int = 5001
    """Port of the page."""

    gateway_token: SecretStr = SecretStr("")
    """What the gateway asks for; `visavis talk` sends it."""

    storage_url: str = Field("", validation_alias="VISAVIS_STORAGE_URL")
    """Where avatars and voices live; empty for the data folder."""

    database_url: str = Field("", validation_alias="VISAVIS_DATABASE_URL")
    """The job table; empty for a file in the data folder."""

    models_folder: str = Field("", validation_alias="VISAVIS_MODELS_FOLDER")
    """Where models lie; empty for a folder in the data folder."""

    log_bytes: int = Field(5_000_000, validation_alias="VISAVIS_LOG_BYTES", ge=10_000)
    """Size at which a log begins anew; the one before it is kept."""

    def places(self, data: Path) -> dict[str, str]:
        """Variables that tell every process where to keep things, for a data folder."""
        return {
            "VISAVIS_STORAGE_URL": self.storage_url or data.as_uri(),
            "VISAVIS_DATABASE_URL": self.database_url or f"sqlite:///{data / 'jobs.sqlite'}",
            "VISAVIS_WORK_FOLDER": str(data / "work"),
            "VISAVIS_MODELS_FOLDER": self.models_folder or str(data / "models"),
            "GATEWAY_DATA_FOLDER": str(data / "gateway"),
        }


def child_environment(changes: dict[str, str]) -> dict[str, str]:
    """This process's environment with changes: what a service that we start sees."""
    return {**os.environ, **changes}  # noqa: TID251 - handed on whole, not read
