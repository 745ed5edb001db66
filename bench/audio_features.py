"""How fast speech becomes features: realtime factors of the whole, of the stream, and of pocketsphinx' own decoder.

    OMP_NUM_THREADS=1 python -m bench.audio_features [recording [a Whisper model's folder]]

Processor seconds per second of sound: on one thread that is the realtime factor, whatever else the machine does.
The decoder with a senone log is the other way to the same scores: it writes them to a file, for whole utterances only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from pocketsphinx import Decoder, get_model_path
from scipy.signal import resample_poly

from portrait.arrays import Samples
from portrait.media import video
from portrait.sound import audio
from portrait.sound.encoder import BlockStream, Encoder
from services.tts import espeak_ng

RUNS = 5
PUSH = audio.SAMPLE_RATE // 25
SENTENCE = "The quick brown fox jumps over the lazy dog, while many people bring warm bread from the village market."


def recording() -> Samples:
    """The sound of the given file, or half a minute of espeak-ng."""
    if len(sys.argv) > 1:
        return video.audio(Path(sys.argv[1]))
    spoken = resample_poly(espeak_ng.speak(SENTENCE, "en-us").samples, 320, 441).astype(np.float32)
    return np.tile(spoken, -(-30 * audio.SAMPLE_RATE // len(spoken)))


def streamed(samples: Samples) -> None:
    """Features of pushes of 40 ms, a video frame each."""
    stream = audio.FeatureStream()
    for start in range(0, len(samples), PUSH):
        stream.push(samples[start : start + PUSH])
    stream.flush()


def encoded(encoder: Encoder, samples: Samples) -> None:
    """Tokens of an encoder, from pushes of 40 ms."""
    stream = BlockStream(encoder)
    for start in range(0, len(samples), PUSH):
        stream.push(samples[start : start + PUSH])
    stream.flush()


def decoded(samples: Samples) -> None:
    """Scores from pocketsphinx' phone decoder by way of its senone log."""
    model = Path(get_model_path("en-us"))
    with tempfile.TemporaryDirectory() as folder:
        decoder = Decoder(
            hmm=str(model / "en-us"), allphone=str(model / "en-us-phone.lm.bin"), lm=None, dict=None,
            senlogdir=folder, compallsen=True, loglevel="FATAL",
        )  # fmt: skip
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        log = next(Path(folder).iterdir()).read_bytes()
        np.frombuffer(log[log.index(b"endhdr\n") + 11 :], "<i2").reshape(-1, 5127)[:, 1:127].astype(np.float32)


def realtime_factor(job: Callable[[Samples], object], samples: Samples) -> list[float]:
    """Processor seconds per second of sound, run by run, after one run that is not counted."""
    factors = []
    for _ in range(RUNS + 1):
        start = time.process_time()
        job(samples)
        factors.append((time.process_time() - start) * audio.SAMPLE_RATE / len(samples))
    return factors[1:]


def main() -> None:
    samples = recording()
    print(f"{len(samples) / audio.SAMPLE_RATE:.1f} s of speech, {RUNS} runs: median (least to most) realtime factor")
    jobs: dict[str, Callable[[Samples], object]] = {
        "features()": audio.features,
        "stream, 40 ms pushes": streamed,
        "pocketsphinx, senone log": decoded,
    }
    if len(sys.argv) > 2:
        jobs["encoder, 40 ms pushes"] = partial(encoded, Encoder(Path(sys.argv[2])))
    for name, job in jobs.items():
        factors = realtime_factor(job, samples)
        print(f"{name:26}{median(factors):.4f}  ({min(factors):.4f} to {max(factors):.4f})")


if __name__ == "__main__":
    main()
