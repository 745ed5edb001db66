"""Graphics processors, their driver, and whether PyTorch can use them."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.finding import Finding, Level

CUDA_TORCH = "pip install --force-reinstall torch==2.13.0  # a build with CUDA, see pytorch.org"


def findings() -> Iterator[Finding]:
    """Findings about graphics processors."""
    names, driver = _devices()
    if not names:
        yield Finding(Level.NOTE, "GPU", "none; everything runs on the processor")
        return
    yield Finding(Level.GOOD, "GPU", f"{', '.join(names)}, driver {driver}")
    yield _torch()


def _devices() -> tuple[list[str], str]:
    """Names of the devices, and the driver's version."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return [], ""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return [], ""
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [pynvml.nvmlDeviceGetName(handle) for handle in handles], pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return [], ""
    finally:
        pynvml.nvmlShutdown()


def _torch() -> Finding:
    try:
        import torch
    except ModuleNotFoundError:
        return Finding(Level.MISSING, "PyTorch", "not installed", "make setup")
    if torch.cuda.is_available():
        return Finding(Level.GOOD, "PyTorch", f"{torch.__version__} uses CUDA {torch.version.cuda}")
    why = "cannot use the GPU with this driver" if torch.version.cuda else "is a build without CUDA"
    return Finding(Level.WARNING, "PyTorch", f"{torch.__version__} {why}; the GPU lies idle", CUDA_TORCH)
