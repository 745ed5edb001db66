"""Word error rate, speed and endpoints of the recognition engine on real English speech.

    python bench/asr.py ../shared/data [--engine pocketsphinx] [--grid 25] [--rate 8000]

`live` feeds 100 ms at a time as a microphone does; `file` recognises utterances as Transcribe does. RTF is processor
time of recognition over duration of audio; `finish` is how long the final text takes after the end of the audio. GRID
sentences ("bin blue at f two now") break every habit of a general language model: their figure shows the acoustics.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import jiwer
import numpy as np

from services.asr import engines
from services.asr.endpointing import Endpointer, SpeechEnded, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine
from services.asr.settings import AsrSettings
from services.asr.transcription import LiveTranscription, Utterance, transcribe
from services.common.audio import Resampler, decode, from_pcm, to_pcm
from services.common.hosting import Engines

PIECE_BYTES = SAMPLE_RATE // 10 * 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--engine", default="pocketsphinx")
    parser.add_argument("--grid", type=int, default=25, help="how many GRID sentences")
    parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="of the recordings, e.g. 8000 as on a telephone")
    arguments = parser.parse_args()
    engine: AsrEngine = Engines(engines, "asr", AsrSettings(engine=arguments.engine)).keep()
    speech, grid = list(read_speech(arguments.data)), list(read_grid(arguments.data, arguments.grid))
    for name, samples in (("speech", speech), ("grid_s1", grid)):
        samples = [(as_recorded(pcm, arguments.rate), text) for pcm, text in samples]
        for way in (live, file):
            print(f"{name:8} {way.__name__:5}", measure(engine, way, samples))
    print("grid_s1 endpoints:", endpoints(arguments.data))


def as_recorded(pcm: bytes, rate: int) -> bytes:
    """What is left of the sound when it was recorded at another rate."""
    for rates in ((SAMPLE_RATE, rate), (rate, SAMPLE_RATE)):
        resampler = Resampler(*rates)
        pcm = to_pcm(np.concatenate([resampler.push(from_pcm(pcm)), resampler.flush()]))
    return pcm


def measure(engine: AsrEngine, way, samples: list[tuple[bytes, str]]) -> str:
    """Word error rate and speed over all samples."""
    said, heard, finishes, began = [], [], [], time.process_time()
    for pcm, text in samples:
        hypothesis, finish_s = way(engine, pcm)
        said.append(words(text))
        heard.append(words(hypothesis) or "-")
        finishes.append(finish_s)
    spent = time.process_time() - began
    seconds = sum(len(pcm) for pcm, _ in samples) / 2 / SAMPLE_RATE
    slowest = f"finish median {statistics.median(finishes):.2f} s, worst {max(finishes):.2f} s"
    return (
        f"WER {jiwer.wer(said, heard):.3f}  RTF {spent / seconds:.3f}  {slowest}  ({len(samples)} in {seconds:.0f} s)"
    )


def live(engine: AsrEngine, pcm: bytes) -> tuple[str, float]:
    """Text, and how long it took after the last audio."""
    stream = LiveTranscription(engine, "en", SAMPLE_RATE, Endpointer())
    found = []
    for at in range(0, len(pcm), PIECE_BYTES):
        found += list(stream.push(pcm[at : at + PIECE_BYTES]))
    began = time.perf_counter()
    found += list(stream.finish())
    return " ".join(one.text for one in found if isinstance(one, Utterance)), time.perf_counter() - began


def file(engine: AsrEngine, pcm: bytes) -> tuple[str, float]:
    """Text, and how long all of it took."""
    endpointer = Endpointer(hangover_ms=AsrSettings().file_hangover_ms)
    began = time.perf_counter()
    return " ".join(one.text for one in transcribe(engine, "en", [pcm], endpointer)), time.perf_counter() - began


def endpoints(data: Path) -> str:
    """How far detected speech lies from GRID's alignments, each sentence alone in its three seconds."""
    pcm, errors, missed = grid_audio(data), ([], []), 0
    for start_s, end_s, clip in grid_rows(data):
        events = (endpointer := Endpointer()).push(cut(pcm, clip * 3.0, clip * 3.0 + 3.0)) + endpointer.flush()
        starts = [event.sample_index for event in events if isinstance(event, SpeechStarted)]
        ends = [event.sample_index for event in events if isinstance(event, SpeechEnded)]
        if not starts:
            missed += 1
            continue
        errors[0].append(abs(starts[0] / SAMPLE_RATE + clip * 3.0 - start_s))
        errors[1].append(abs(ends[-1] / SAMPLE_RATE + clip * 3.0 - end_s))
    start, end = (f"median {np.median(one):.2f} s, 90 % {np.quantile(one, 0.9):.2f} s" for one in errors)
    return f"start {start}; end {end}; missed {missed} of {missed + len(errors[0])}"


def read_speech(data: Path) -> Iterator[tuple[bytes, str]]:
    with (data / "speech" / "transcripts.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["lang"] == "en" and row["text"]:
                yield to_pcm(decode(data / "speech" / row["file"], SAMPLE_RATE)), row["text"]


def read_grid(data: Path, count: int) -> Iterator[tuple[bytes, str]]:
    pcm = grid_audio(data)
    with (data / "videos" / "grid_s1_concat_375s.transcript.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    for row in rows[:: max(1, len(rows) // count)]:
        yield cut(pcm, float(row["start_s"]) - 0.4, float(row["end_s"]) + 0.4), row["text"]


def grid_rows(data: Path) -> Iterator[tuple[float, float, int]]:
    with (data / "videos" / "grid_s1_concat_375s.transcript.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            yield float(row["start_s"]), float(row["end_s"]), int(float(row["start_s"]) // 3)


def grid_audio(data: Path) -> bytes:
    return to_pcm(decode(data / "videos" / "grid_s1_concat_375s.mp4", SAMPLE_RATE))


def cut(pcm: bytes, start_s: float, end_s: float) -> bytes:
    return pcm[max(0, int(start_s * SAMPLE_RATE)) * 2 : int(end_s * SAMPLE_RATE) * 2]


def words(text: str) -> str:
    """Lower case, no punctuation, one spelling of "mister"."""
    return " ".join(re.findall(r"[a-z']+", text.lower().replace("mister", "mr")))


if __name__ == "__main__":
    main()
