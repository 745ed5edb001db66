"""Train avatars and print their held-out metrics beside baselines: python -m bench.portrait clip.mp4[:seconds] …

Start it with OMP_WAIT_POLICY=PASSIVE where anything else runs on the machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from portrait import Report, TrainingParameters, train

COLUMNS = (
    ("psnr", ".2f"), ("psnr_face", ".2f"), ("psnr_mouth", ".2f"), ("ssim", ".4f"), ("ssim_face", ".4f"),
    ("ssim_mouth", ".4f"), ("lmd_px", ".2f"), ("lmd_iod", ".4f"), ("lmd_centred_iod", ".4f"),
    ("aperture_correlation", ".3f"), ("aperture_correlation_rolled", ".3f"), ("aperture_std_ratio", ".2f"),
    ("sharpness", ".2f"), ("jitter", ".2f"),
)  # fmt: skip


def main() -> None:
    """Train on each clip and print one table per clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", help="a video, optionally with :seconds to use only its beginning")
    parser.add_argument("--quality", default="standard", choices=("draft", "standard", "high"))
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep working files here, and continue from them")
    parser.add_argument("--out", type=Path, help="keep the avatars here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for clip in options.clips:
            path, _, seconds = clip.partition(":")
            name = Path(path).stem + (f"-{seconds}s" if seconds else "")
            parameters = TrainingParameters(
                quality=options.quality, minutes=options.minutes, seed=options.seed, seconds=float(seconds or 300)
            )
            work, out = (options.work or Path(scratch)) / name, (options.out or Path(scratch) / "avatars") / name
            sys.stdout.write(table(name, train(Path(path), work, out, parameters)))
            sys.stdout.flush()


def table(name: str, report: Report) -> str:
    """A Markdown table of one report."""
    total = sum(report.seconds.values())
    stages = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in report.seconds.items())
    lines = [f"## {name}: {report.frames} frames, offset {report.offset_ms} ms, {total:.0f} s ({stages})", ""]
    lines += ["| | " + " | ".join(column for column, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row, values in {"driven by sound": report.metrics, **report.baselines}.items():
        cells = (f"{values[column]:{form}}" if column in values else "–" for column, form in COLUMNS)
        lines.append(f"| {row.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    main()
