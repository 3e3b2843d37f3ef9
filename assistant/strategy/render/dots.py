"""Charts of numbered points: the matrix of use cases, the map of risks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from assistant.strategy.render.sheet import (
    FAINT,
    GRID,
    INK,
    LINE,
    WIDTH,
    Sheet,
    group_colour,
    inches,
    legend_height,
    lines_of,
    readable_on,
    wrapped,
)
from assistant.strategy.types import Chart, Dot

_NAMED = 12  # dots that are named beside the chart; more are in a table
_LIST = 2.1
_LEFT, _BOTTOM = 0.55, 0.48
_SCALE = 5
_GUIDE = 3
_SMALLEST, _LARGEST, _CROWDED = (
    0.11,
    0.2,
    0.15,
)  # radii in inches; a number of two digits fits the smallest
_RISK_RADIUS = 0.115
_APART = 0.02
_TRIES = 200
_Room = tuple[float, float, float, float]
# Severe, middling, mild: they differ in lightness too, so that a grey print still tells them.
_SEVERE, _MIDDLING, _MILD = "#E58A7B", "#F7D58B", "#E3EEF9"
_BANDS = ((15, _SEVERE, "≥15"), (8, _MIDDLING, "8–14"), (0, _MILD, "<8"))


def draw_matrix(chart: Chart, font: Path) -> Sheet:
    """Draw use cases over feasibility and value, their numbers in bubbles."""
    used = max((dot.group for dot in chart.dots), default=0)
    names = chart.groups if used < len(chart.groups) else ()
    top = legend_height(names)
    sheet, right, upper = _frame(chart, font, top, 3.35)
    sheet.legend(names, round_=True)
    wide, tall = (right - _LEFT) / _SCALE, (upper - _BOTTOM) / _SCALE
    for level in range(1, _SCALE + 1):
        x, y = _LEFT + (level - 0.5) * wide, _BOTTOM + (level - 0.5) * tall
        if level == _GUIDE:
            sheet.line((x, x), (_BOTTOM, upper), FAINT, 1, (0, (4, 3)))
            sheet.line((_LEFT, right), (y, y), FAINT, 1, (0, (4, 3)))
        _tick(sheet, level, x, y)
    sheet.line((_LEFT, right, right, _LEFT, _LEFT), (_BOTTOM, _BOTTOM, upper, upper, _BOTTOM), GRID)
    at = [(_LEFT + (dot.x - 0.5) * wide, _BOTTOM + (dot.y - 0.5) * tall) for dot in chart.dots]
    largest = _LARGEST if len(chart.dots) <= _NAMED else _CROWDED
    radii = [_SMALLEST + (largest - _SMALLEST) * min(max(dot.size, 0), 1) for dot in chart.dots]
    places = fanned(at, radii, (_LEFT, _BOTTOM, right, upper))
    for dot, (x, y), radius in zip(chart.dots, places, radii, strict=True):
        colour = group_colour(dot.group)
        sheet.circle(x, y, radius, colour)
        sheet.text(x, y - 0.005, dot.label, align="center", colour=readable_on(colour))
    return sheet


def draw_risks(chart: Chart, font: Path) -> Sheet:
    """Draw risks over likelihood and impact, on cells coloured by their product.

    Three ``groups`` name the bands of the product, the severe first.
    """
    sheet, right, upper = _frame(chart, font, LINE + 0.14, 3.2)
    wide, tall = (right - _LEFT) / _SCALE, (upper - _BOTTOM) / _SCALE
    for likelihood in range(1, _SCALE + 1):
        x, y = (low + (likelihood - 1) * size for low, size in ((_LEFT, wide), (_BOTTOM, tall)))
        _tick(sheet, likelihood, x + wide / 2, y + tall / 2)
        for impact in range(1, _SCALE + 1):
            y = _BOTTOM + (impact - 1) * tall
            colour = next(shade for least, shade, _ in _BANDS if likelihood * impact >= least)
            sheet.box(x + 0.01, y + 0.01, wide - 0.02, tall - 0.02, colour)
    _name_bands(sheet, chart.groups)
    at = [(_LEFT + (dot.x - 0.5) * wide, _BOTTOM + (dot.y - 0.5) * tall) for dot in chart.dots]
    for dot, (x, y) in zip(chart.dots, fanned(at, [_RISK_RADIUS] * len(at)), strict=True):
        sheet.circle(x, y, _RISK_RADIUS, "#FFFFFF", INK)
        sheet.text(x, y - 0.005, dot.label, align="center")
    return sheet


def _name_bands(sheet: Sheet, groups: Sequence[str]) -> None:
    x, y = _LEFT, sheet.height - LINE * 0.6
    for number, (_, colour, scores) in enumerate(_BANDS):
        name = f"{groups[number]} {scores}" if len(groups) == len(_BANDS) else scores
        sheet.box(x, y - 0.06, 0.16, 0.12, colour)
        sheet.text(x + 0.22, y, name, colour=FAINT)
        x += 0.5 + inches(name)


def _frame(chart: Chart, font: Path, top: float, plot: float) -> tuple[Sheet, float, float]:
    """Begin a sheet with axis labels and names; return it, and the plot's right and upper end."""
    named = 0 < len(chart.dots) <= _NAMED and any(dot.name for dot in chart.dots)
    right = WIDTH - (_LIST if named else 0.1)
    names = [wrapped(dot.name, _LIST - 0.5) for dot in chart.dots] if named else []
    listed = sum(lines_of(name) * LINE + 0.06 for name in names)
    height = top + max(plot, listed - 0.3) + _BOTTOM
    sheet = Sheet(height, font)
    upper = sheet.height - top
    sheet.text((_LEFT + right) / 2, 0.12, chart.x_label, align="center", colour=FAINT)
    sheet.text(
        0.12, (_BOTTOM + upper) / 2, chart.y_label, align="center", colour=FAINT, turned=True
    )
    if named:
        _list_names(sheet, chart.dots, names, right + 0.15, upper)
    return sheet, right, upper


