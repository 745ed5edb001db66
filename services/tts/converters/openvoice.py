"""What is asked of OpenVoice: to learn tone colours, and to convert speech from one to another."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from child import Wrong, have, importing, serve, written  # type: ignore[import-not-found]  # beside this file, as it is run

_SEGMENT_S = 10  # OpenVoice's own tools hear a recording in pieces as long, and take the mean


def load(task: dict[str, Any]) -> tuple[Any, int]:
    """The converter, and at which rate it hears and speaks."""
    with importing():
        import torch
        from openvoice import api  # type: ignore[import-not-found]
    have(task["device"], torch)

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
        raise Wrong("checkpoint", type(error).__name__) from error
    if missing:
        raise Wrong("checkpoint", missing[0])
    return converter, int(converter.hps.data.sampling_rate)


def answer(converter: Any, asked: dict[str, Any], data: bytes) -> bytes:
    """Learn, or convert."""
    return _learnt(converter, data) if asked["do"] == "learn" else _converted(converter, asked, data)


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
        paths = [written(os.path.join(folder, f"{number}.wav"), piece, rate) for number, piece in enumerate(pieces)]
        learnt: bytes = converter.extract_se(paths).cpu().numpy().astype("float32").tobytes()
    return learnt


def _converted(converter: Any, asked: dict[str, Any], data: bytes) -> bytes:
    import torch

    source, target = (
        torch.tensor(asked[name], dtype=torch.float32).reshape(1, -1, 1).to(converter.device) for name in ("of", "to")
    )
    with tempfile.TemporaryDirectory() as folder:
        path = written(os.path.join(folder, "sentence.wav"), data, converter.hps.data.sampling_rate)
        converted: bytes = converter.convert(path, source, target, tau=asked["tau"]).astype("float32").tobytes()
    return converted


if __name__ == "__main__":
    serve(load, answer)
