"""Figures of an avatar or a video as a table, beside what they have to beat."""

from __future__ import annotations

from typing import Any

from rich.table import Table

_LABELS = {
    "psnr": "PSNR, dB ↑",
    "psnr_face": "  face",
    "psnr_mouth": "  mouth",
    "ssim": "SSIM ↑",
    "ssim_face": "  face",
    "ssim_mouth": "  mouth",
    "lmd_px": "lips off by, px ↓",
    "lmd_iod": "  eye distances ↓",
    "lmd_centred_iod": "  when centred ↓",
    "aperture_correlation": "opening follows ↑",
    "aperture_correlation_best": "  at the best lag ↑",
    "lag_ms": "  best lag, ms → 0",
    "aperture_correlation_rolled": "  wrong audio → 0",
    "shape_correlation": "  before drawing ↑",
    "aperture_std_ratio": "  its range → 1",
    "width_correlation": "width follows ↑",
    "sharpness": "sharpness → 1",
    "jitter": "jitter → 1",
    "flicker": "skin flicker → 1",
    "lse_c_generated": "LSE-C ↑",
    "lse_c_true": "  true video",
    "lse_d_generated": "LSE-D ↓",
    "lse_d_true": "  true video",
}
"""↑ higher is better, ↓ lower is better, → what the truth would get."""

PHOTO = "Made from a photo: there is no footage to measure it against, so the report card has no figures."


def report_card(report: dict[str, Any]) -> Table:
    """One row per metric; `report["baselines"]`, where it is given, brings a column per baseline."""
    metrics = report.get("metrics", report)
    baselines: dict[str, dict[str, Any]] = report.get("baselines", {})
    table = Table(box=None, pad_edge=False, caption="↑ higher is better, ↓ lower is better, → what the truth would get")
    table.add_column("held-out video", no_wrap=True)
    for title in ("result", *(name.replace("_", " ") for name in baselines)):
        table.add_column(title, justify="right")
    for name in _ordered(metrics):
        values = (metrics[name], *(baseline.get(name) for baseline in baselines.values()))
        table.add_row(_LABELS.get(name, name.replace("_", " ")), *(_figure(name, value) for value in values))
    return table


def _ordered(metrics: dict[str, Any]) -> list[str]:
    known = [name for name in _LABELS if name in metrics]
    return known + [name for name, value in metrics.items() if name not in _LABELS and isinstance(value, int | float)]


def _figure(name: str, value: Any) -> str:
    """Short enough that five columns of even a failed training fit into 80 characters."""
    if not isinstance(value, int | float):
        return ""
    return f"{value:.0f}" if name.endswith("_ms") or abs(value) >= 1000 else f"{value:.3f}"
