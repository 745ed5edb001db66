"""Every call of every service refuses, by its field, what is longer than its proto allows."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from visavis.common.v1 import limits_pb2

SERVICES = ("asr", "llm", "tts", "render", "train")
UNSTATED = 200
"""Most characters of a text for which the proto states nothing else."""

Excess = tuple[str, Message, str]


def excesses(kind: Descriptor, within: str = "") -> Iterator[Excess]:
    """Messages with too much in them: the path of the field that has it, the message, the reason for its refusal."""
    for field in kind.fields:
        path = "" if field.name == "config" else f"{within}{field.name}"
        for told, value, reason in _too_much(field, path):
            message = GetMessageClass(kind)()
            if isinstance(value, Message):
                getattr(message, field.name).CopyFrom(value)
            elif isinstance(value, dict):
                getattr(message, field.name).update(value)
            elif isinstance(value, list):
                getattr(message, field.name).extend(value)
            else:
                setattr(message, field.name, value)
            yield told, message, reason


def _too_much(field: FieldDescriptor, path: str) -> Iterator[tuple[str, Any, str]]:
    stated = field.GetOptions().Extensions
    characters = stated[limits_pb2.max_characters] or UNSTATED
    entries = stated[limits_pb2.max_entries]
    if field.type == field.TYPE_BYTES:
        yield path, bytes(stated[limits_pb2.max_bytes] + 1), "PIECE_TOO_LARGE"
    elif field.type == field.TYPE_STRING:
        text = "x" * (characters + 1)
        yield path, [text] if field.is_repeated else text, "TEXT_TOO_LONG"
    elif field.message_type and field.message_type.GetOptions().map_entry:
        yield path, {"x" * (characters + 1): ""}, "TEXT_TOO_LONG"
        yield path, {"x": "x" * (characters + 1)}, "TEXT_TOO_LONG"
        yield path, {str(index): "" for index in range(entries + 1)}, "TOO_MANY_ENTRIES"
    elif field.message_type and not field.message_type.full_name.startswith("google."):
        for told, value, reason in excesses(field.message_type, f"{path}." if path else ""):
            yield told, [value] if field.is_repeated else value, reason
        if entries:
            yield path, [GetMessageClass(field.message_type)()] * (entries + 1), "TOO_MANY_ENTRIES"


def methods(service: str) -> list[MethodDescriptor]:
    """The calls of a service."""
    protos = importlib.import_module(f"visavis.{service}.v1.{service}_pb2")
    return [method for each in protos.DESCRIPTOR.services_by_name.values() for method in each.methods]


async def refusal(channel: grpc.aio.Channel, method: MethodDescriptor, request: Message) -> tuple[Any, str, str]:
    """How a call with this one message ends: status, reason and field."""
    sends, replies = (
        "stream" if streams else "unary" for streams in (method.client_streaming, method.server_streaming)
    )
    make = getattr(channel, f"{sends}_{replies}")
    call = make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    made = call([request] if sends == "stream" else request, timeout=60)
    try:
        if replies == "stream":
            await made.read()
        else:
            await made
    except grpc.aio.AioRpcError as error:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        status = rpc_status.from_call(error)
        assert status, error.details()
        status.details[0].Unpack(info)
        status.details[1].Unpack(bad)
        return error.code(), info.reason, bad.field_violations[0].field
    return grpc.StatusCode.OK, "", ""


@pytest.mark.parametrize("service", SERVICES)
def test_every_limit_of_every_call_holds(service: str, serving: Any, tmp_path: Path) -> None:
    room, name = importlib.import_module(f"services.{service}.servicer"), service.capitalize()
    settings = getattr(importlib.import_module(f"services.{service}.settings"), f"{name}Settings")(
        port=0,
        storage_url=(tmp_path / "storage").as_uri(),
        database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        work_folder=tmp_path / "work",
    )
    beyond = [
        (method, path, request, reason)
        for method in methods(service)
        for path, request, reason in excesses(method.input_type)
    ]

    async def work() -> list[tuple[Any, str, str]]:
        async with serving(getattr(room, f"{name}Servicer")(settings), settings) as channel:
            return [await refusal(channel, method, request) for method, _, request, _ in beyond]

    found = asyncio.run(work())
    expected = [(grpc.StatusCode.INVALID_ARGUMENT, reason, path) for _, path, _, reason in beyond]
    assert {method.name for method, *_ in beyond} == {method.name for method in methods(service)} - {"GetInfo"}
    assert found == expected
