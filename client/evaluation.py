"""Measures a generated video against the true one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from google.protobuf.json_format import MessageToDict
from visavis.train.v1 import train_pb2

from client.errors import translate
from client.files import chunks
from client.services import Services

TIMEOUT_S = 3600


def evaluate(services: Services, true: BinaryIO, generated: BinaryIO) -> dict[str, Any]:
    """Metrics by name; see docs/portrait.md for what each means."""

    def requests() -> Iterator[train_pb2.EvaluateRequest]:
        yield train_pb2.EvaluateRequest(config=train_pb2.EvaluateConfig())
        for data in chunks(true):
            yield train_pb2.EvaluateRequest(true_video=data)
        for data in chunks(generated):
            yield train_pb2.EvaluateRequest(generated_video=data)

    with translate():
        return MessageToDict(services.train.Evaluate(requests(), timeout=TIMEOUT_S).report)
