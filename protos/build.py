"""Compile every proto into a folder, or into the running Python's site-packages: `python protos/build.py [FOLDER]`.

The stubs are importable as `visavis.<service>.v1.<service>_pb2`; they are built by the set-up and never committed.
Where mypy-protobuf is installed, as for the tests, type stubs stand beside them.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
TYPES = {  # what writes type stubs, and its output
    Path(sys.executable).with_name("protoc-gen-mypy"): "mypy_out",  # of messages
    Path(sys.executable).with_name("protoc-gen-mypy_grpc"): "mypy_grpc_out",  # of services
}


def build(target: Path) -> int:
    """Generate messages, services and, where there is what writes them, their types; returns protoc's exit status."""
    target.mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    flags = [f"--python_out={target}", f"--grpc_python_out={target}"]
    for plugin, output in TYPES.items():
        if plugin.exists():
            flags += [f"--plugin={plugin}", f"--{output}=quiet:{target}"]
    status: int = protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *flags, *sources])
    if status == 0:
        (target / "visavis" / "py.typed").touch()  # without it type checkers read none of the package
    return status


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("purelib"))))
