"""Whatever opens recordings opens only recordings."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import basics.media
import portrait.media.opening

ROOT = Path(__file__).resolve().parents[2]
OPENERS = {"portrait/media/opening.py", "basics/media.py"}
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
    pytest.param(basics.media.open_media, id="basics"),
    pytest.param(lambda path: basics.media.open_media(io.BytesIO(path.read_bytes())), id="basics, object"),
    pytest.param(portrait.media.opening.open_media, id="portrait"),
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
    assert basics.media.FORMATS == portrait.media.opening.FORMATS
    assert basics.media.MOST_PIXELS == portrait.media.opening.MOST_PIXELS


def test_nothing_else_opens_media_for_reading() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("basics", "services", "portrait", "client", "gateway", "cli")
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
