"""Compile every proto into the site-packages of the Python that runs this: `python protos/build.py`.

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
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    flags = [f"--{kind}={target}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    return protoc.main(["protoc", f"-I{PROTOS}", f"-I{well_known}", *flags, *sources])


if __name__ == "__main__":
    sys.exit(build(Path(sysconfig.get_path("purelib"))))
