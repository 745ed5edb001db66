"""Settings of the training service, from `TRAIN_…` variables."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.peers import PeerSettings


class TrainSettings(PeerSettings):
    """How recordings are checked and avatars trained."""

    model_config = SettingsConfigDict(
        env_prefix="TRAIN_", use_attribute_docstrings=True, extra="ignore", populate_by_name=True
    )

    port: int = 50055
    """Port to listen on; 0 lets the system choose."""

    engine: str = "portrait"
    """The engine that trains unless another is asked for: the name of a file in services/train/engines."""

    devices: list[str] = Field(default_factory=list)
    """Devices that avatars are trained on, one at a time on each; empty for all there are."""

    niceness: int = Field(5, ge=0, le=19)
    """How much a training yields to what answers people at once, 0 to 19."""

    max_upload_bytes: int = Field(2 * 1024**3, ge=1)
    """Largest recording that is accepted."""

    min_seconds: float = Field(10.0, gt=0)
    """Shortest recording that is accepted."""

    max_seconds: float = Field(1800.0, gt=0)
    """Longest recording that is accepted."""

    min_side: int = Field(240, ge=16)
    """Least height and width of a recording, in pixels."""

    max_checks: int = Field(4, ge=1)
    """Uploads that are checked at the same time; more wait."""

    keep_recordings_days: float = Field(7.0, gt=0)
    """How long a recording is kept that no avatar has been made of. One that has become an avatar goes at once."""
