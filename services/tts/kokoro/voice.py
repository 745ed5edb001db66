"""A voice of Kokoro's in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from onnx.helper import make_tensor_value_info

from services.common.arrays import Doubles, Samples
from services.tts import espeak_ng, phonemes
from services.tts.espeak_ng import Clause
from services.tts.kokoro.files import STYLE, STYLES, Files, wrong
from services.tts.kokoro.symbols import EDGE, NUMBERS, spelled
from services.tts.phonemic import FIRST_S, PhonemicVoice, Sound, session

_RATE = 24_000
_FIRST_PHONES, _MOST_PHONES = 24, 60
_SHUT_S = (-0.075, -0.02)  # a b, m or p begins after the lips have opened: docs/voices.md
_INPUTS = 3  # symbols, style, speed


class Voice(PhonemicVoice):
    """A voice of Kokoro's. Each part of a sentence is drawn at once: in its vocoder everything depends on everything.

    Args:
        threads: how many processors a computation uses.

    Raises:
        WrongVoice: the network cannot be used.
    """

    def __init__(self, files: Files, *, threads: int) -> None:
        super().__init__(
            espeak_ng.voices()[files.language], _RATE, _SHUT_S, first_phones=_FIRST_PHONES, most_phones=_MOST_PHONES
        )
        self._is_british = files.language == "en-gb"
        self._styles = np.fromfile(files.styles, np.float32).reshape(STYLES, 1, STYLE)
        network, self._durations = _with_durations(files)
        self._session = session(network, threads, wrong(files.network.name, "ONNX Runtime cannot read it"))
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._audio = self._session.get_outputs()[0].name
        self.warm()

    def _sound(self, clauses: Sequence[Clause], rate: float, first_s: float = FIRST_S) -> Sound:
        """In one piece: its vocoder cannot be parted."""
        letters = [(letter, owner) for letter, owner in self._letters(clauses) if letter in NUMBERS]
        drawn, begun, seconds, end = [], np.zeros(0), 0.0, 0.0
        for at in range(0, max(len(letters), 1), STYLES):
            samples, edges = self._run([NUMBERS[letter] for letter, _ in letters[at : at + STYLES]], rate)
            drawn.append(samples)
            begun, end = np.concatenate([begun, seconds + edges[1:-2]]), seconds + edges[-2]
            seconds += len(samples) / _RATE
        owners = [owner for _, owner in letters]
        starts = np.append(begun, end)[np.searchsorted(owners, range(sum(map(phonemes.size, clauses))))]
        return Sound(iter([(np.concatenate(drawn), True)]), starts.tolist(), seconds)

    def _run(self, numbers: Sequence[int], rate: float) -> tuple[Samples, Doubles]:
        """The sound of at most `STYLES` letters, and the second at which each symbol begins, and the last ends."""
        symbols = [EDGE, *numbers, EDGE]
        style = self._styles[len(numbers) - 1]
        values = (np.array([symbols], np.int64), style, np.array([rate], np.float32))
        sound, durations = self._session.run(
            [self._audio, self._durations], dict(zip(self._inputs, values, strict=True))
        )
        samples: Samples = sound.reshape(-1)
        edges = np.concatenate([[0], np.cumsum(durations.reshape(-1))])
        return samples, edges * (len(samples) / _RATE / edges[-1])

    def _letters(self, clauses: Sequence[Clause]) -> Iterator[tuple[str, int]]:
        """Kokoro's letters, each with the phone that it is part of or follows."""
        owner, last = -1, ""
        for clause in clauses:
            for group in clause.groups:
                if owner >= 0:
                    yield " ", owner
                for phone in group:
                    owner += 1
                    for letter in spelled(phone, is_british=self._is_british):
                        if (last, letter) != ("ɹ", "ɹ"):  # "weather in": espeak joins them by a second one
                            yield letter, owner
                        last = letter
            if clause.mark:
                yield clause.mark, owner


def _with_durations(files: Files) -> tuple[bytes, str]:
    """The network, which now also tells how many frames each symbol lasts, and the name of that output."""
    try:
        model = onnx.load(files.network)
    except (DecodeError, OSError) as error:
        raise wrong(files.network.name, "it is no ONNX file") from error
    rounded = {node.output[0] for node in model.graph.node if node.op_type == "Round"}
    found = [node.output[0] for node in model.graph.node if node.op_type == "Clip" and node.input[0] in rounded]
    if len(found) != 1 or len(model.graph.input) != _INPUTS:
        raise wrong(files.network.name, "it is not Kokoro's network")
    model.graph.output.append(make_tensor_value_info(found[0], TensorProto.FLOAT, None))
    return model.SerializeToString(), found[0]
