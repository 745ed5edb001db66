"""How well and how soon the recognisers hear: word and character errors, processor time, latency, in one table.

    python -m bench.asr ../shared/data [--engine whisper --engine pocketsphinx] [--model whisper-base] [--grid 25]
        [--detectors] [--rate 8000]

`file` recognises utterances as Transcribe does. `live` feeds 40 ms at a time, at the pace of a microphone, with the
hangover of a live talk, and with `--detectors` where Silero VAD and Smart Turn are there: *first* is from the onset of
speech to the first partial text, *final* from the endpoint to the final text, p50 / p95 in ms. *cpu* is processor time
over duration of sound, *memory* what the engine added. English is compared by words, Chinese by characters, both
without punctuation and case, Chinese in simplified characters. GRID
sentences ("bin blue at f two now") break every habit of a general language model: their figure shows the acoustics.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import numpy as np
import psutil

from services.asr import engines
from services.asr.detectors import Detectors
from services.asr.endpointing import Endpointer, SpeechEnded, SpeechStarted
from services.asr.engine import SAMPLE_RATE, AsrEngine, Expected
from services.asr.settings import AsrSettings
from services.asr.transcription import Interim, LiveTranscription, RecordedTranscription, Utterance
from services.common.audio import Resampler, decode, from_pcm, to_pcm
from services.common.errors import ServiceError
from services.common.hosting import Engines, State

PIECE_BYTES = SAMPLE_RATE // 25 * 2
HANGOVER_MS = 400  # client.talk.live
BEFORE_S, AFTER_S = 0.5, 1.0  # of silence


@dataclass
class Sample:
    """A recording and what is said in it."""

    pcm: bytes
    text: str


@dataclass
class Latency:
    """What was waited for, in seconds."""

    first: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--engine", action="append", help="once for each; all that are there if none is named")
    parser.add_argument("--model", default="", help="of whisper: a name of the catalogue, or a folder")
    parser.add_argument("--grid", type=int, default=25, help="how many GRID sentences")
    parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="of the recordings, e.g. 8000 as on a telephone")
    parser.add_argument("--detectors", action="store_true", help="find utterances by the models, too")
    arguments = parser.parse_args()
    given = {"whisper": {"model": arguments.model}} if arguments.model else {}
    hosted: Engines[AsrEngine] = Engines(engines, "asr", AsrSettings(engines=given))
    endpointer = Detectors().endpointer if arguments.detectors else Endpointer
    sets = {
        "en speech": ("en", list(read_speech(arguments.data, "en"))),
        "zh speech": ("zh", list(read_speech(arguments.data, "zh"))),
        "en grid_s1": ("en", list(read_grid(arguments.data, arguments.grid))),
    }
    print(
        "| engine | recordings | errors, file | errors, live | cpu, file | cpu, live | first, ms | final, ms | memory |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.engine or [one.info.name for one in hosted.describe() if one.state is not State.MISSING]:
        before = psutil.Process().memory_info().rss
        engine = hosted.keep(name)
        memory = f"{(psutil.Process().memory_info().rss - before) / 2**20:.0f} MB"
        for told, (language, samples) in sets.items():
            heard = [Sample(as_recorded(one.pcm, arguments.rate), one.text) for one in samples]
            try:
                row = measured(engine, language, heard, endpointer)
            except ServiceError:
                row = "refused | refused | | | |"
            print(f"| {name} | {told} ({len(samples)}) | {row} | {memory} |", flush=True)
    print("\nendpoints of grid_s1:", endpoints(arguments.data))


def measured(engine: AsrEngine, language: str, samples: list[Sample], endpointer: Callable[..., Endpointer]) -> str:
    """The cells of one row; `endpointer` finds utterances live."""
    latency, seconds = Latency(), sum(len(one.pcm) for one in samples) / 2 / SAMPLE_RATE
    cells = []
    ways: tuple[Callable[[bytes], str], ...] = (
        lambda pcm: file(engine, language, pcm),
        lambda pcm: live(engine, language, pcm, latency, endpointer(hangover_ms=HANGOVER_MS)),
    )
    for way in ways:
        began = time.process_time()
        heard = [way(one.pcm) for one in samples]
        cells.append((wrong(language, samples, heard), (time.process_time() - began) / seconds))
    (file_errors, file_cpu), (live_errors, live_cpu) = cells
    waits = " | ".join(quantiles(one) for one in (latency.first, latency.final))
    return f"{file_errors:.3f} | {live_errors:.3f} | {file_cpu:.2f} | {live_cpu:.2f} | {waits}"


def quantiles(waits: list[float]) -> str:
    return f"{np.median(waits) * 1000:.0f} / {np.quantile(waits, 0.95) * 1000:.0f}" if waits else "none"


def wrong(language: str, samples: list[Sample], heard: list[str]) -> float:
    """Word error rate, or of Chinese the character error rate."""
    plain = characters if language == "zh" else words
    rate = jiwer.cer if language == "zh" else jiwer.wer
    return float(rate([plain(one.text) for one in samples], [plain(text) or "-" for text in heard]))


def file(engine: AsrEngine, language: str, pcm: bytes) -> str:
    endpointer = Endpointer(hangover_ms=AsrSettings().file_hangover_ms)
    return " ".join(one.text for one in RecordedTranscription(engine, Expected(language), endpointer).utterances([pcm]))


def live(engine: AsrEngine, language: str, pcm: bytes, latency: Latency, endpointer: Endpointer) -> str:
    """What is heard of a recording that is spoken now; what is waited for is added to the latencies."""
    stream = LiveTranscription(engine, Expected(language), SAMPLE_RATE, endpointer)
    sound = bytes(2 * int(BEFORE_S * SAMPLE_RATE)) + pcm + bytes(2 * int(AFTER_S * SAMPLE_RATE))
    began, texts, started_s, is_first = time.monotonic(), [], 0.0, True
    for at in range(0, len(sound), PIECE_BYTES):
        time.sleep(max(0.0, began + (at + PIECE_BYTES) / 2 / SAMPLE_RATE - time.monotonic()))
        for event in stream.push(sound[at : at + PIECE_BYTES]):
            now = time.monotonic() - began
            if isinstance(event, SpeechStarted):
                started_s, is_first = event.sample_index / SAMPLE_RATE, True
            elif isinstance(event, Interim) and is_first:
                latency.first.append(now - started_s)
                is_first = False
            elif isinstance(event, Utterance):
                latency.final.append(now - event.endpoint_s)
                texts.append(event.text)
    texts += [event.text for event in stream.finish() if isinstance(event, Utterance)]
    stream.close()
    return " ".join(texts)


def as_recorded(pcm: bytes, rate: int) -> bytes:
    """What is left of the sound when it was recorded at another rate."""
    for rates in ((SAMPLE_RATE, rate), (rate, SAMPLE_RATE)):
        resampler = Resampler(*rates)
        pcm = to_pcm(np.concatenate([resampler.push(from_pcm(pcm)), resampler.flush()]))
    return pcm


def endpoints(data: Path) -> str:
    """How far detected speech lies from GRID's alignments, each sentence alone in its three seconds."""
    pcm, missed = grid_audio(data), 0
    errors: tuple[list[float], list[float]] = [], []
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


def read_speech(data: Path, language: str) -> Iterator[Sample]:
    with (data / "speech" / "transcripts.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["lang"] == language and row["text"]:
                yield Sample(to_pcm(decode(data / "speech" / row["file"], SAMPLE_RATE)), row["text"])


def read_grid(data: Path, count: int) -> Iterator[Sample]:
    pcm = grid_audio(data)
    with (data / "videos" / "grid_s1_concat_375s.transcript.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    for row in rows[:: max(1, len(rows) // count)]:
        yield Sample(cut(pcm, float(row["start_s"]) - 0.4, float(row["end_s"]) + 0.4), row["text"])


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


def characters(text: str) -> str:
    """The Chinese ones."""
    return "".join(re.findall(r"[\u3400-\u9fff]", text))


if __name__ == "__main__":
    main()
