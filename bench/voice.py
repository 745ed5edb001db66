"""How much a cloned voice sounds like its person, what it costs in intelligibility, and how fast it is.

    pip install --no-deps resemblyzer==0.1.4
    python -m bench.voice ../shared/data

Similarity is the cosine of Resemblyzer's embeddings of a spoken paragraph and of the recording the voice was made from,
both at the same level. The word error rate is PocketSphinx's; it hears espeak poorly, so only its change means
something.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder
from scipy.signal import resample_poly

from bench import speaker_encoder
from services.common.audio import decode, to_pcm
from services.tts.engine import Prosody
from services.tts.engines.espeak import Engine, Settings
from services.tts.loudness import levelled

PARAGRAPH = (
    "The weather in the city was cold and bright when we left the house this morning. "
    "My sister has two children, and both of them like to read books about the sea. "
    "If you want to learn more about our company, please ask me a question at any time. "
    "We will meet again on Thursday afternoon to talk about the new plan for the school. "
    "He opened the window, looked out at the street, and said that nobody was there."
)
RATE = 24_000
JUDGE_RATE = speaker_encoder.SAMPLE_RATE


@dataclass(frozen=True)
class Person:
    """A recording to learn from, and another of the same person where there is one; seconds into the files."""

    name: str
    file: str
    span: tuple[float, float]
    other_file: str = ""
    other_span: tuple[float, float] = (0, 1e9)


PEOPLE = (
    Person("GRID s1", "videos/grid_s1_concat_375s.mp4", (20, 60), "videos/grid_s1_concat_375s.mp4", (100, 140)),
    Person("LibriVox reader", "speech/en_librivox_0870.wav", (0, 60), "speech/en_librivox_0920.wav"),
    Person("news anchor", "videos/dfrf_cnn2_en_71s.mp4", (20, 48), "videos/dfrf_cnn2_en_71s.mp4", (48, 71)),
    Person("German anchor", "videos/mimictalk_german_20s.mp4", (0, 10), "videos/mimictalk_german_20s.mp4", (10, 20)),
    Person("English woman", "speech/en_theresa_may_14s.wav", (0, 60)),
)


@dataclass(frozen=True)
class Reading:
    """The paragraph, spoken."""

    sentences: list[np.ndarray]  # at JUDGE_RATE
    seconds: float
    took_s: float
    first_took_s: float


def recording(data: Path, file: str, span: tuple[float, float], rate: int) -> np.ndarray:
    """Part of a file at a rate."""
    samples = decode(data / file, rate)
    return samples[int(span[0] * rate) : int(min(span[1] * rate, len(samples)))]


async def read(engine: Engine, voice: Path | None) -> Reading:
    """Speak the paragraph, timed."""
    began, first, pieces = time.perf_counter(), 0.0, []
    async for piece in engine.synthesize(PARAGRAPH, language="en-US", voice=voice, prosody=Prosody()):
        first = first or time.perf_counter() - began
        pieces.append(piece.samples)
    took = time.perf_counter() - began
    return Reading([at_judge_rate(piece) for piece in pieces], sum(map(len, pieces)) / RATE, took, first)


def at_judge_rate(samples: np.ndarray) -> np.ndarray:
    """24 kHz to 16 kHz."""
    return resample_poly(samples, 2, 3).astype(np.float32)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Of two voices, at equal level: the judge hears loudness too."""
    return speaker_encoder.similarity(levelled(one, JUDGE_RATE), levelled(other, JUDGE_RATE))


def word_error_rate(decoder: Decoder, reading: Reading) -> float:
    """Errors per word of the paragraph."""
    errors, count = 0, 0
    for samples, sentence in zip(reading.sentences, PARAGRAPH.split(". "), strict=True):
        decoder.start_utt()
        decoder.process_raw(to_pcm(samples), full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp().hypstr.split() if decoder.hyp() else []
        wanted = [word.strip(".,").lower() for word in sentence.split()]
        errors, count = errors + edits(wanted, heard), count + len(wanted)
    return errors / count


def edits(wanted: list[str], heard: list[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for word in wanted:
        previous, row = row, [row[0] + 1]
        for index, other in enumerate(heard):
            row.append(min(previous[index] + (word != other), previous[index + 1] + 1, row[index] + 1))
    return row[-1]


def measure(person: Person, data: Path, engine: Engine, plain: Reading, decoder: Decoder | None) -> str:
    """One row of the table."""
    reference = recording(data, person.file, person.span, JUDGE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        engine.enrol(recording(data, person.file, person.span, RATE), RATE, "", Path(folder))
        learnt = time.perf_counter() - began
        reading = asyncio.run(read(engine, Path(folder)))
    other = "–"
    if person.other_file:
        other = f"{similarity(reference, recording(data, person.other_file, person.other_span, JUDGE_RATE)):.2f}"
    before = similarity(reference, np.concatenate(plain.sentences))
    after = similarity(reference, np.concatenate(reading.sentences))
    errors = f"{word_error_rate(decoder, reading):.2f}" if decoder else "–"
    cells = [person.name, other, f"{before:.2f}", f"{after:.2f}", errors, f"{learnt:.1f}"]
    cells += [f"{reading.took_s / reading.seconds:.2f}", f"{reading.first_took_s / reading.seconds:.3f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the recordings")
    parser.add_argument("--no-recognition", action="store_true", help="leave out the word error rates, which are slow")
    options = parser.parse_args()
    engine = Engine(Settings())
    engine.load()
    decoder = None if options.no_recognition else Decoder(samprate=JUDGE_RATE, loglevel="FATAL")
    plain = asyncio.run(read(engine, None))
    if decoder:
        print(f"plain espeak: word error rate {word_error_rate(decoder, plain):.2f}")
    print("| person | second recording | plain espeak | cloned | WER | enrol s | RTF | first sentence / whole |")
    print("|---|---|---|---|---|---|---|---|")
    for person in PEOPLE:
        print(measure(person, options.data, engine, plain, decoder), flush=True)


if __name__ == "__main__":
    main()
