"""The brief's charts, drawn from their data; the same data give the same bytes.

Bars and lines are here, points in `dots`. What the numbers mean is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from assistant.strategy.render.dots import draw_matrix, draw_risks
from assistant.strategy.render.font import chinese_font
from assistant.strategy.render.sheet import (
    FAINT,
    GRID,
    INK,
    LINE,
    TALLEST,
    WIDTH,
    Align,
    Form,
    Sheet,
    drawing,
    group_colour,
    inches,
    legend_height,
    lines_of,
    wrapped,
)
from assistant.strategy.types import Bar, Chart, Line
from assistant.types import Language

_NOTHING = {"zh": "没有可画的数据", "en": "There is nothing to draw"}
_LEVELS = 5
_GAP = 0.16
_STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))  # for more lines than colours


def draw(chart: Chart, language: Language, form: Form, font: Path | None = None) -> bytes:
    """Return a chart as a PNG (200 dpi, 16 cm wide) or SVG file; safe to call from threads.

    Args:
        chart: the data; without any, the picture says so.
        language: of the numbers and units that are added.
        form: ``png`` or ``svg``.
        font: the file of a font; the extra's when None.

    Raises:
        ConfigurationError: matplotlib or the font is not installed.
    """
    file = chinese_font(font)
    with drawing():
        return _drawn(chart, language, file).saved(form)


def _drawn(chart: Chart, language: Language, font: Path) -> Sheet:
    if not (chart.bars or chart.dots or any(line.likely for line in chart.lines)):
        sheet = Sheet(0.8, font)
        sheet.text(WIDTH / 2, 0.4, _NOTHING[language], align="center", colour=FAINT)
        return sheet
    if chart.kind == "readiness":
        return _readiness(chart, font)
    if chart.kind == "gantt":
        return _gantt(chart, font)
    if chart.kind == "costs":
        return _costs(chart, language, font)
    return draw_matrix(chart, font) if chart.kind == "matrix" else draw_risks(chart, font)


def _labels(bars: Sequence[Bar], widest: float) -> tuple[list[str], float]:
    """Return the bars' labels in lines, and the width of the column that holds them."""
    labels = [wrapped(bar.label, widest) for bar in bars]
    return labels, min(widest, max(map(inches, labels))) + _GAP


def _rows(texts: Sequence[Sequence[str]], top: float, bottom: float) -> tuple[list[float], float]:
    """Return each row's height, squeezed where the page would not hold them, and the sheet's."""
    heights = [max(map(lines_of, row)) * LINE + _GAP for row in texts]
    squeeze = min(1.0, (TALLEST - top - bottom) / sum(heights))
    heights = [height * squeeze for height in heights]
    return heights, sum(heights) + top + bottom


def _used_groups(chart: Chart, groups: Sequence[int]) -> tuple[str, ...]:
    return chart.groups if chart.groups and max(groups, default=0) < len(chart.groups) else ()


def _readiness(chart: Chart, font: Path) -> Sheet:
    labels, left = _labels(chart.bars, 1.7)
    has_notes = any(bar.note for bar in chart.bars)
    right = WIDTH - (2.25 if has_notes else 0.4)
    notes = [wrapped(bar.note, WIDTH - right - 0.4) for bar in chart.bars]
    names = _used_groups(chart, [bar.group for bar in chart.bars])
    top, bottom = legend_height(names), 0.5 if chart.x_label else 0.3
    heights, height = _rows(list(zip(labels, notes, strict=True)), top, bottom)
    sheet = Sheet(height, font)
    sheet.legend(names)
    step = (right - left) / _LEVELS
    for level in range(_LEVELS + 1):
        x = left + level * step
        sheet.line((x, x), (bottom, height - top), GRID if level else FAINT)
        sheet.text(x, bottom - 0.12, str(level), align="center", colour=FAINT)
    sheet.text((left + right) / 2, 0.12, chart.x_label, align="center", colour=FAINT)
    y = height - top
    for bar, label, note, row in zip(chart.bars, labels, notes, heights, strict=True):
        middle = y - row / 2
        reached = min(max(bar.end, 0), _LEVELS) * step
        sheet.text(left - 0.1, middle, label, align="right")
        sheet.box(left, middle - 0.075, reached, 0.15, group_colour(bar.group))
        sheet.text(left + reached + 0.06, middle, f"{bar.end:g}", halo=True)
        sheet.text(right + 0.4, middle, note, colour=FAINT)
        y -= row
    return sheet


def _gantt(chart: Chart, font: Path) -> Sheet:
    labels, left = _labels(chart.bars, 1.9)
    names = _used_groups(chart, [bar.group for bar in chart.bars])
    top, bottom = legend_height(names), 0.5 if chart.x_label else 0.3
    first = min(0, math.floor(min(bar.start for bar in chart.bars)))
    last = max(first + 1, math.ceil(max(bar.end for bar in chart.bars)))
    week = (WIDTH - left - 0.15) / (last - first)
    notes = [_note_place(bar, left + (bar.start - first) * week, week) for bar in chart.bars]
    texts = [(label, note) for label, (note, _, _) in zip(labels, notes, strict=True)]
    heights, height = _rows(texts, top, bottom)
    sheet = Sheet(height, font)
    sheet.legend(names)
    for tick in range(first, last + 1, _step(last - first, 14)):
        x = left + (tick - first) * week
        sheet.line((x, x), (bottom, height - top))
        sheet.text(x, bottom - 0.12, str(tick), align="center", colour=FAINT)
    sheet.text((left + WIDTH) / 2, 0.12, chart.x_label, align="center", colour=FAINT)
    y = height - top
    for bar, label, (note, x, is_left), row in zip(chart.bars, labels, notes, heights, strict=True):
        sheet.text(left - 0.1, y - row / 2, label, align="right")
        _draw_bar(sheet, bar, left + (bar.start - first) * week, y - row / 2, week)
        align: Align = "right" if is_left else "left"
        sheet.text(x, y - row / 2, note, align=align, colour=FAINT, halo=True)
        y -= row
    return sheet


