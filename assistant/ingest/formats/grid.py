"""Tables on printed pages: lines whose wide gaps stand above each other are rows.

It sees no ruled lines, only where the words stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assistant.ingest.formats.page import Cell, Line
from assistant.ingest.formats.tables import Row, describe, is_figure
from assistant.ingest.formats.text import join_lines

# How far below the line before, in type sizes, a cell's next line may stand: nearer than the
# next row; or above it, where the row's other cells stand at its foot.
_LOWEST, _HIGHEST = 1.7, -6.0


def runs(lines: Sequence[Line]) -> Iterator[tuple[bool, list[Line]]]:
    """Part a page's lines into tables (True) and stretches of text (False), in order."""
    text: list[Line] = []
    start = 0
    while start < len(lines):
        stop = start
        while stop < len(lines) and _is_row(lines[start:stop], lines[stop]):
            stop += 1
        if _is_table(lines[start:stop]):
            if text:
                yield False, text
                text = []
            yield True, list(lines[start:stop])
        else:
            stop = max(stop, start + 1)
            text += lines[start:stop]
        start = stop
    if text:
        yield False, text


def columns(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """Return the left and right edges of a table's columns."""
    widest = max(lines, key=lambda line: len(line.cells))
    edges = [(cell.left, cell.right) for cell in widest.cells]
    for line in lines:
        if len(line.cells) == len(edges):
            edges = [
                (min(left, cell.left), max(right, cell.right))
                for (left, right), cell in zip(edges, line.cells, strict=True)
            ]
    return edges


def table_texts(lines: Sequence[Line], header: Sequence[Line] = ()) -> list[str]:
    """Return a text for each row; ``header`` is that of the page before, if the table goes on."""
    edges = columns([*header, *lines])
    names = [_cells([line], edges) for line in header[:1]]
    rows = [Row(0, cells) for cells in names]
    for number, group in enumerate(_rows(lines, edges), 1):
        cells = _cells(group, edges)
        if cells not in names:  # the header, printed again
            rows.append(Row(number, cells))
    if len(edges) == 2 and not any(is_figure(row.cells[1]) for row in rows):
        # Terms and explanations more often than a table with a header.
        return [text for row in rows if row.number for _, text in describe([row]).lines]
    table = describe(rows)
    return [*table.captions, *(text for number, text in table.lines if number)]


def _is_row(run: Sequence[Line], line: Line) -> bool:
    """Tell whether a line has several cells, or is the next line of a cell in a row above."""
    if len(line.cells) > 1:
        return True
    if not run:
        return False
    return _is_near(run[-1], line) and line.left > run[0].cells[1].left - line.size


def _is_near(last: Line, line: Line) -> bool:
    return _HIGHEST * line.size < last.bottom - line.bottom < _LOWEST * line.size


def _is_table(run: Sequence[Line]) -> bool:
    full = [line for line in run if len(line.cells) > 1]
    return len(full) > 2 or (len(full) == 2 and all(len(line.cells) > 2 for line in full))


def _rows(lines: Sequence[Line], edges: Sequence[tuple[float, float]]) -> list[list[Line]]:
    """Group the lines of a table into rows: wrapped lines have nothing in the first column."""
    rows: list[list[Line]] = []
    for line in lines:
        wrapped = bool(rows) and _column(line.cells[0], edges) > 0
        if wrapped and _is_near(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _cells(group: Sequence[Line], edges: Sequence[tuple[float, float]]) -> list[str]:
    parts: list[list[str]] = [[] for _ in edges]
    for line in group:
        for cell in line.cells:
            parts[_column(cell, edges)].append(cell.text)
    return [join_lines(part) for part in parts]


def _column(cell: Cell, edges: Sequence[tuple[float, float]]) -> int:
    """Return the column that a cell overlaps most, or is nearest to."""

    def closeness(index: int) -> float:
        left, right = edges[index]
        return min(cell.right, right) - max(cell.left, left)

    return max(range(len(edges)), key=closeness)
