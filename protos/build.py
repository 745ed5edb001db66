"""Compile every proto into a folder, or into the running Python's site-packages: `python protos/build.py [FOLDER]`.

The stubs are importable as `visavis.<service>.v1.<service>_pb2`; they are built by the set-up and never committed.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent


def build(target: Path) -> int:
    """Generate messages, type stubs and service stubs below `target`; protoc's exit status is returned."""
    target.mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    flags = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    return protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *flags, *sources])


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("purelib"))))
