"""Small line plots as SVG, for a page that must stand alone; colours are the page's own variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30
MOST_POINTS = 900


@dataclass(frozen=True)
class Line:
    """One curve; `style` is a class of the page's style sheet."""

    xs: Sequence[float]
    ys: Sequence[float]
    style: str


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Round numbers within the axis, about `count` of them."""
        raw = (self.high - self.low) / count
        magnitude = 10 ** math.floor(math.log10(raw))
        step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def plot(lines: Sequence[Line], unit: str, *, zero: bool = False, mark: float | None = None) -> str:
    """Curves over a common axis in `unit`; `zero` keeps 0 in sight, `mark` draws an upright line."""
    x = _axis([v for line in lines for v in line.xs], LEFT, WIDTH - RIGHT, margin=0.0)
    values = [v for line in lines for v in line.ys] + ([0.0] if zero else [])
    y = _axis(values, HEIGHT - BOTTOM, TOP, margin=0.06)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(unit)}">']
    for tick in y.ticks(4):
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{y(tick) + 5:.1f}" text-anchor="end">{_short(tick)}</text>')
    for tick in x.ticks(6):
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{_short(tick)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{TOP + 10}" text-anchor="end" class="unit">{escape(unit)}</text>')
    if mark is not None:
        parts.append(f'<path class="mark" d="M{x(mark):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    parts += [_curve(line, x, y) for line in lines]
    return "".join([*parts, "</svg>"])


def _axis(values: Sequence[float], start: float, end: float, margin: float) -> _Axis:
    low, high = min(values), max(values)
    spare = (high - low) * margin or (0.5 if high == low else 0.0)
    return _Axis(low - spare, high + spare, start, end)


def _short(value: float) -> str:
    return f"{value:.3g}" if value else "0"


def _curve(line: Line, x: _Axis, y: _Axis) -> str:
    every = -(-len(line.xs) // MOST_POINTS)
    groups = [range(i, min(i + every, len(line.xs))) for i in range(0, len(line.xs), every)]
    points = ((sum(line.xs[i] for i in g) / len(g), sum(line.ys[i] for i in g) / len(g)) for g in groups)
    return f'<polyline class="{line.style}" points="{" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)}"/>'
