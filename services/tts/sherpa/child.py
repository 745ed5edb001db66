"""The process in which a model of sherpa-onnx speaks: `python -m services.tts.sherpa.child`.

sherpa-onnx ends its process when something in a model is not as it should be, and writes words that it cannot say to
stderr, which is a log. So it gets a process of its own, whose stderr nobody reads.

It reads lines of JSON: first the model, then what to say. It answers each with a line of JSON, and with the samples.
"""

from __future__ import annotations

import json
import os
import sys
import wave
from collections.abc import Callable
from typing import IO, Any

import numpy as np
import sherpa_onnx

_KINDS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ZipVoice": ("zipvoice", sherpa_onnx.OfflineTtsZipvoiceModelConfig),
    "Kokoro": ("kokoro", sherpa_onnx.OfflineTtsKokoroModelConfig),
    "Matcha": ("matcha", sherpa_onnx.OfflineTtsMatchaModelConfig),
    "VITS": ("vits", sherpa_onnx.OfflineTtsVitsModelConfig),
}


def main() -> None:
    """Serve until stdin ends, as it does with whoever started this."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever else is printed is no answer
    requests = sys.stdin.buffer
    model = _model(json.loads(requests.readline()))
    _tell(answers, {"rate": model.sample_rate, "speakers": model.num_speakers})
    for line in requests:
        samples = _spoken(model, json.loads(line))
        _tell(answers, {"count": len(samples)}, samples.tobytes())


def _model(task: dict[str, Any]) -> Any:
    name, make = _KINDS[task["kind"]]
    parts = {name: make(**task["paths"])}
    config = sherpa_onnx.OfflineTtsModelConfig(num_threads=task["threads"], provider=task["provider"], **parts)
    return sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=config))


def _spoken(model: Any, asked: dict[str, Any]) -> np.ndarray:
    config = sherpa_onnx.GenerationConfig()
    config.sid, config.speed, config.num_steps = asked["speaker"], asked["speed"], asked["steps"]
    if asked["recording"]:
        with wave.open(asked["recording"]) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            config.reference_sample_rate = file.getframerate()
        config.reference_audio = pcm.astype(np.float32) / 2**15
        config.reference_text = asked["words"]
    return np.asarray(model.generate(asked["text"], config).samples, np.float32)


def _tell(answers: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    answers.write(json.dumps(head).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main()
