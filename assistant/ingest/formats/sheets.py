"""Workbooks, CSV and TSV: every row a block, its values written as the sheet shows them.

It computes no formula: it reads the values that the program which saved the
workbook computed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from assistant.errors import SourceError
from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import read_text
from assistant.ingest.parsed import Block, Metadata, Parsed

MAX_ROWS = 100_000
MAX_COLUMNS = 1_000
_MAX_CELL = 1_000_000  # characters
_MAX_MERGES = 10_000
_MAX_SPAN = 200  # rows or columns that one merged cell is followed over

_MERGE = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]{1,3}\d+:[A-Z]{1,3}\d+)"')
_DELIMITERS = ",\t;|"
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|_.|\*.|\[[^\]]*\]')
_PLAIN_FORMAT = re.compile(r"([^#0,.%]*)([#,]*0[#0,]*)(?:\.(0+)#*)?(%?)([^#0,.%]*)")


def parse_workbook(path: Path) -> Parsed:
    """Return the rows of every visible sheet, the sheet's name as heading.

    Raises:
        SourceError: the workbook holds more than ``MAX_ROWS`` filled rows.
    """
    import openpyxl

    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        blocks: list[Block] = []
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                rows = list(_bounded(_sheet_rows(sheet), len(blocks)))
                blocks.extend(_row_blocks(rows, (sheet.title,)))
        return Parsed(Metadata(title=workbook.properties.title or ""), tuple(blocks))
    finally:
        workbook.close()


def parse_delimited(path: Path) -> Parsed:
    """Return the records of a CSV or TSV file; the delimiter is found by trial.

    Raises:
        SourceError: the file holds more than ``MAX_ROWS`` records, or a broken one.
    """
    text = read_text(path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    if said := re.match(r'"?sep=(.)"?\n', text):  # a line that Excel writes for itself
        delimiter, text = said[1], text[said.end() :]
    limit = csv.field_size_limit(_MAX_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = list(_bounded(Row(number, cells) for number, cells in enumerate(reader, 1)))
    except csv.Error as error:
        raise SourceError(f"Record {reader.line_num} is broken ({error}). Correct it.") from error
    finally:
        csv.field_size_limit(limit)
    return Parsed(Metadata(), tuple(_row_blocks(rows, ())))


def _row_blocks(rows: Sequence[Row], heading: tuple[str, ...]) -> Iterator[Block]:
    table = describe(rows)
    path = heading + table.captions
    if not table.lines and table.captions:
        yield Block("\n".join(table.captions), heading)
    for number, line in table.lines:
        yield Block(line, path, number, "row")


def _bounded(rows: Iterable[Row], before: int = 0) -> Iterator[Row]:
    """Yield the rows that hold something, as long as they are not too many."""
    count = before
    for row in rows:
        if any(row.cells):
            count += 1
            if count > MAX_ROWS:
                raise SourceError(
                    f"It holds more than {MAX_ROWS:,} rows. Export the part that people "
                    "ask about, or a summary, and ingest that."
                )
            yield row


def _delimiter(text: str) -> str:
    """Return the delimiter that parts the first records most evenly into most fields."""
    head = text[:20_000].rsplit("\n", 1)[0] if len(text) > 20_000 else text

    def fields(delimiter: str) -> tuple[float, int]:
        try:
            reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
            counts = [len(record) for record in reader if record]
        except csv.Error:
            return 0.0, 0
        common = max(set(counts), key=counts.count, default=1)
        return (counts.count(common) / len(counts) if common > 1 else 0.0), common

    return max(_DELIMITERS, key=fields)


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    """Yield a sheet's rows as text; a merged cell's value stands in each cell it covers."""
    sheet.reset_dimensions()  # what the file claims of its size may be wrong, or an attack
    covered = _merged(sheet)
    values: dict[tuple[int, int], str] = {}
    for number, cells in enumerate(sheet.iter_rows(), 1):
        shown = [show(cell.value, cell) for cell in cells[:MAX_COLUMNS]]
        for column, anchor in covered.get(number, ()):
            shown += [""] * (column - len(shown))
            if anchor == (number, column):
                values[anchor] = shown[column - 1]
            elif not shown[column - 1]:
                shown[column - 1] = values.get(anchor, "")
        yield Row(number, shown)


def _merged(sheet: Any) -> dict[int, list[tuple[int, tuple[int, int]]]]:
    """Return row → (column, anchor) of merged cells, which openpyxl omits when it streams."""
    from openpyxl.utils import range_boundaries

    ranges: set[bytes] = set()
    with sheet._get_source() as source:
        window = b""
        while part := source.read(1 << 20):
            window = window[-200:] + part  # a tag may lie across two parts
            ranges.update(_MERGE.findall(window))
    covered: dict[int, list[tuple[int, tuple[int, int]]]] = {}
    for reference in sorted(ranges)[:_MAX_MERGES]:
        left, top, right, bottom = range_boundaries(reference.decode())
        for row in range(top, min(bottom, top + _MAX_SPAN) + 1):
            for column in range(left, min(right, left + _MAX_SPAN) + 1):
                covered.setdefault(row, []).append((column, (top, left)))
    return covered


def show(value: Any, cell: Any = None) -> str:
    """Return a cell's value as its sheet shows it: dates as ISO 8601, numbers by their format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _number(value, cell.number_format if cell is not None else "General")
    if isinstance(value, datetime):
        if value.time() == time(0):
            return value.date().isoformat()
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    if isinstance(value, timedelta):
        return str(value)
    text = str(value).strip()
    is_error = cell is not None and cell.data_type == "e"
    return "" if is_error else text


def _number(value: float, number_format: str | None) -> str:
    """Return a number by its format: decimals, percent, currency and unit; no separators."""
    section = (number_format or "General").split(";")[0]
    template = _LITERAL.sub(lambda m: (m[1] or m[2] or m[3] or "").replace("0", ""), section)
    parts = _PLAIN_FORMAT.fullmatch(template)
    if not parts or parts[2].endswith(","):  # "General", fractions, thousands: as it is stored
        whole = abs(value) < 1e16 and value == int(value)
        return str(int(value)) if whole else f"{value:.15g}"
    before, _, decimals, percent, after = parts.groups()
    exact = Decimal(repr(value)) * (100 if percent else 1)
    digits = exact.quantize(Decimal(1).scaleb(-len(decimals or "")), ROUND_HALF_UP)
    return f"{before.strip()}{digits}{percent}{after.strip()}"
