"""Settings that every service has. Each service subclasses this with its own `env_prefix`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DATA = Path("data")


class ServiceSettings(BaseSettings):
    """Where a service listens and keeps things. Fields below with a `VISAVIS_` variable are shared by all services."""

    model_config = SettingsConfigDict(use_attribute_docstrings=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    """Address to listen on. Only the gateway is meant to be reached from outside."""

    port: int = 50051
    """Port to listen on; 0 lets the system choose."""

    choices: ClassVar[tuple[str, ...]] = ()
    """Where no engine is set, the first of these that can be used is the default one, or else the last."""

    engine: str = ""
    """The engine of calls that name none: the name of a file in the service's `engines` folder."""

    engines: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of engines by name, as JSON; they come before the engines' own variables."""

    engine_folder: Path | None = Field(None, validation_alias="VISAVIS_ENGINE_FOLDER")
    """Folder with engines of your own besides the shipped ones, each a file `<service>/<name>.py` in it."""

    preload: list[str] = Field(default_factory=list)
    """Engines loaded at the start besides the default one, as a JSON list; others load when first used."""

    engine_idle_minutes: float = Field(5.0, ge=0)
    """An engine unused for so long is unloaded when memory is short; the default one never is."""

    max_concurrent_calls: int = 64
    """Calls served at once; more are answered RESOURCE_EXHAUSTED."""

    drain_seconds: float = 20.0
    """Time that running calls get to finish after SIGTERM."""

    max_connection_age_seconds: int = 300
    """Age at which clients are asked to reconnect, so that new replicas are seen."""

    storage_url: str = Field(default_factory=lambda: DATA.resolve().as_uri(), validation_alias="VISAVIS_STORAGE_URL")
    """fsspec URL under which avatars, voices, recordings and results live; the same for all services."""

    database_url: str = Field(
        default_factory=lambda: f"sqlite:///{DATA.resolve() / 'jobs.sqlite'}", validation_alias="VISAVIS_DATABASE_URL"
    )
    """SQLAlchemy URL of the job table; the same for all services."""

    work_folder: Path = Field(default_factory=lambda: DATA.resolve() / "work", validation_alias="VISAVIS_WORK_FOLDER")
    """Local folder for work in progress: checkpoints, caches of avatars from remote storage."""

    keep_failed_days: float = Field(7.0, gt=0, validation_alias="VISAVIS_KEEP_FAILED_DAYS")
    """How long what a failed job has made so far is kept, so that it can be resumed; deleting the job frees it."""

    log_level: str = Field("INFO", validation_alias="VISAVIS_LOG_LEVEL")
    """Least level that is logged."""
