"""Measures a generated video against the true one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from google.protobuf.json_format import MessageToDict
from visavis.train.v1 import train_pb2

from client.wire.errors import translate
from client.wire.files import chunks
from client.wire.services import Services

TIMEOUT_S = 3600


@dataclass(frozen=True)
class Evaluation:
    """What was found, and the same as an HTML page if that was asked for."""

    report: dict[str, Any]
    page: bytes


def evaluate(services: Services, true: IO[bytes], generated: IO[bytes], *, page: bool = False) -> Evaluation:
    """Judge a generated video by the true one; docs/benchmarks.md says what each figure means."""

    def requests() -> Iterator[train_pb2.EvaluateRequest]:
        yield train_pb2.EvaluateRequest(config=train_pb2.EvaluateConfig(page=page))
        for data in chunks(true):
            yield train_pb2.EvaluateRequest(true_video=data)
        for data in chunks(generated):
            yield train_pb2.EvaluateRequest(generated_video=data)

    with translate():
        response = services.train.Evaluate(requests(), timeout=TIMEOUT_S)
    return Evaluation(MessageToDict(response.report), response.page)
