"""What a reply's own media says about its clocks: where sound and pictures stand at every fragment."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import av


@dataclass(frozen=True)
class Clocks:
    """How far a stream's clocks are apart, in milliseconds; 0 would be perfect."""

    seconds: float
    """Of pictures."""
    apart_ms: float
    """Most that sound and pictures differ in where they end, over all fragments: what a player would have to bridge."""
    last_apart_ms: float
    """The same of the last fragment, signed: sound beyond pictures."""
    drift_ms: float
    """Most that either track's time stamps differ from what was counted: frames / fps, samples / rate."""


def clocks(init: bytes, fragments: Sequence[bytes], fps: float) -> Clocks:
    """Read every fragment's time stamps and durations.

    The sound's time stamps begin before 0 by what its encoder needs to get going, which players skip.
    """
    frames = samples = 0
    begun: float | None = None
    apart, drift, last, end = 0.0, 0.0, 0.0, 0.0
    for data in fragments:
        ends = {"video": 0.0, "audio": 0.0}
        with av.open(io.BytesIO(init + data), "r") as container:
            for packet in container.demux():
                if packet.pts is None or packet.time_base is None or packet.duration is None:
                    continue
                stream, at = packet.stream, float(packet.pts * packet.time_base)
                if not isinstance(stream, av.AudioStream):
                    drift = max(drift, abs(at - frames / fps))
                    frames += 1
                else:
                    rate = stream.codec_context.sample_rate
                    begun = at if begun is None else begun
                    drift = max(drift, abs(at - begun - samples / rate))
                    samples += round(float(packet.duration * packet.time_base) * rate)
                ends[stream.type] = max(ends[stream.type], at + float(packet.duration * packet.time_base))
        last, end = ends["audio"] - ends["video"], ends["video"]
        apart = max(apart, abs(last))
    return Clocks(end, 1000 * apart, 1000 * last, 1000 * drift)
