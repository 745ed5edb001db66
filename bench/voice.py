"""How much a cloned voice sounds like its person, how well it is understood, and how fast it is.

    pip install --no-deps resemblyzer==0.1.4
    VISAVIS_MODELS_FOLDER=… python -m bench.voice ../shared/data [--engine espeak --engine …] [--person NAME]

Similarity is the cosine of Resemblyzer's embeddings of the recording that a voice is made from and of: another one of
the same person, the engine's own voice, the cloned voice; all at one level. *way* is how much of the way from the own
voice to the other recording the cloned one has gone; .5 is the aim. Of who was recorded once, the last two fifths are
the other recording, which flatters no engine: it is shorter, and of the same minute. *heard wrongly* is the word error
rate of Whisper base, the project's own engine, on a paragraph that nothing was tuned on. The transcript that a voice is
learnt with is Whisper's too, as in the page. *RTF* is processor time per second of speech, *first* the wait for the
first piece of sound; give the process one core (`OMP_NUM_THREADS=1 taskset -c 0`) to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
from scipy.signal import resample_poly

from bench import speaker_encoder
from bench.asr import words
from services.asr.endpointing import Endpointer
from services.asr.engine import AsrEngine, Expected
from services.asr.engines import whisper
from services.asr.settings import AsrSettings
from services.asr.transcription import RecordedTranscription
from services.common.audio import decode, to_pcm
from services.common.errors import InvalidInput
from services.common.hosting import Engines
from services.tts import engines
from services.tts.engine import Prosody, TtsEngine
from services.tts.loudness import levelled
from services.tts.settings import TtsSettings
from services.tts.voices import REFERENCE_RATE as RATE
from services.tts.voices import prepared

PARAGRAPH = (
    "The weather in the city was cold and bright when we left the house this morning.",
    "My sister has two children, and both of them like to read books about the sea.",
    "If you want to learn more about our company, please ask me a question at any time.",
    "We will meet again on Thursday afternoon to talk about the new plan for the school.",
    "He opened the window, looked out at the street, and said that nobody was there.",
)
JUDGE_RATE = speaker_encoder.SAMPLE_RATE
LEARNT_SHARE = 0.6  # of a recording that is the person's only one
_WHOLE = (0.0, 1e9)
_NONE = "–"


@dataclass(frozen=True)
class Person:
    """A recording to learn from, and another of the same person where there is one; seconds into the files."""

    name: str
    file: str
    span: tuple[float, float] = _WHOLE
    other_file: str = ""
    other_span: tuple[float, float] = _WHOLE


_GRID, _NEWS = "videos/grid_s1_concat_375s.mp4", "videos/dfrf_cnn2_en_71s.mp4"
_GERMAN = "videos/mimictalk_german_20s.mp4"
PEOPLE = (
    Person("GRID s1, 40 s", _GRID, (20, 60), _GRID, (100, 140)),
    Person("LibriVox reader, 7 s", "speech/en_librivox_0870.wav", _WHOLE, "speech/en_librivox_0920.wav"),
    Person("news anchor, 28 s", _NEWS, (20, 48), _NEWS, (48, 71)),
    Person("German anchor, 10 s", _GERMAN, (0, 10), _GERMAN, (10, 20)),
    Person("English woman, 14 s", "speech/en_theresa_may_14s.wav", _WHOLE, "videos/mimictalk_may_en_5s.mp4"),
    Person("man in a kitchen, 12 s", "videos/latentsync_demo2_man_20s.mp4"),
    Person("woman in a garden, 6 s", "videos/latentsync_demo1_woman_10s.mp4"),
    Person("Cantonese anchor, 7 s", "videos/icable_anchor_cantonese_12s.mp4"),
    Person("lively woman, 5 s", "videos/sadtalker_aoc_en_8s.mp4"),
    Person("politician, 5 s", "videos/tfgui_segment10_en_5s.mp4"),
    Person("old recording of a man, 7 s", "speech/en_jfk_11s.flac"),
    Person("nature, 5 s", "speech/en_f5_nature.wav"),
    Person("LibriSpeech 1995, 5 s", "speech/en_librispeech_1995-1837-0001.wav"),
    Person("CosyVoice's woman, 4 s, zh", "speech/zh_cosyvoice_zero_shot.wav"),
    Person("character, 7 s, zh", "speech/zh_f5_taiyi.wav"),
    Person("AISHELL S0724, 4 s, zh", "speech/zh_aishell1_S0724W0121.wav"),
    Person("AISHELL SSB0018, 7 s, zh", "speech/zh_aishell3_SSB00180170.wav"),
    Person("AISHELL SSB0073, 5 s, zh", "speech/zh_aishell3_SSB00730374.wav"),
    Person("AISHELL SSB0080, 7 s, zh", "speech/zh_aishell3_SSB00800191.wav"),
    Person("AISHELL SSB0288, 4 s, zh", "speech/zh_aishell3_SSB02880065.wav"),
    Person("Biaobei, 5 s, zh", "speech/zh_biaobei_000019.wav"),
)


@dataclass(frozen=True)
class Reading:
    """The paragraph, spoken."""

    sentences: list[np.ndarray]  # at JUDGE_RATE
    seconds: float
    took_s: float  # of a processor
    first_took_s: float


def main() -> None:
    """Print one table for each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the recordings")
    parser.add_argument("--engine", action="append", help="once for each; espeak if none is named")
    parser.add_argument("--person", action="append", help="how the name of a person begins; all if none is named")
    options = parser.parse_args()
    hosted: Engines[TtsEngine] = Engines(engines, "tts", TtsSettings())
    people = [one for one in PEOPLE if one.name.startswith(tuple(options.person or [""]))]
    for name in options.engine or ["espeak"]:
        table(name, hosted.keep(name), people, options.data)


