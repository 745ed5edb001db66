"""Looking into a recording without decoding it: what its packets, its first picture or its header tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError
from av.stream import Disposition
from PIL import ExifTags, Image, UnidentifiedImageError

from basics.media import best_audio, best_video, open_media

HDR = (16, 18)  # transfer functions PQ and HLG, ITU-T H.273
PHOTOS = ("JPEG", "PNG", "WEBP")
ON_ITS_SIDE = range(5, 9)  # of EXIF's orientations


class NotMedia(Exception):
    """The file cannot be read as media; `is_cut` when it is the beginning of something that could."""

    def __init__(self, *, is_cut: bool) -> None:
        super().__init__()
        self.is_cut = is_cut


@dataclass(frozen=True)
class Outline:
    """What the packets of a recording and its first picture tell; sizes are as shown: square pixels, upright."""

    width: int
    height: int
    fps: float
    duration_s: float  # of what is really there
    declared_s: float  # of what the file says is there
    has_picture: bool
    has_sound: bool
    keyframes_s: tuple[float, ...]
    heard_s: tuple[float, float] = (0.0, 0.0)  # when the sound begins and ends, from the first picture on
    is_hdr: bool = False
    is_interlaced: bool = False


def outline(path: Path) -> Outline:
    """Read a recording's packets.

    Raises:
        NotMedia: it is none.
    """
    try:
        with open_media(path) as container:
            return _outline(container)
    except (FFmpegError, ValueError, OSError) as error:
        raise NotMedia(is_cut=_begins_like_media(path)) from error


def _outline(container: av.container.InputContainer) -> Outline:
    sound, stream = best_audio(container), best_video(container)
    if stream is None or not stream.codec_context.width or _is_still(stream):
        return Outline(0, 0, 0.0, 0.0, 0.0, False, sound is not None, ())
    pictures, keyframes, heard = _times(container, stream, sound)
    first_s = min(pictures, default=0.0)
    span = max(pictures) - first_s if len(pictures) > 1 else 0.0
    fps = (len(pictures) - 1) / span if span else 0.0
    declared = (container.duration or 0) / av.time_base
    if stream.duration and stream.time_base:
        declared = float(stream.duration * stream.time_base)
    size = stream.codec_context.width, stream.codec_context.height  # before decoding, which may forget it
    first = _first(container, stream)
    width, height = _shown(first, stream) if first else size
    return Outline(
        width, height, fps, span + (1 / fps if fps else 0.0), declared, True,
        sound is not None, tuple(sorted(second - first_s for second in keyframes)),
        heard_s=(heard[0] - first_s, heard[1] - first_s),
        is_hdr=first is not None and first.color_trc in HDR,
        is_interlaced=first is not None and bool(first.interlaced_frame),
    )  # fmt: skip


def _is_still(stream: av.VideoStream) -> bool:
    """The cover of a song."""
    return bool(stream.disposition & Disposition.attached_pic)


def _times(
    container: av.container.InputContainer, stream: av.VideoStream, sound: av.AudioStream | None
) -> tuple[list[float], list[float], tuple[float, float]]:
    """Seconds of all pictures and of the keyframes, and of the sound's beginning and end, in the file's own time."""
    seconds, keyframes = [], []
    begin, end = float("inf"), 0.0
    try:
        for packet in container.demux([stream, sound] if sound else [stream]):
            if packet.stream is not stream:
                if packet.pts is not None:
                    begin = min(begin, float(packet.pts * packet.time_base))
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                continue
            at = packet.dts if packet.pts is None else packet.pts
            if at is not None and packet.size and not packet.is_discard:
                seconds.append(float(at * packet.time_base))
                if packet.is_keyframe:
                    keyframes.append(seconds[-1])
    except FFmpegError:
        pass  # cut off: what came before counts
    return seconds, keyframes, (min(begin, end), end)


def _first(container: av.container.InputContainer, stream: av.VideoStream) -> av.VideoFrame | None:
    """The first picture that can be decoded."""
    container.seek(0)
    for packet in container.demux(stream):
        try:
            if frames := packet.decode():
                return frames[0]
        except FFmpegError:
            continue
    return None


def _shown(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height with square pixels (the wider way), upright."""
    width, height, aspect = frame.width, frame.height, stream.sample_aspect_ratio
    if aspect and aspect != 1 and 0.25 < aspect < 4:
        width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def _begins_like_media(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return head[4:8] == b"ftyp" or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF")  # MP4 and MOV, Matroska and WebM, AVI


def photo_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG or WebP picture, upright, by its header; None of any other file.

    Raises:
        Image.DecompressionBombError: it is far too large.
    """
    try:
        with Image.open(path, formats=PHOTOS) as image:
            return image.size[::-1] if _is_on_its_side(image) else image.size
    except (UnidentifiedImageError, OSError, SyntaxError, OverflowError):
        return None


def _is_on_its_side(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in ON_ITS_SIDE
    except (OSError, SyntaxError):  # it is cut off before that
        return False
