"""Figures as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

Metrics = Mapping[str, float]

COLUMNS = {
    "psnr": ".2f", "psnr_face": ".2f", "psnr_mouth": ".2f", "ssim": ".4f", "ssim_face": ".4f", "ssim_mouth": ".4f",
    "sharpness": ".2f", "lmd_px": ".2f", "lmd_iod": ".4f", "lmd_centred_iod": ".4f", "aperture_correlation": ".3f",
    "aperture_correlation_rolled": ".3f", "lag_ms": ".0f", "aperture_std_ratio": ".2f", "width_correlation": ".3f",
    "jitter": ".2f", "flicker": ".2f",
}  # fmt: skip
HEARD = {"shape_correlation": ".3f", "shape_correlation_rolled": ".3f", "shape_std_ratio": ".2f"}


def table(rows: Mapping[str, Metrics], columns: Mapping[str, str], corner: str = "") -> str:
    """One row per entry, a dash where a row has no such figure."""
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        cells = (f"{values[column]:{form}}" if column in values else "–" for column, form in columns.items())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n"


def summary(rows: Sequence[Metrics]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over runs, as two rows."""
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {
        f"mean of {len(rows)}": {name: statistics.mean(row[name] for row in rows) for name in names},
        "standard deviation": {name: statistics.stdev(row[name] for row in rows) for name in names},
    }
