"""Whatever opens recordings opens only recordings."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import portrait.media
import services.common.media
from cli import talk

ROOT = Path(__file__).resolve().parents[2]
OPENERS = {"portrait/media.py", "services/common/media.py", "cli/talk.py"}
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile %s\n"


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """A recording that a playlist may name."""
    path = tmp_path / "tone.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp2", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16p", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


OPEN = [
    pytest.param(services.common.media.open_media, id="services"),
    pytest.param(lambda path: services.common.media.open_media(io.BytesIO(path.read_bytes())), id="services, object"),
    pytest.param(portrait.media.open_media, id="portrait"),
    pytest.param(lambda path: av.open(str(path), options=talk.ONLY_RECORDINGS), id="cli"),
]


@pytest.mark.parametrize("open_media", OPEN)
def test_only_the_file_itself_is_opened(open_media: Any, tone: Path, tmp_path: Path) -> None:
    with open_media(tone) as container:
        assert container.streams.audio
    for content in (SDP, PLAYLIST % b"tone.ts", CONCAT % b"tone.ts", PLAYLIST % b"http://127.0.0.1:9/tone.ts"):
        path = tmp_path / "recording.m3u8"
        path.write_bytes(content)
        with pytest.raises(av.error.FFmpegError):
            open_media(path)


def test_each_package_allows_the_same() -> None:
    assert services.common.media.FORMATS == portrait.media.FORMATS
    assert services.common.media.MOST_PIXELS == portrait.media.MOST_PIXELS
    assert tuple(talk.ONLY_RECORDINGS["format_whitelist"].split(",")) == portrait.media.FORMATS


def test_nothing_else_opens_media_for_reading() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("services", "portrait", "client", "gateway", "cli")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and reads_media(node)
    }
    assert found == OPENERS


def reads_media(call: ast.Call) -> bool:
    """`av.open` without "w", or OpenCV's own reader."""
    name = ast.unparse(call.func)
    return (
        name.endswith("VideoCapture")
        or name == "av.open"
        and not any(isinstance(each, ast.Constant) and each.value == "w" for each in call.args)
    )


def test_the_rooms_open_the_same_kinds() -> None:
    """They may not import each other, so each has its list."""
    from cli.talk import ONLY_RECORDINGS
    from portrait import media as of_portrait
    from services.common import media as of_services

    assert of_portrait.FORMATS == of_services.FORMATS
    assert of_portrait.MOST_PIXELS == of_services.MOST_PIXELS
    assert ONLY_RECORDINGS["format_whitelist"] == ",".join(of_services.FORMATS)
