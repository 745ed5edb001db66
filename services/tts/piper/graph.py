"""A VITS network parted in two, so that a sentence can be heard before all of it has been drawn.

J. Kim, J. Kong, J. Son: "Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech",
ICML 2021. Its first half says from symbols how long each lasts and what the sound is like, frame by frame; its vocoder,
two thirds of the work, draws each frame from its neighbours only, so it may as well do so piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto
from onnx.helper import make_tensor_value_info
from onnx.utils import Extractor

from services.tts.piper.files import wrong

SPEAKER = "sid"  # the input of networks with several speakers


@dataclass(frozen=True)
class Halves:
    """A network in two. `frames` (1, channels, n) go from the encoder's first output into the vocoder's input of that
    name; the encoder's second output is `durations`, (1, 1, symbols) in frames."""

    encoder: bytes
    vocoder: bytes
    frames: str
    durations: str


def part(network: Path) -> Halves:
    """Part the network in a file.

    Raises:
        WrongVoice: it is no VITS network.
    """
    try:
        model = onnx.load(network)
    except (DecodeError, OSError) as error:
        raise wrong(network.name, "it is no ONNX file") from error
    inputs = [each.name for each in model.graph.input]
    if inputs[:3] != ["input", "input_lengths", "scales"] or len(model.graph.output) != 1:
        raise wrong(network.name, "its inputs are not those of a voice of Piper's")
    frames, durations = _frames(model, network.name), _durations(model, network.name)
    # Without a name for their kind, which inference does not always find, they could not be taken out.
    model.graph.value_info.extend(make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (frames, durations))
    extractor = Extractor(model)
    speaker = [name for name in inputs if name == SPEAKER]
    encoder = extractor.extract_model(inputs, [frames, durations])
    vocoder = extractor.extract_model([frames, *speaker], [model.graph.output[0].name])
    return Halves(encoder.SerializeToString(), vocoder.SerializeToString(), frames, durations)


def _durations(model: ModelProto, file: str) -> str:
    """How many frames each symbol lasts: what is rounded up before it is summed up."""
    summed = {node.input[0] for node in model.graph.node if node.op_type == "CumSum"}
    rounded = [node.output[0] for node in model.graph.node if node.op_type == "Ceil" and node.output[0] in summed]
    if len(rounded) != 1:
        raise wrong(file, "it does not tell how long symbols last")
    return rounded[0]


def _frames(model: ModelProto, file: str) -> str:
    """What the vocoder draws: the input of the convolution before the first that makes sound longer."""
    makers = {output: node for node in model.graph.node for output in node.output}
    weights = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    node = next((node for node in model.graph.node if node.op_type == "ConvTranspose"), None)
    while node and not _is_wide(node, weights):
        node = next((makers[name] for name in node.input if name in makers and _leads(makers[name], weights)), None)
    if node is None:
        raise wrong(file, "it has no vocoder that is known")
    return node.input[0]


def _is_wide(node: NodeProto, weights: dict[str, tuple[int, ...]]) -> bool:
    """Whether this is the vocoder's first convolution; the speaker is brought in by one that sees a frame at a time."""
    return node.op_type == "Conv" and weights.get(node.input[1], (0, 0, 1))[-1] > 1


def _leads(node: NodeProto, weights: dict[str, tuple[int, ...]]) -> bool:
    return node.op_type in ("LeakyRelu", "Add") or _is_wide(node, weights)


def chunks(count: int, first: int) -> list[tuple[int, int]]:
    """So many frames in pieces, each up to twice as long as the one before: the first is there soon, and while one is
    heard the next is drawn. No short rest is left."""
    edges = [0]
    size = first
    while count - edges[-1] > 2 * size:
        edges.append(edges[-1] + size)
        size = min(2 * size, 16 * first)
    return list(pairwise([*edges, count])) if count else []
