"""The process in which OpenVoice converts: this file, run by the Python that has its packages, which is not ours.

So it imports nothing of the house. It reads lines of JSON, first where checkout and checkpoint are, then what to learn
or convert, each with its samples; it answers each with a line of JSON, and with samples. See `model_process.py`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import wave
from typing import IO, Any

_SEGMENT_S = 10  # OpenVoice's own tools hear a recording in pieces as long, and take the mean


def main() -> None:
    """Serve until stdin ends, as it does with whoever started this."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # OpenVoice prints what it loads
    requests = sys.stdin.buffer
    try:
        converter = _loaded(json.loads(requests.readline()))
    except _Wrong as error:
        _tell(answers, error.told)
        return
    _tell(answers, {"rate": int(converter.hps.data.sampling_rate), "version": str(converter.version)})
    for line in requests:
        asked = json.loads(line)
        data = requests.read(4 * asked["count"])
        try:
            samples = _learnt(converter, data) if asked["do"] == "learn" else _converted(converter, asked, data)
        except Exception as error:  # noqa: BLE001 - whatever its libraries raise; the next sentence may do
            _tell(answers, {"error": "failed", "what": type(error).__name__})
        else:
            _tell(answers, {"count": len(samples) // 4}, samples)


class _Wrong(Exception):
    """It cannot be loaded."""

    def __init__(self, error: str, what: str) -> None:
        super().__init__(error)
        self.told = {"error": error, "what": what}


def _loaded(task: dict[str, Any]) -> Any:
    sys.path[0] = task["source"]  # instead of the folder of this file
    try:
        import torch
        from openvoice import api  # type: ignore[import-not-found]
    except ImportError as error:
        raise _Wrong("package", (error.name or "openvoice").partition(".")[0]) from error
    except Exception as error:  # an old package may fail by anything with a new Python
        raise _Wrong("failed", type(error).__name__) from error
    if task["device"] != "cpu" and not torch.cuda.is_available():
        raise _Wrong("device", task["device"])

    class Converter(api.ToneColorConverter):  # type: ignore[misc]
        def __init__(self, config: str, device: str) -> None:
            """Its own constructor downloads a network for watermarks, and cannot be told not to."""
            api.OpenVoiceBaseClass.__init__(self, config, device)
            self.watermark_model = None
            self.version = getattr(self.hps, "_version_", "v1")

    try:
        converter = Converter(task["config"], task["device"])
        missing = _filled(converter, task["checkpoint"])
    except Exception as error:  # whatever is raised over files that are not what they should be
        raise _Wrong("checkpoint", type(error).__name__) from error
    if missing:
        raise _Wrong("checkpoint", missing[0])
    return converter


def _filled(converter: Any, checkpoint: str) -> list[str]:
    """What a checkpoint lacks: OpenVoice only prints that, and would convert with random weights."""
    fill, missing = converter.model.load_state_dict, []

    def told(*args: Any, **options: Any) -> Any:
        result = fill(*args, **options)
        missing.extend(result.missing_keys)
        return result

    converter.model.load_state_dict = told
    converter.load_ckpt(checkpoint)
    return missing


def _learnt(converter: Any, data: bytes) -> bytes:
    """The tone colour of a recording."""
    rate = converter.hps.data.sampling_rate
    longest = 4 * _SEGMENT_S * rate
    pieces = [data[at : at + longest] for at in range(0, len(data), longest)]
    if len(pieces) > 1 and len(pieces[-1]) < longest // 2:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    with tempfile.TemporaryDirectory() as folder:
        paths = [_written(os.path.join(folder, f"{number}.wav"), piece, rate) for number, piece in enumerate(pieces)]
        learnt: bytes = converter.extract_se(paths).cpu().numpy().astype("float32").tobytes()
    return learnt


def _converted(converter: Any, asked: dict[str, Any], data: bytes) -> bytes:
    import torch

    source, target = (
        torch.tensor(asked[name], dtype=torch.float32).reshape(1, -1, 1).to(converter.device) for name in ("of", "to")
    )
    with tempfile.TemporaryDirectory() as folder:
        path = _written(os.path.join(folder, "sentence.wav"), data, converter.hps.data.sampling_rate)
        converted: bytes = converter.convert(path, source, target, tau=asked["tau"]).astype("float32").tobytes()
    return converted


def _written(path: str, data: bytes, rate: int) -> str:
    import numpy as np

    samples = np.clip(np.frombuffer(data, np.float32), -1, 1)
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def _tell(answers: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    answers.write(json.dumps(head).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main()
