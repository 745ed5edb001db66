"""Figures of an avatar or a video as a table, beside what they have to beat."""

from __future__ import annotations

from typing import Any

from rich.table import Table

_LABELS = {
    "psnr": "PSNR, dB, higher is better",
    "psnr_face": "  of the face",
    "psnr_mouth": "  of the mouth",
    "ssim": "SSIM, higher is better",
    "ssim_face": "  of the face",
    "ssim_mouth": "  of the mouth",
    "lmd_px": "lip landmark distance, px, lower is better",
    "lmd_iod": "  in eye distances",
    "lmd_centred_iod": "  with the lips' centres aligned",
    "aperture_correlation": "opening of the mouth, correlation, 1 is best",
    "aperture_std_ratio": "  its range against the truth, 1 is best",
    "sharpness": "sharpness of the mouth against the truth, 1 is best",
    "jitter": "jitter of the lips against the truth, 1 is best",
}


def report_card(report: dict[str, Any]) -> Table:
    """One row per metric; `report["baselines"]`, where it is given, brings a column per baseline."""
    metrics = report.get("metrics", report)
    baselines: dict[str, dict[str, Any]] = report.get("baselines", {})
    table = Table(box=None, pad_edge=False)
    table.add_column("measured on held-out video", overflow="fold")
    for title in ("result", *(name.replace("_", " ") for name in baselines)):
        table.add_column(title, justify="right")
    for name in _ordered(metrics):
        values = (metrics[name], *(baseline.get(name) for baseline in baselines.values()))
        table.add_row(_LABELS.get(name, name.replace("_", " ")), *(_figure(value) for value in values))
    return table


def _ordered(metrics: dict[str, Any]) -> list[str]:
    known = [name for name in _LABELS if name in metrics]
    return known + [name for name, value in metrics.items() if name not in _LABELS and isinstance(value, int | float)]


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""
