"""A VITS network parted in three, so that a sentence can be heard before all of it has been drawn.

J. Kim, J. Kong, J. Son: "Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech",
ICML 2021. Its encoder says from symbols how long each lasts and what is said in each frame; its flow, from that, what
the frame sounds like; its vocoder, two thirds of the work, draws it. Flow and vocoder know a frame's neighbours only,
so they may as well work piece by piece.
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
class Parts:
    """A network in three; the names of what goes from one into the other, and of the encoder's second output."""

    encoder: bytes
    flow: bytes
    vocoder: bytes
    latent: str  # (1, channels, n), from the encoder into the flow
    mask: str  # (1, 1, n), into the flow: 1 for each frame that is one
    frames: str  # (1, channels, n), from the flow into the vocoder
    durations: str  # (1, 1, symbols), in frames


def part(network: Path) -> Parts:
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
    latent, mask = _latent(model, network.name), _mask(model, frames, network.name)
    # Without a name for their kind, which inference does not always find, they could not be taken out.
    between = (latent, mask, frames, durations)
    model.graph.value_info.extend(make_tensor_value_info(name, TensorProto.FLOAT, None) for name in between)
    extractor = Extractor(model)
    speaker = [name for name in inputs if name == SPEAKER]
    encoder = extractor.extract_model(inputs, [latent, durations])
    flow = extractor.extract_model([latent, mask, *speaker], [frames])
    vocoder = extractor.extract_model([frames, *speaker], [model.graph.output[0].name])
    return Parts(
        encoder.SerializeToString(), flow.SerializeToString(), vocoder.SerializeToString(),
        latent, mask, frames, durations,
    )  # fmt: skip


def _durations(model: ModelProto, file: str) -> str:
    """How many frames each symbol lasts: what is rounded up before it is summed up."""
    summed = {node.input[0] for node in model.graph.node if node.op_type == "CumSum"}
    rounded = [node.output[0] for node in model.graph.node if node.op_type == "Ceil" and node.output[0] in summed]
    if len(rounded) != 1:
        raise wrong(file, "it does not tell how long symbols last")
    return rounded[0]


def _latent(model: ModelProto, file: str) -> str:
    """What the flow begins with: the means of the frames, with noise of the frames' and the caller's scale added."""
    makers = _makers(model)

    def is_noise(name: str, scalings: int) -> bool:
        node = makers.get(name)
        if node is None or node.op_type != "Mul" or not scalings:
            return node is not None and node.op_type == "RandomNormalLike"
        return any(is_noise(each, scalings - 1) for each in node.input)

    noisy = [
        node.output[0] for node in model.graph.node
        if node.op_type == "Add" and any(is_noise(each, 2) for each in node.input)
    ]  # fmt: skip
    if len(noisy) != 1:
        raise wrong(file, "it does not tell what its flow begins with")
    return noisy[0]


def _mask(model: ModelProto, frames: str, file: str) -> str:
    """By what the flow's end is multiplied."""
    makers = _makers(model)
    node = makers.get(frames)
    while node and node.op_type in ("Slice", "Identity"):
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Mul":
        raise wrong(file, "it does not mask its frames")
    return str(node.input[1])


def _makers(model: ModelProto) -> dict[str, NodeProto]:
    """The nodes by what they make."""
    return {output: node for node in model.graph.node for output in node.output}


def _frames(model: ModelProto, file: str) -> str:
    """What the vocoder draws: the input of the convolution before the first that makes sound longer."""
    makers = _makers(model)
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
