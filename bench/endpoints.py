"""How soon the end of an utterance is noticed, and how often somebody is cut off: `python -m bench.endpoints DATA`.

Each way of finding endpoints hears real recordings with the hangover of a live talk. Time is counted in sound, so
nothing but the processor time depends on the machine. *Wait* is from the end of the speech (the last 20 ms within 35 dB
of the loudest; of GRID the end of the last word as it is aligned) until its end is known, p50 / p95 in ms. *Cut off*
counts endpoints inside of a sentence, *between sentences* those after a full stop, by the words that Whisper hears and
their times. GRID's sentences have no pauses in them: an endpoint before the last word's end cuts one off.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.asr import cut, grid_audio, grid_rows
from bench.live_sound import QUIET_DB, levels
from client.talk.live import HANGOVER_MS
from models.folder import find
from services.asr.detectors import SILERO, SMART_TURN, Silero, SmartTurn
from services.asr.endpointing import Endpointer, SpeechEnded
from services.asr.engine import SAMPLE_RATE
from services.asr.engines.whisper import Engine, Settings
from services.common.audio import decode, to_pcm

BEFORE_S, AFTER_S = 0.5, 2.0  # of silence
WINDOW_S = 25  # that Whisper hears at once
CLOSE_S = 0.3  # a word's end, as it is heard, lies so near to the pause that follows
EARLY_S = 0.7  # an endpoint so long before the end is another pause's; softer sounds at the end may be missed
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！")
VIDEOS = "videos/*.mp4"


@dataclass(frozen=True)
class Recording:
    """Someone speaks. Times are seconds from its beginning."""

    pcm: bytes
    end_s: float
    """Of the speech."""
    sentences: tuple[float, ...] = ()
    """When each but the last one ends."""


@dataclass
class Found:
    """What one way of finding endpoints did."""

    waits: list[float] = field(default_factory=list)
    cut_off: int = 0
    between: int = 0
    cpu_s: float = 0.0
    sound_s: float = 0.0

    def add(self, recording: Recording, endpointer: Endpointer) -> None:
        """Hear a recording."""
        sound = bytes(2 * int(BEFORE_S * SAMPLE_RATE)) + recording.pcm + bytes(2 * int(AFTER_S * SAMPLE_RATE))
        began = time.process_time()
        events = endpointer.push(sound)
        self.cpu_s += time.process_time() - began
        self.sound_s += len(sound) / 2 / SAMPLE_RATE
        ended = [event for event in events if isinstance(event, SpeechEnded)]
        spoken = [event.sample_index / SAMPLE_RATE - BEFORE_S for event in ended]
        known = [event.known_index / SAMPLE_RATE - BEFORE_S for event in ended]
        early = [at for at in spoken if at < recording.end_s - EARLY_S]
        self.between += sum(any(abs(at - end) <= CLOSE_S for end in recording.sentences) for at in early)
        self.cut_off += len(early)
        self.waits += [at - recording.end_s for at in known[len(early) :][:1]]

    @property
    def cells(self) -> str:
        """Of the table."""
        low, high = (1000 * np.quantile(self.waits, share) for share in (0.5, 0.95))
        return f"{low:.0f} / {high:.0f} | {self.cut_off - self.between} | {self.between}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--grid", type=int, default=125, help="how many GRID sentences")
    parser.add_argument("--hangover", type=int, default=HANGOVER_MS, help="ms")
    options = parser.parse_args()
    speech, grid = list(_speech(options.data)), list(_grid(options.data, options.grid))
    minutes = sum(len(one.pcm) for one in speech) / 2 / SAMPLE_RATE / 60
    print(
        f"{len(speech)} recordings, {minutes:.1f} min; {len(grid)} sentences of GRID; hangover {options.hangover} ms\n"
    )
    print("| voice | turn | wait | cut off | between sentences | wait, GRID | cut off | cpu per second |")
    print("|---|---|---|---|---|---|---|---|")
    silero, smart_turn = Silero(find(SILERO)), SmartTurn(find(SMART_TURN))
    for voice, turn in itertools.product((None, silero), (None, smart_turn)):
        found = [_found(one, options.hangover, voice, turn) for one in (speech, grid)]
        cpu = 1000 * sum(one.cpu_s for one in found) / sum(one.sound_s for one in found)
        cells = f"{found[0].cells} | {found[1].cells.rpartition(' | ')[0]}"
        print(
            f"| {'silero' if voice else 'webrtc'} | {'smart-turn' if turn else '–'} | {cells} | {cpu:.1f} ms |",
            flush=True,
        )


def _found(
    recordings: list[Recording], hangover_ms: int, silero: Silero | None, turn: Callable[[bytes], float] | None
) -> Found:
    found = Found()
    for one in recordings:
        voice = silero.listen() if silero else None
        found.add(one, Endpointer(hangover_ms=hangover_ms, voice=voice, has_finished=turn))
    return found


def _speech(data: Path) -> Iterator[Recording]:
    """Readers, speakers and news anchors, in several languages."""
    engine = Engine(Settings())
    engine.load()
    paths = [path for path in sorted((data / "speech").iterdir()) if path.suffix != ".tsv"]
    paths += [path for path in sorted(data.glob(VIDEOS)) if "grid" not in path.name]
    for path in paths:
        samples = decode(path, SAMPLE_RATE)
        level = levels(samples)
        tick = len(samples) // len(level)
        begin, end = np.flatnonzero(level > level.max() * 10 ** (QUIET_DB / 20))[[0, -1]]
        spoken = to_pcm(samples[begin * tick : (end + 1) * tick])
        end_s = len(spoken) / 2 / SAMPLE_RATE
        ends = tuple(at for at in _sentence_ends(engine, spoken) if at < end_s - EARLY_S)
        yield Recording(spoken, end_s, ends)
    engine.close()


def _sentence_ends(engine: Engine, pcm: bytes) -> Iterator[float]:
    step = WINDOW_S * SAMPLE_RATE * 2
    for at in range(0, len(pcm), step):
        for word in engine.recognise(pcm[at : at + step], "").words:
            if word.text.endswith(SENTENCE_ENDS):
                yield at / 2 / SAMPLE_RATE + word.end_s


def _grid(data: Path, count: int) -> Iterator[Recording]:
    pcm, rows = grid_audio(data), list(grid_rows(data))
    for _, end_s, clip in rows[:: max(1, len(rows) // count)]:
        yield Recording(cut(pcm, clip * 3.0, clip * 3.0 + 3.0), end_s - clip * 3.0)


if __name__ == "__main__":
    main()
