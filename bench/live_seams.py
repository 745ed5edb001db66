"""Whether one sees where a reply begins and ends: python -m bench.live_seams AVATAR speech.wav [--sheet FOLDER].

A real rendering service speaks from several frames of the avatar's idle loop on; its video and the loop's, as the
service sends it, are decoded. A seam is the mean difference (grey levels of 255, all channels) between the last picture
before it and the first one after it: from the loop into the reply, and from the reply's end into the loop. It is stated
in the 95th percentile of the loop's own consecutive pictures (1.5 is the goal), for the whole picture and for the worst
of its 32 px tiles, each against the same of the loop. A reply that is broken off fades into the loop over 0.2 s, as
the page does it; its seam is the largest step on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from visavis.render.v1 import render_pb2

from bench.served import Rendered, Stub, render, serving
from portrait.arrays import Floats, Frame, Samples
from portrait.media.video import FRAME_RATE, SAMPLE_RATE, audio

TILE = 32
FADE = 5
BROKEN_OFF_S = (0.7, 1.3, 2.1, 2.9)
Distance = Callable[[Frame, Frame], float]


def main() -> None:
    """Print every seam and the largest of each kind."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_seams", description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--size", type=int, default=0, help="of the replies; the avatar's own by default")
    parser.add_argument("--starts", type=int, default=6, help="how many frames of the loop to begin on")
    parser.add_argument("--sheet", type=Path, help="folder for pictures of the seams")
    options = parser.parse_args()
    speech = audio(options.speech)
    idle, replies = asyncio.run(_film(options, speech))
    side = replies[0][1][0].shape[0]
    idle = [np.asarray(cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA), np.uint8) for each in idle]
    for name, distance in (("whole picture", _whole), ("worst tile", _tile)):
        _tell(name, distance, idle, replies)
    if options.sheet:
        _save(options.sheet, idle, replies)


async def _film(
    options: argparse.Namespace, speech: Samples
) -> tuple[list[Frame], list[tuple[int, list[Frame], Rendered]]]:
    """The idle loop, and replies: first frame, pictures, and what the service told."""
    async with serving(options.avatar) as stub:
        idle = _decoded(await _idle(stub, options.avatar.name))
        replies = []
        for number in range(options.starts):
            start = (7 + number * len(idle) // options.starts) % len(idle)
            length = round((3.1 + 0.3 * number) * SAMPLE_RATE)
            told = await render(stub, options.avatar.name, speech[:length], start=start, size=options.size)
            replies.append((start, _decoded(told.data), told))
        return idle, replies


async def _idle(stub: Stub, name: str) -> bytes:
    request = render_pb2.ReadAvatarFileRequest(name=name, file=render_pb2.AVATAR_FILE_IDLE)
    return b"".join([reply.data async for reply in stub.ReadAvatarFile(request)])


def _decoded(data: bytes) -> list[Frame]:
    with av.open(io.BytesIO(data), "r") as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def _difference(a: Frame, b: Frame) -> Floats:
    return np.asarray(cv2.absdiff(a, b).astype(np.float32).mean(axis=2))


def _whole(a: Frame, b: Frame) -> float:
    return float(_difference(a, b).mean())


def _tile(a: Frame, b: Frame) -> float:
    apart = _difference(a, b)
    return float(cv2.resize(apart, (len(apart) // TILE, len(apart) // TILE), interpolation=cv2.INTER_AREA).max())


def _tell(
    name: str, distance: Distance, idle: list[Frame], replies: Sequence[tuple[int, list[Frame], Rendered]]
) -> None:
    own = [distance(a, b) for a, b in zip(idle, idle[1:] + idle[:1], strict=True)]
    unit = float(np.quantile(own, 0.95))
    print(
        f"{name}: the loop's own median {np.median(own) / unit:.2f}, 95th percentile 1 = {unit:.2f} grey levels, "
        f"largest {max(own) / unit:.2f}"
    )
    into = [distance(idle[start - 1], shown[0]) / unit for start, shown, _ in replies]
    same = [distance(idle[start], shown[0]) / unit for start, shown, _ in replies]
    out = [distance(shown[-1], idle[told.next_frame_index % len(idle)]) / unit for _, shown, told in replies]
    said = [distance(a, b) / unit for _, shown, _ in replies for a, b in zip(shown, shown[1:], strict=False)]
    off = [distance(*pair) / unit for pair in _broken_off(idle, replies)]
    fades = [_fade(distance, *pair) / unit for pair in _broken_off(idle, replies)]
    for kind, seams in (
        ("loop into reply", into), ("the same frame twice", same), ("reply into loop", out),
        ("broken off, cut", off), ("broken off, faded", fades),
    ):  # fmt: skip
        print(f"  {kind:22} {' '.join(f'{seam:5.2f}' for seam in seams)}   largest {max(seams):.2f}")
    print(f"  within the replies     95th percentile {np.quantile(said, 0.95):.2f}, largest {max(said):.2f}")


def _broken_off(idle: list[Frame], replies: Sequence[tuple[int, list[Frame], Rendered]]) -> list[tuple[Frame, Frame]]:
    """The picture on which a reply was broken off, and the one of the loop that follows."""
    pairs = []
    for (_, shown, told), seconds in zip(replies, BROKEN_OFF_S, strict=False):
        frame = round(seconds * FRAME_RATE)
        pairs.append((shown[frame], idle[_goes_on(told, frame) % len(idle)]))
    return pairs


def _goes_on(told: Rendered, frame: int) -> int:
    """The frame of the loop that goes on after a frame of the reply, as the service tells."""
    return [index for fragment in told.fragments for index in fragment.idle_frame_indices][frame] + 1


def _fade(distance: Distance, shown: Frame, idle: Frame) -> float:
    shares = np.linspace(0, 1, FADE + 1)
    mixed = [np.asarray(cv2.addWeighted(shown, 1 - share, idle, share, 0), np.uint8) for share in shares]
    return max(distance(a, b) for a, b in zip(mixed, mixed[1:], strict=False))


def _save(folder: Path, idle: list[Frame], replies: Sequence[tuple[int, list[Frame], Rendered]]) -> None:
    """Each seam as a row: two pictures before it, two after it, and the difference across it, four times as strong."""
    folder.mkdir(parents=True, exist_ok=True)
    for start, shown, told in replies:
        after = told.next_frame_index
        _save_row(folder / f"begin-{start}.png", [idle[start - 2], idle[start - 1], shown[0], shown[1]])
        _save_row(
            folder / f"end-{start}.png", [shown[-2], shown[-1], idle[after % len(idle)], idle[(after + 1) % len(idle)]]
        )
    for number, (last, following) in enumerate(_broken_off(idle, replies)):
        _save_row(folder / f"broken-off-{number}.png", [last, last, following, following])


def _save_row(path: Path, pictures: list[Frame]) -> None:
    apart = cv2.convertScaleAbs(cv2.absdiff(pictures[1], pictures[2]), alpha=4)
    row = np.concatenate([*pictures, apart], axis=1)
    cv2.imwrite(str(path), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
