"""Ways to run the image network on a processor, side by side: python -m bench.face_backends [--rounds 7].

Milliseconds a frame by precision, batch and crop, medians of rounds in which every way takes its turn, so that whatever
else the machine does hits all alike. ONNX Runtime and OpenVINO are no part of Visavis: `pip install onnx onnxruntime
openvino` in an environment made for this; what is missing is left out. Differences are against torch in float32.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from portrait.arrays import Floats
from portrait.compute.device import channels_last
from portrait.face.network import FaceNet, fold_batch_norm

BATCHES, SIDES = (1, 4, 8), (128, 160, 192)
Inputs = tuple[torch.Tensor, torch.Tensor]
Way = Callable[[Inputs], Floats]


def inputs(batch: int, side: int) -> Inputs:
    """Made-up crops and contours."""
    torch.manual_seed(0)
    return torch.rand(batch, 3, side, side), torch.rand(batch, 3, side // 2, side // 2)


def eager(net: torch.nn.Module, kind: torch.dtype, memory: torch.memory_format) -> Way:
    """Torch as it is."""
    net = copy.deepcopy(net).to(kind)
    if memory is torch.channels_last:
        net = channels_last(net)

    def run(given: Inputs) -> Floats:
        picture, lines = (each.to(kind).contiguous(memory_format=memory) for each in given)
        return np.asarray(net(picture, lines).float())

    return run


def compiled(net: torch.nn.Module, kind: torch.dtype) -> Way:
    """torch.compile: needs a C++ compiler where it runs."""
    made = torch.compile(channels_last(copy.deepcopy(net).to(kind)), dynamic=False)

    def run(given: Inputs) -> Floats:
        picture, lines = (each.to(kind).contiguous(memory_format=torch.channels_last) for each in given)
        return np.asarray(made(picture, lines).float())

    return run


def exported(net: torch.nn.Module, folder: Path, given: Inputs) -> Path:
    """The network as ONNX, for one shape."""
    path = folder / "net.onnx"
    torch.onnx.export(net, given, str(path), input_names=["picture", "lines"], dynamo=False)
    return path


def onnx_runtime(model: Path) -> Way:
    """ONNX Runtime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, {"picture": given[0].numpy(), "lines": given[1].numpy()})[0]


def quantised(model: Path, given: Inputs) -> Path:
    """The ONNX network in eight bits, calibrated on the made-up input."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # nothing is told of its types
        def __init__(self) -> None:
            self._left = [{"picture": given[0].numpy(), "lines": given[1].numpy()}] * 4

        def get_next(self) -> dict[str, Floats] | None:
            return self._left.pop() if self._left else None

    path = model.with_name("net-int8.onnx")
    quantize_static(str(model), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
    return path


def open_vino(model: Path, precision: str) -> Way:
    """OpenVINO's processor plug-in."""
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    made = openvino.Core().compile_model(str(model), "CPU", hints)
    return lambda given: made([given[0].numpy(), given[1].numpy()])[0]


def ways(net: torch.nn.Module, folder: Path, given: Inputs) -> dict[str, Way]:
    """Every way there is here."""
    bf16, last = torch.bfloat16, torch.channels_last
    found = {
        "torch fp32": eager(net, torch.float32, torch.contiguous_format),
        "torch fp32 channels_last": eager(net, torch.float32, last),
        "torch bf16 channels_last": eager(net, bf16, last),
        "torch.compile bf16": compiled(net, bf16),
    }
    if importlib.util.find_spec("onnx") is None:
        return found
    model = exported(net, folder, given)
    if importlib.util.find_spec("onnxruntime") is not None:
        found |= {"ONNX Runtime fp32": onnx_runtime(model)}
        found |= {"ONNX Runtime int8": onnx_runtime(quantised(model, given))}
    if importlib.util.find_spec("openvino") is not None:
        found |= {f"OpenVINO {p}": open_vino(model, p) for p in ("f32", "bf16")}
        if (model8 := folder / "net-int8.onnx").exists():
            found |= {"OpenVINO int8": open_vino(model8, "f32")}
    return found


@torch.inference_mode()
def measure(net: torch.nn.Module, batch: int, side: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds a frame, and the largest difference in grey levels, of each way."""
    given = inputs(batch, side)
    with tempfile.TemporaryDirectory() as folder:
        found = ways(net, Path(folder), given)
        truth = found["torch fp32"](given)
        apart = {name: float(np.abs(way(given) - truth).max() * 255) for name, way in found.items()}
        times: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(rounds):
            for name, way in found.items():
                way(given)
                began = time.perf_counter()
                way(given)
                times[name].append(1000 * (time.perf_counter() - began) / batch)
    return {name: (statistics.median(each), apart[name]) for name, each in times.items()}


def main() -> None:
    """Print a table for each crop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    net = fold_batch_norm(FaceNet().eval())
    for side in SIDES:
        results = [measure(net, batch, side, options.rounds) for batch in BATCHES]
        print(f"\n| crop {side} px, ms a frame | {' | '.join(f'batch {b}' for b in BATCHES)} | grey levels apart |")
        print("|---|" + "---|" * (len(BATCHES) + 1))
        for name in results[0]:
            cells = " | ".join(f"{result[name][0]:.1f}" for result in results)
            print(f"| {name} | {cells} | {results[-1][name][1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
