"""What the protos say of a call's failures is what the code can fail with, and each reason of a service is told."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc_tools
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from tests.reasons import in_file

ROOT = Path(__file__).parents[2]
SERVICES = ("asr", "llm", "tts", "render", "train", "jobs", "models")
HOSTS = {"jobs": ("train", "render"), "models": ("train",)}
"""Who serves what is no room of its own."""
WORD = re.compile(r"\b[A-Z]{2,}(?:_[A-Z0-9]+)*\b")
NO_REASONS = {"AIP", "BCP", "WAV", "MP4", "PCM", "CAPABILITY", "RPC"}
"""Words in capitals that are none."""
SERVICE, METHOD = 6, 2  # fields of descriptor.proto, in the paths of comments


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileDescriptorProto]:
    """The services' protos with their comments, by service."""
    compiled = tmp_path_factory.mktemp("protos") / "all"
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = [f"visavis/{service}/v1/{service}.proto" for service in SERVICES]
    told = ("--include_source_info", f"--descriptor_set_out={compiled}")
    assert not protoc.main(["protoc", f"-I{ROOT / 'protos'}", f"-I{well_known}", *told, *sources])
    files = FileDescriptorSet.FromString(compiled.read_bytes()).file
    return {file.package.split(".")[1]: file for file in files}


def comments(proto: FileDescriptorProto) -> dict[str, str]:
    """What is said of the service, under "", and of each of its calls."""
    found = {}
    for location in proto.source_code_info.location:
        match list(location.path):
            case [kind, _] if kind == SERVICE:
                found[""] = location.leading_comments
            case [kind, number, part, index] if (kind, part) == (SERVICE, METHOD):
                found[proto.service[number].method[index].name] = location.leading_comments
    return found


def reasons(comment: str) -> set[str]:
    """The reasons that a comment names."""
    return set(WORD.findall(comment)) - NO_REASONS


def code_of(service: str) -> set[Path]:
    """The files that a service runs: its own, and what of ours they import."""
    found: set[Path] = set()
    waiting = [path for room in HOSTS.get(service, (service,)) for path in (ROOT / "services" / room).rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path))
    return found


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("basics", "services", "portrait", "models")
        ):
            module = ROOT.joinpath(*str(node.module).split("."))
            names = [module / f"{alias.name}.py" for alias in node.names]
            yield from (file for file in [module.with_suffix(".py"), module / "__init__.py", *names] if file.exists())


def raised(files: set[Path]) -> set[str]:
    """The reasons in some files."""
    return {reason for path in files for _, reason in in_file(path)}


@pytest.mark.parametrize("service", SERVICES)
def test_no_comment_names_a_reason_that_cannot_come(service: str, protos: dict[str, FileDescriptorProto]) -> None:
    told = {reason for comment in comments(protos[service]).values() for reason in reasons(comment)}
    assert len(told) > 6
    assert told <= raised(code_of(service))


@pytest.mark.parametrize("service", [service for service in SERVICES if service not in HOSTS])
def test_every_reason_of_a_service_is_told(service: str, protos: dict[str, FileDescriptorProto]) -> None:
    protos_of = [service, *(shared for shared, rooms in HOSTS.items() if service in rooms)]
    told = {reason for one in protos_of for comment in comments(protos[one]).values() for reason in reasons(comment)}
    own = raised({path for path in code_of(service) if path.is_relative_to(ROOT / "services" / service)})
    assert own
    assert own <= told


@pytest.mark.parametrize("service", SERVICES)
def test_every_call_tells_what_waits_how_it_ends_and_why_it_fails(
    service: str, protos: dict[str, FileDescriptorProto]
) -> None:
    said = comments(protos[service])
    calls = {method.name: method for one in protos[service].service for method in one.method}
    assert said.keys() == {"", *calls}
    for name, method in calls.items():
        words = said[name].lower()
        assert "deadline" in words, name
        assert name == "GetInfo" or "fails with" in words, name
        assert name == "GetInfo" or "cancel" in words, name
        if method.client_streaming or method.server_streaming:
            assert re.search(r"as fast as|has been taken", words), name
