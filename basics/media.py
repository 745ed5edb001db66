"""Opening recordings, which may come from anybody: only usual kinds of files, and nothing but the file itself.

FFmpeg opens much more when it is asked to guess: descriptions of streams to listen to on the network, playlists and
concatenations that name other files, devices. And it decodes whatever size of picture a header claims.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import av

FORMATS = (
    "wav", "w64", "aiff", "caf", "au", "flac", "mp3", "aac", "ac3", "amr", "ogg",
    "mov", "matroska", "avi", "asf", "flv", "mpeg", "mpegts",
)  # fmt: skip
"""FFmpeg's names; "mov" is MP4 and M4A too, "matroska" WebM. None of them names other files that would be opened."""
MOST_PIXELS = 8192 * 4320
"""Of a picture of a video, which is 8K; larger ones are not decoded."""
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(FORMATS),
    "max_pixels": str(MOST_PIXELS),
}


def open_media(source: Path | IO[bytes]) -> av.container.InputContainer:
    """Open a recording for reading.

    Raises:
        av.error.FFmpegError: it is none, or of no usual kind.
    """
    container = av.open(str(source) if isinstance(source, Path) else source, "r", options=_OPTIONS)
    for stream in container.streams.video:
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return container


def best_video(container: av.container.InputContainer) -> av.VideoStream | None:
    """The picture track that players show."""
    stream = container.streams.best("video")
    return stream if isinstance(stream, av.VideoStream) else None


def best_audio(container: av.container.InputContainer) -> av.AudioStream | None:
    """The sound track that players play."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, av.AudioStream) else None