def table(name: str, engine: TtsEngine, people: Sequence[Person], data: Path) -> None:
    """All people in the voice of one engine."""
    plain = read(engine, None)
    print(f"\n{name}: own voice heard wrongly {word_error_rate(plain):.3f}, RTF {plain.took_s / plain.seconds:.2f}")
    print("| person | other recording | own voice | cloned | way | heard wrongly | learnt in, s | RTF | first, ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for person in people:
        print(row(person, data, engine, plain), flush=True)


def row(person: Person, data: Path, engine: TtsEngine, plain: Reading) -> str:
    """A line of the table."""
    learnt, other = recordings(person, data)
    reference = prepared(learnt)
    heard = transcript(to_pcm(at_judge_rate(reference)))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        try:
            engine.enrol(reference, RATE, heard, Path(folder))
        except InvalidInput as error:
            return f"| {person.name} | {error} |"
        took = time.perf_counter() - began
        reading = read(engine, Path(folder))
    goal, before, after = (
        similarity(at_judge_rate(reference), sound)
        for sound in (at_judge_rate(other), np.concatenate(plain.sentences), np.concatenate(reading.sentences))
    )
    cells = [person.name, f"{goal:.2f}", f"{before:.2f}", f"{after:.2f}", f"{(after - before) / (goal - before):.2f}"]
    cells += [f"{word_error_rate(reading):.3f}", f"{took:.1f}", f"{reading.took_s / reading.seconds:.2f}"]
    return f"| {' | '.join(cells)} | {reading.first_took_s * 1000:.0f} |"


def recordings(person: Person, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """What a voice is learnt from, and what it is compared with, at RATE."""
    whole = recording(data, person.file, person.span)
    if person.other_file:
        return whole, recording(data, person.other_file, person.other_span)
    cut = int(len(whole) * LEARNT_SHARE)
    return (whole[:cut], whole[cut:]) if cut >= 4.5 * RATE else (whole, whole[cut:])


def recording(data: Path, file: str, span: tuple[float, float]) -> np.ndarray:
    """Part of a file at RATE."""
    samples = decode(data / file, RATE)
    return samples[int(span[0] * RATE) : int(min(span[1] * RATE, len(samples)))]


def read(engine: TtsEngine, voice: Path | None) -> Reading:
    """Speak the paragraph, timed."""
    return asyncio.run(_read(engine, voice))


async def _read(engine: TtsEngine, voice: Path | None) -> Reading:
    first, took, pieces = 0.0, 0.0, []
    for sentence in PARAGRAPH:
        began, computed, sounds = time.perf_counter(), time.process_time(), []
        async for piece in engine.synthesize(sentence, language="en-US", voice=voice, prosody=Prosody()):
            first = first or time.perf_counter() - began
            sounds.append(piece.samples)
        took += time.process_time() - computed
        pieces.append(np.concatenate(sounds))
    seconds = sum(map(len, pieces)) / engine.sample_rate
    return Reading([at_judge_rate(piece, engine.sample_rate) for piece in pieces], seconds, took, first)


def at_judge_rate(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    """To 16 kHz."""
    return resample_poly(samples, JUDGE_RATE, rate).astype(np.float32)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Of two voices, at equal level: the judge hears loudness too."""
    return speaker_encoder.similarity(levelled(one, JUDGE_RATE), levelled(other, JUDGE_RATE))


def word_error_rate(reading: Reading) -> float:
    """Errors per word of the paragraph."""
    heard = [transcript(to_pcm(samples), "en") or "-" for samples in reading.sentences]
    return float(jiwer.wer([words(sentence) for sentence in PARAGRAPH], [words(text) or "-" for text in heard]))


def transcript(pcm: bytes, language: str = "") -> str:
    """What Whisper hears."""
    endpointer = Endpointer(hangover_ms=AsrSettings().file_hangover_ms)
    utterances = RecordedTranscription(_recogniser(), Expected(language), endpointer).utterances([pcm])
    return " ".join(one.spoken or one.text for one in utterances)


@cache
def _recogniser() -> AsrEngine:
    engine = whisper.Engine(whisper.Settings())
    engine.load()
    return engine


if __name__ == "__main__":
    main()
