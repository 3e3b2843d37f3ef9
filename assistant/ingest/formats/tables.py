"""Rows of any table as sentences that can be quoted alone: "部门：销售部；人数：12".

It finds the captions and the header among the first rows. Where rows come from,
and what page they are on, it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from assistant.text import is_cjk

_NUMBER = re.compile(r"[(（]?[-+−]?[¥￥$€£]?\s?\d[\d,.\s]*(?:[%％‰]|[^\W\d_]{0,2})[)）]?")
_DATE = re.compile(
    r"\d{4}[-/.年]\d{1,2}(?:[-/.月]\d{1,2}日?)?(?:[ T]\d{1,2}:\d\d.*)?|\d{1,2}:\d\d.*"
)
_PERIOD = re.compile(
    r"(?:19|20)\d\d(?:[年EA]度?|[-/.年]\d{1,2}月?)?|\d{1,2}\s?月|[QH]\d|第.季度|[QH]\d\s?\d{4}"
)
_UNIT = re.compile(r"(?:单位|\bunits?)\s*[:：]\s*[^()（）,，;；\s]+", re.IGNORECASE)
_HEADER_LENGTH = 60
# Headers that name no column but say that the table is a list of labels and values.
_LABEL_NAME = re.compile("项目|名称|字段|指标|参数|属性|item|name|field|key|label|property", re.I)
_VALUE_NAME = re.compile("内容|值|数值|说明|描述|取值|value|content|description|details", re.I)


@dataclass(frozen=True)
class Row:
    """A row of a table: its number in its sheet or file, and its cells as text."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table as text: what stands above its header, and a line for each row below."""

    captions: tuple[str, ...]
    lines: tuple[tuple[int, str], ...]


def describe(rows: Iterable[Row]) -> Table:
    """Return a table's captions and, for each row, its number and its text.

    A row's text names each value by its column, with full-width punctuation when
    the header is Chinese. A table without a header gives the bare values; a list
    of labels and values gives one pair a row. A caption that states the unit of the
    figures is repeated in every row.
    """
    filled = [row for row in rows if any(cell.strip() for cell in row.cells)]
    captions, filled = _split_captions(filled)
    header, body = _split_header(filled)
    unit = next((match[0] for match in map(_UNIT.search, captions) if match), "")
    chinese = any(is_cjk(c) for c in "".join(header or (filled[0].cells if filled else ())))
    lines = []
    for row in body:
        text = _line(row.cells, header, chinese)
        if text:
            lines.append((row.number, text + (("；" if chinese else "; ") + unit) * bool(unit)))
    return Table(tuple(captions), tuple(lines))


def _split_captions(rows: list[Row]) -> tuple[list[str], list[Row]]:
    """Part the rows of a single value that stand above a wider table."""
    width = max((len(_values(row)) for row in islice(rows, 50)), default=0)
    captions = []
    while width > 1 and rows and _is_caption(rows[0], width):
        captions.append(_values(rows[0])[0])
        rows = rows[1:]
    return captions, rows


def _is_caption(row: Row, width: int) -> bool:
    # A lone name over the second of two columns is a header whose corner is empty.
    return len(set(_values(row))) == 1 and (width > 2 or bool(row.cells[0].strip()))


def _split_header(rows: list[Row]) -> tuple[list[str], list[Row]]:
    """Return the column names (none when there is no header) and the rows below them."""
    if len(rows) > 1 and _names_pairs(rows):
        return [], rows[1:]
    if len(rows) < 2 or not _is_header(rows[0]) or _is_pairs(rows):
        return [], rows
    header = [cell.strip() for cell in rows[0].cells]
    merged = any(a and a == b for a, b in pairwise(header))
    if merged and len(rows) > 2 and _is_header(rows[1]):
        below = [cell.strip() for cell in rows[1].cells]
        below += [""] * (len(header) - len(below))
        header += [""] * (len(below) - len(header))
        joined = [
            f"{top} {under}" if top and under and top != under else top or under
            for top, under in zip(header, below, strict=True)
        ]
        return joined, rows[2:]
    return header, rows[1:]


def _is_header(row: Row) -> bool:
    names = _values(row)
    return bool(names) and all(
        len(name) <= _HEADER_LENGTH and (_PERIOD.fullmatch(name) or not is_figure(name))
        for name in names
    )


def _names_pairs(rows: Sequence[Row]) -> bool:
    names = _values(rows[0])
    return (
        len(names) == 2
        and bool(_LABEL_NAME.fullmatch(names[0]) and _VALUE_NAME.fullmatch(names[1]))
        and all(len(_values(row)) <= 2 for row in rows)
    )


def _is_pairs(rows: Sequence[Row]) -> bool:
    """Tell a list of labels and values from a two-column table with a header.

    In a list the labels differ, and the values are of different kinds or the labels
    end in colons.
    """
    values = [_values(row) for row in rows[:50]]
    if any(len(row.cells) > 2 and any(row.cells[2:]) for row in rows[:50]):
        return False
    pairs = [pair for pair in values if len(pair) == 2]
    if len(pairs) < len(values) * 0.8 or len({pair[0] for pair in pairs}) < len(pairs):
        return False
    kinds = {is_figure(pair[1]) for pair in pairs[1:]}
    return len(kinds) > 1 or sum(p[0].endswith((":", "：")) for p in pairs) > len(pairs) / 2


def is_figure(cell: str) -> bool:
    """Tell whether a cell holds a number or a date, its unit included."""
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))


def _line(cells: Sequence[str], header: Sequence[str], chinese: bool) -> str:
    colon, semicolon = ("：", "；") if chinese else (": ", "; ")
    values = [" ".join(cell.split()) for cell in cells]
    filled = [value for value in values if value]
    if len(filled) > 1 and len(set(filled)) == 1 and len(filled) == len(header):
        return filled[0]  # one cell merged over the whole row
    if header:
        names = [*header, *[""] * (len(values) - len(header))]
        pairs = zip(names, values, strict=False)
        return semicolon.join(
            f"{name.rstrip(':：')}{colon}{value}" if name else value
            for name, value in pairs
            if value
        )
    if len(filled) == 2:
        return f"{filled[0].rstrip(':：')}{colon}{filled[1]}"
    return semicolon.join(filled)


def _values(row: Row) -> list[str]:
    return [cell.strip() for cell in row.cells if cell.strip()]
