"""Charts as inline SVG: lines and a histogram, drawn by hand.

A hundred lines do what three plain charts need. A plotting library's SVG would weigh
more than the page, fix its colours and turn text into outlines; these take their colours
from the page's style sheet, so that they follow it into the dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 44
_BINS = 24

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line: its name in the legend, and its points from left to right."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x`` with a word beside it."""

    x: float
    label: str


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high``, with a label at each tick."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    name: str = ""


def shares() -> Axis:
    """Return an axis from 0 to 100 %."""
    return Axis(0.0, 1.0, tuple((n / 4, f"{n * 25} %") for n in range(5)))


def line_chart(
    title: str, series: Sequence[Series], x: Axis, y: Axis, marks: Sequence[Mark] = ()
) -> str:
    """Return lines over a common axis; the legend is the page's business."""
    drawn = [
        f'<polyline class="line s{number}" points="{_path(line.points, x, y)}">'
        f"<title>{escape(line.name)}</title></polyline>"
        for number, line in enumerate(series, 1)
    ]
    return _svg(title, [*_frame(x, y), *_marks(marks, x), *drawn])


def histogram(title: str, values: Sequence[float], unit: str, marks: Sequence[Mark] = ()) -> str:
    """Return how often values occur, in 24 bins up to the 99th percentile; the rest in the last."""
    top = sorted(values)[int(0.99 * (len(values) - 1))] or 1.0
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value / top * _BINS), _BINS - 1)] += 1
    x = Axis(0.0, top, _round_ticks(top), unit)
    most = float(max(counts))
    y = Axis(0.0, 1.25 * most, _round_ticks(most))  # room for the marks' words
    bars = []
    for number, count in enumerate(counts):
        left, right = (_x(top * edge / _BINS, x) for edge in (number, number + 1))
        upper = _y(count, y)
        bars.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{upper:.1f}" '
            f'width="{right - left - 2:.1f}" height="{_y(0, y) - upper:.1f}">'
            f"<title>{count}</title></rect>"
        )
    return _svg(title, [*_frame(x, y), *bars, *_marks(marks, x)])


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">' + "".join(parts) + "</svg>"
    )


def _frame(x: Axis, y: Axis) -> list[str]:
    """Return grid lines, ticks and the name of the horizontal axis."""
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = []
    for value, label in y.ticks:
        at = _y(value, y)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for value, label in x.ticks:
        at = _x(value, x)
        parts.append(f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{label}</text>')
    middle = (_LEFT + right) / 2
    name = f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.name)}</text>'
    return [*parts, name]


def _marks(marks: Sequence[Mark], x: Axis) -> list[str]:
    """Return the marks; a word near the right edge stands left of its line."""
    parts = []
    for row, mark in enumerate(marks):
        at = _x(min(mark.x, x.high), x)
        left = at > WIDTH * 0.7
        anchor, shift = ("end", -4) if left else ("start", 4)
        parts.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text class="mark" x="{at + shift:.1f}" y="{_TOP + 10 + 15 * row}" '
            f'text-anchor="{anchor}">{escape(mark.label)}</text>'
        )
    return parts


def _path(points: Sequence[Point], x: Axis, y: Axis) -> str:
    return " ".join(f"{_x(px, x):.1f},{_y(py, y):.1f}" for px, py in points)


def _x(value: float, axis: Axis) -> float:
    share = (value - axis.low) / (axis.high - axis.low or 1.0)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(value: float, axis: Axis) -> float:
    share = (value - axis.low) / (axis.high - axis.low or 1.0)
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _round_ticks(top: float) -> tuple[tuple[float, str], ...]:
    """Return at most seven ticks at round numbers from 0 to ``top``."""
    steps = (digit * 10.0**power for power in range(-4, 9) for digit in (1, 2, 5))
    step = next(step for step in steps if top / step <= 6)
    return tuple((n * step, f"{n * step:g}") for n in range(int(top / step) + 1))
