"""What is asked of RVC: to convert speech into the voice of a model.

RVC has two lines: the classic branch `20240604`, and `main` since July 2026, whose calls take less.
"""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from typing import Any

from child import Wrong, have, importing, serve, written  # type: ignore[import-not-found]  # beside this file, as it is run

_SIZES = {"v1": 256, "v2": 768}  # numbers that tell a sound, by the version of a model
_EXCEPTION = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception))\b", re.MULTILINE)


def load(task: dict[str, Any]) -> tuple[_Program, int]:
    """The model, and the rate at which it speaks; a first sound makes RVC load its other networks."""
    os.chdir(task["source"])  # its networks lie at relative paths
    with importing():
        import torch

        if os.path.isdir("infer/modules"):
            from infer.modules.vc.modules import VC  # type: ignore[import-not-found]
        else:
            from infer.vc.modules import VC  # type: ignore[import-not-found]
        from configs.config import Config  # type: ignore[import-not-found]

        config = Config()  # which looks for cards, and may fail by that
    have(task["device"], torch)
    vc = VC(config)
    try:
        missing = _filled(vc, os.path.basename(task["model"]), torch)
    except Exception as error:  # whatever is raised over files that are not what they should be
        raise Wrong("checkpoint", type(error).__name__) from error
    if missing:
        raise Wrong("checkpoint", missing[0])
    program = _Program(vc, task["how"], _opened(task["index"], vc.version))
    try:
        program.converted(_hum(program.rate))
    except _Failed as error:
        raise Wrong("failed", str(error)) from error
    return program, program.rate


def answer(program: _Program, asked: dict[str, Any], data: bytes) -> bytes:
    """Speech in the voice of the model."""
    return program.converted(data)


class _Program:
    """RVC with a model.

    Args:
        index: a path, or empty.
    """

    def __init__(self, vc: Any, how: dict[str, Any], index: str) -> None:
        self._vc, self.rate = vc, int(vc.tgt_sr)
        self._given = {
            "sid": how["speaker"],
            "f0_up_key": how["semitones"],
            "f0_file": None,
            "f0_method": how["f0_method"],
            "file_index": index,
            "file_index2": "",
            "index_rate": how["index_rate"],
            "filter_radius": 3,
            "resample_sr": 0,
            "rms_mix_rate": how["rms_mix_rate"],
            "protect": how["protect"],
        }
        self._wanted = inspect.signature(vc.vc_single).parameters

    def converted(self, data: bytes) -> bytes:
        """Speech in the voice of the model.

        Raises:
            _Failed: RVC tells so.
        """
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            path = written(os.path.join(folder, "sentence.wav"), data, self.rate)
            given = {**self._given, "input_audio_path": path}
            told, (rate, samples) = self._vc.vc_single(**{name: given[name] for name in self._wanted})
        if rate is None:
            raise _Failed((_EXCEPTION.findall(told) or ["it does not say why"])[-1])
        return (np.asarray(samples, np.float32) / 2**15).tobytes()


class _Failed(Exception):
    """Something was not converted, which RVC tells in a text."""


def _hum(rate: int) -> bytes:
    import numpy as np

    return (0.1 * np.sin(2 * np.pi * 150 * np.arange(rate) / rate)).astype(np.float32).tobytes()


def _filled(vc: Any, name: str, torch: Any) -> list[str]:
    """Load a model; what it lacks: RVC does not tell that, and would convert with random weights."""
    fill, missing = torch.nn.Module.load_state_dict, []

    def told(*args: Any, **options: Any) -> Any:
        result = fill(*args, **options)
        missing.extend(result.missing_keys)
        return result

    torch.nn.Module.load_state_dict = told
    try:
        vc.get_vc(name)
    finally:
        torch.nn.Module.load_state_dict = fill
    return missing


def _opened(index: str, version: str) -> str:
    """A path of an index by which RVC finds it: of any other it writes `added` for `trained`, wherever that stands, and
    goes on without an index that it cannot find or read.

    Raises:
        Wrong: it is none, or one of another model's.
    """
    if not index:
        return ""
    with importing():
        import faiss  # type: ignore[import-not-found]
    wanted = _SIZES.get(version)
    path = f"/dev/fd/{os.open(index, os.O_RDONLY)}"
    try:
        size = faiss.read_index(path).d
    except Exception as error:
        raise Wrong("index", type(error).__name__) from error
    if size != wanted:
        raise Wrong("index", f"made of {size} numbers each, where the model has {wanted}")
    return path


if __name__ == "__main__":
    serve(load, answer)