def _draw_bar(sheet: Sheet, bar: Bar, x: float, y: float, week: float) -> None:
    if bar.end > bar.start:
        sheet.box(x, y - 0.08, (bar.end - bar.start) * week, 0.16, group_colour(bar.group))
    else:
        sheet.diamond(x, y, 0.09, INK)


def _note_place(bar: Bar, x: float, week: float) -> tuple[str, float, bool]:
    """Return a bar's note in lines, where it stands, and whether it ends there: left of a bar."""
    end = x + max(bar.end - bar.start, 0) * week + 0.12
    if inches(bar.note) <= WIDTH - end or WIDTH - end > x - 2.0:
        return wrapped(bar.note, max(WIDTH - end, 0.8)), end, False
    return wrapped(bar.note, max(x - 2.2, 0.8)), x - 0.12, True


def _step(span: int, most: int) -> int:
    """Return the distance between ticks on a whole-numbered axis."""
    return next((step for step in (1, 2, 3, 4, 6, 12, 26, 52) if span / step <= most), 104)


def _costs(chart: Chart, language: Language, font: Path) -> Sheet:
    lines = [line for line in chart.lines if line.likely]
    names = [wrapped(_end_label(line, language), 1.5) for line in lines]
    named = sum(lines_of(name) * LINE + 0.04 for name in names)
    left, right, bottom = 0.75, WIDTH - 1.65, 0.5
    sheet = Sheet(max(3.3, named + 0.9), font)
    height, top = sheet.height, sheet.height - 0.4
    ticks = _money_ticks(max(value for line in lines for value in (*line.high, *line.likely)))
    months = max(len(line.likely) for line in lines)
    wide, tall = (right - left) / max(months - 1, 1), (top - bottom) / ticks[-1]
    for tick in ticks:
        sheet.line((left, right), (bottom + tick * tall,) * 2, GRID if tick else FAINT)
        amount = _money(tick, language)
        sheet.text(left - 0.08, bottom + tick * tall, amount, align="right", colour=FAINT)
    step = _step(months, 13)
    for month in range(step, months + 1, step):
        x = left + (month - 1) * wide
        sheet.text(x, bottom - 0.13, str(month), align="center", colour=FAINT)
    sheet.text((left + right) / 2, 0.12, chart.x_label, align="center", colour=FAINT)
    sheet.text(0.05, height - 0.13, _with_unit(chart.y_label, language), colour=FAINT)
    ends = [bottom + line.likely[-1] * tall for line in lines]
    at = _spread(ends, [lines_of(name) * LINE + 0.04 for name in names], bottom, height - 0.3)
    for number, line in enumerate(lines):
        colour = group_colour(number)
        xs = [left + month * wide for month in range(len(line.likely))]
        low, likely, high = (
            [bottom + value * tall for value in values]
            for values in (line.low or line.likely, line.likely, line.high or line.likely)
        )
        sheet.area(xs, low, high, colour)
        sheet.line(xs, likely, colour, 1.8, _STYLES[number // 8 % len(_STYLES)])
        sheet.circle(xs[-1], likely[-1], 0.04, colour)
        sheet.line((xs[-1] + 0.05, right + 0.12), (likely[-1], at[number]), colour)
        sheet.text(right + 0.15, at[number], names[number])
    return sheet


def _with_unit(label: str, language: Language) -> str:
    unit = "万元" if language == "zh" else "CNY"
    if unit in label:
        return label
    return f"{label}（{unit}）" if language == "zh" else f"{label} ({unit})".strip()


def _end_label(line: Line, language: Language) -> str:
    unit = "万元" if language == "zh" else ""
    return f"{line.name} {_money(line.likely[-1], language, exact=True)}{unit}"


def _money(amount: float, language: Language, *, exact: bool = False) -> str:
    """Return an amount in yuan as it is written at an axis: tens of thousands, k, or m."""
    if language == "zh":
        return f"{amount / 1e4:,.{int(exact and amount < 1e6)}f}" if exact else f"{amount / 1e4:,g}"
    if amount == 0:
        return "0"
    if amount >= 1e6:
        return f"{amount / 1e6:.2f}m" if exact else f"{amount / 1e6:,g}m"
    return f"{amount / 1e3:,.0f}k" if exact else f"{amount / 1e3:,g}k"


def _money_ticks(most: float) -> list[float]:
    """Return four to eight round amounts from 0 to above the highest."""
    most = max(most, 1.0)
    power = 10 ** math.floor(math.log10(most / 4))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if most / (n * power) <= 7)
    return [step * n for n in range(math.ceil(most / step) + 1)]


def _spread(
    wanted: Sequence[float], heights: Sequence[float], low: float, high: float
) -> list[float]:
    """Move labels as little as keeps them apart, between ``low`` and ``high``."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    places, floor = list(wanted), low
    for n in order:
        places[n] = max(wanted[n], floor + heights[n] / 2)
        floor = places[n] + heights[n] / 2
    ceiling = high
    for n in reversed(order):
        places[n] = min(places[n], ceiling - heights[n] / 2)
        ceiling = places[n] - heights[n] / 2
    return places
