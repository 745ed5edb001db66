"""How well, how soon and how fast engines speak in their own voices, those that need no other machine.

    visavis models pull whisper-base piper-en-us-joe
    python -m bench.speaking espeak piper

A dozen sentences, three times each; medians. Whisper base judges: which words it hears, and when they begin (it tells
that a little early: only differences between engines mean something). The first piece is timed from the sentence on.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jiwer
import numpy as np
from faster_whisper import WhisperModel
from scipy.io import wavfile
from scipy.signal import resample_poly

from models.folder import find
from services.common.arrays import Samples
from services.common.engine import import_engine
from services.tts import engines
from services.tts.engine import Prosody, TtsEngine

SENTENCES = (
    "Hello, how can I help you today?",
    "Good morning.",
    "The quick brown fox jumps over the lazy dog.",
    "The weather in the city was cold and bright when we left the house this morning.",
    "My sister has two children, and both of them like to read books about the sea.",
    "If you want to learn more about our company, please ask me a question at any time.",
    "We will meet again on Thursday afternoon to talk about the new plan for the school.",
    "He opened the window, looked out at the street, and said that nobody was there.",
    "It usually takes about ten minutes to walk from the station to the museum.",
    "Please put the blue cup on the table beside the bed, and bring me a spoon.",
    "She asked her father why the birds fly south in winter, and he told her a long story about the wind, the "
    "mountains and the warm country on the other side.",
    "Most people remember what they see, but few of them remember what they hear.",
)
TIMES = 3
RATE = 24_000


@dataclass(frozen=True)
class Said:
    """A sentence as an engine speaks it."""

    samples: Samples
    starts_s: list[float]  # of its words
    first_s: float  # until the first piece
    took_s: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


async def say(engine: TtsEngine, sentence: str) -> Said:
    """Speak a sentence, timed."""
    began, first_s, pieces, starts, position = time.perf_counter(), 0.0, [], [], 0
    async for piece in engine.synthesize(sentence, language="en-US", voice=None, prosody=Prosody()):
        first_s = first_s or time.perf_counter() - began
        starts += [position / RATE + word.start_s for word in piece.words]
        pieces.append(piece.samples)
        position += len(piece.samples)
    return Said(np.concatenate(pieces), starts, first_s, time.perf_counter() - began)


def plain(text: str) -> str:
    """Without what cannot be heard."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def judged(judge: WhisperModel, sentence: str, said: Said) -> tuple[str, list[float]]:
    """What is heard, and, if it is what was written, by how many seconds its words begin later than is told."""
    samples = resample_poly(said.samples, 2, 3).astype(np.float32)
    segments, _ = judge.transcribe(samples, language="en", word_timestamps=True)
    words = [word for segment in segments for word in segment.words or []]
    heard = plain("".join(word.word for word in words))
    is_right = heard == plain(sentence) and len(words) == len(said.starts_s)
    starts = zip(words, said.starts_s, strict=True) if is_right else ()
    return heard, [float(word.start - start) for word, start in starts]


def row(name: str, judge: WhisperModel, folder: Path | None) -> str:
    """An engine's row of the table."""
    engine_type = import_engine(engines, name)
    engine: TtsEngine = engine_type(engine_type.settings_type())
    began = time.perf_counter()
    engine.load()
    loaded_s = time.perf_counter() - began
    said = [(sentence, asyncio.run(say(engine, sentence))) for _ in range(TIMES) for sentence in SENTENCES]
    heard, apart = zip(*(judged(judge, *one) for one in said), strict=True)
    if folder:
        wavfile.write(folder / f"{name}.wav", RATE, np.concatenate([one.samples for _, one in said[: len(SENTENCES)]]))
    errors = jiwer.wer([plain(sentence) for sentence, _ in said], list(heard))
    firsts = [one.first_s * 1000 for _, one in said]
    offsets = np.concatenate([np.array(each) for each in apart])
    spread = np.abs(offsets - np.median(offsets))
    factor = median(one.took_s / one.seconds for _, one in said)
    return (
        f"| `{name}` | {errors:.3f} | {factor:.3f} | {median(firsts):.0f} | "
        f"{np.percentile(firsts, 90):.0f} | {np.median(offsets):+.2f} | {np.median(spread):.2f} | "
        f"{np.percentile(spread, 90):.2f} | {loaded_s:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="+", help="names of engines")
    parser.add_argument("--wav", type=Path, help="a folder for what each says, to be listened to")
    options = parser.parse_args()
    judge = WhisperModel(str(find("whisper-base")), compute_type="int8")
    print("| engine | WER | realtime factor | first piece, ms | 90 % | words later, s | ± median | ± 90 % | load, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.engines:
        print(row(name, judge, options.wav), flush=True)


if __name__ == "__main__":
    main()