def _list_names(
    sheet: Sheet, dots: Sequence[Dot], names: Sequence[str], x: float, upper: float
) -> None:
    y = upper
    for dot, name in zip(dots, names, strict=True):
        height = lines_of(name) * LINE + 0.06
        sheet.text(x + 0.2, y - LINE / 2, dot.label, align="right", colour=INK)
        sheet.text(x + 0.28, y - lines_of(name) * LINE / 2, name, colour=FAINT)
        y -= height


def _tick(sheet: Sheet, level: int, x: float, y: float) -> None:
    sheet.text(x, _BOTTOM - 0.12, str(level), align="center", colour=FAINT)
    sheet.text(_LEFT - 0.08, y, str(level), align="right", colour=FAINT)


def fanned(
    at: Sequence[tuple[float, float]], radii: Sequence[float], room: _Room | None = None
) -> list[tuple[float, float]]:
    """Move circles so that none covers another: equal ones into a comb, close ones apart.

    Args:
        at: the centres, in inches.
        radii: of the circles, in inches.
        room: left, lower, right and upper end of what they stay within.
    """
    same: dict[tuple[float, float], list[int]] = defaultdict(list)
    for number, (x, y) in enumerate(at):
        same[round(x, 3), round(y, 3)].append(number)
    places = [list(point) for point in at]
    for numbers in same.values():
        distance = 2 * max(radii[number] for number in numbers) + _APART
        for number, (dx, dy) in zip(numbers, _comb(len(numbers), distance), strict=True):
            places[number][0] += dx
            places[number][1] += dy
    for _ in range(_TRIES):
        if room:
            _keep_within(places, radii, room)
        if not _pushed_apart(places, radii):
            break
    return [(x, y) for x, y in places]


def _keep_within(places: list[list[float]], radii: Sequence[float], room: _Room) -> None:
    left, lower, right, upper = room
    for place, radius in zip(places, radii, strict=True):
        place[0] = min(max(place[0], left + radius), right - radius)
        place[1] = min(max(place[1], lower + radius), upper - radius)


def _comb(count: int, distance: float) -> list[tuple[float, float]]:
    """Return the places of ``count`` points around the origin, ``distance`` from each other."""
    reach = range(-math.isqrt(count) - 1, math.isqrt(count) + 2)
    points = [
        (distance * (i + (j % 2) / 2), distance * j * math.sqrt(0.75)) for i in reach for j in reach
    ]
    points = sorted(points, key=lambda p: (round(math.hypot(*p), 6), -p[1], p[0]))[:count]
    x, y = (sum(values) / count for values in zip(*points, strict=True))
    # Read like a text: the lowest number at the upper left.
    return sorted(((px - x, py - y) for px, py in points), key=lambda p: (-round(p[1], 6), p[0]))


def _pushed_apart(places: list[list[float]], radii: Sequence[float]) -> bool:
    moved = False
    for i, first in enumerate(places):
        for j in range(i):
            second = places[j]
            dx, dy = first[0] - second[0], first[1] - second[1]
            distance = math.hypot(dx, dy)
            lacking = radii[i] + radii[j] + _APART / 2 - distance
            if lacking > 1e-6:
                if distance < 1e-9:
                    dx, dy, distance = 1.0, 0.0, 1.0
                push = (lacking / 2 + 1e-4) / distance
                first[0] += dx * push
                first[1] += dy * push
                second[0] -= dx * push
                second[1] -= dy * push
                moved = True
    return moved
