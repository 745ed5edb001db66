"""Settings of the rendering service, from `RENDER_…` variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.peers import PeerSettings


class RenderSettings(PeerSettings):
    """How avatars are shown."""

    model_config = SettingsConfigDict(
        env_prefix="RENDER_", use_attribute_docstrings=True, extra="ignore", populate_by_name=True
    )

    port: int = 50054
    """Port to listen on; 0 lets the system choose."""

    engine: str = "portrait"
    """The engine that GetInfo describes; each avatar is shown by the engine that trained it."""

    starter_avatars: Path = Path(__file__).resolve().parents[2] / "demo" / "avatar"
    """Folder of avatars that are put into storage at the first start; one that is deleted does not come back."""

    device: str = ""
    """Where live speech is rendered: "cpu", "cuda:0"; empty for the fastest there is."""

    job_devices: list[str] = Field(default_factory=list)
    """Devices that videos are rendered on, one at a time on each; empty for all there are."""

    threads: int = Field(2, ge=1)
    """Processor threads that one calculation uses."""

    job_processes: int = Field(0, ge=0)
    """Processes that draw one video together; 0 for as many as there are processors and memory for."""

    job_niceness: int = Field(5, ge=0, le=19)
    """How much the drawing of videos yields to what answers people at once, 0 to 19."""

    max_streams: int = Field(4, ge=1)
    """Replies rendered live at the same time; more are answered RESOURCE_EXHAUSTED."""

    max_clips: int = Field(1, ge=1)
    """Replies of avatars that talk turn by turn made at the same time; others wait, and their pages say so."""

    live_ahead_seconds: float = Field(4.0, ge=1)
    """How far ahead of its being played a live reply is rendered; then it waits, and others get the processor."""

    loaded_avatars: int = Field(4, ge=1)
    """Avatars kept in memory; the one unused for longest makes room."""

    max_size: int = Field(1024, ge=64)
    """Largest height and width of a video, in pixels."""

    live_preset: str = "veryfast"
    """x264 preset of live video."""

    live_crf: int = Field(18, ge=0, le=51)
    """x264 quality of live video; lower is better and larger."""

    idle_crf: int = Field(10, ge=0, le=51)
    """x264 quality of idle loops; coarser ones differ visibly from the reply that follows."""

    prepare_idle_loops: bool = True
    """Whether idle loops are drawn ahead, while the processor is free; otherwise when they are first asked for."""

    file_preset: str = "veryfast"
    """x264 preset of video files."""

    file_crf: int = Field(14, ge=0, le=51)
    """x264 quality of video files; lower is better and larger."""

    visible_label: bool = True
    """Whether a label that says that it was made by AI is drawn into every video."""

    label_text: str = "AI"
    """What the visible label says."""

    subtitle_font: str = ""
    """Font file for burned-in subtitles; empty finds one that has the letters."""

    max_upload_bytes: int = Field(512 * 1024**2, ge=1)
    """Largest recording that a video can be made from."""

    max_speech_seconds: float = Field(3600.0, gt=0)
    """Longest video."""

    input_timeout_seconds: float = Field(1800.0, gt=0)
    """How long a video's job waits for its speech."""
