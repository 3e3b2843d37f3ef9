"""What every form of the brief shares: marks within text, table columns, the date."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from assistant.strategy.types import Brief, SourceList, Table
from assistant.types import Language

_MARK = re.compile(r"\[([AI]?\d{1,3})\]")
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DATES = {"zh": "{0.year}年{0.month}月{0.day}日", "en": "{0.day} {0:%B} {0.year}"}
_UNDATED = date(2000, 1, 1)  # a file must carry some moment, and never that of its writing
_WIDE = 1.0
_NARROW = 0.56  # of the font's Latin letters, on average
_CAPITAL = 0.68
_SLIM, _SLIM_LETTERS = 0.33, "fijlrt.,:;'|()[] "
_WORD = re.compile(r"[^\W\u2e80-\u9fff\uff00-\uffef]+[.,:;)%]?|[\d.,]+")
_TOO_LONG = 16  # a file's name, say, that breaks where it must
_TABLE_EMS = 50  # of a table's 9 points in the line of 16 cm
_PADDING = 1.2  # ems: the cell's margins, and a little for bold letters


@dataclass(frozen=True)
class Run:
    """A piece of text, or a mark without its brackets."""

    text: str
    is_mark: bool = False


def clean(text: str) -> str:
    """Return a text on one line, without the characters that no XML file can hold."""
    return " ".join(_NO_XML.sub("", text).split())


def known_marks(brief: Brief) -> frozenset[str]:
    """Return the marks of all source lists of a brief."""
    lists = (block for block in brief.blocks if isinstance(block, SourceList))
    return frozenset(entry.mark for block in lists for entry in block.entries)


def runs(text: str, known: Iterable[str], *, raised: bool = True) -> list[Run]:
    """Split a text at its marks; what looks like one but names no entry stays text.

    Marks that are ``raised`` take no space before them.
    """
    found: list[Run] = []
    text, start = clean(text), 0
    for match in _MARK.finditer(text):
        if match[1] in known:
            before = text[start : match.start()]
            if before := before.removesuffix(" ") if raised else before:
                found.append(Run(before))
            found.append(Run(match[1], is_mark=True))
            start = match.end()
    if rest := text[start:]:
        found.append(Run(rest))
    return found


def ems(text: str) -> float:
    """Return about how wide a text is set, in ems."""
    return sum(map(_em, text))


def _em(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return _WIDE
    if char in _SLIM_LETTERS:
        return _SLIM
    return _CAPITAL if char.isupper() or char in "mw" else _NARROW


def shares(table: Table) -> tuple[float, ...]:
    """Return each column's share of the line: as given, else by how much its cells hold.

    A column is never narrower than its longest word, as long as the line has room for all.
    """
    columns = list(zip(table.columns, *table.rows, strict=True))
    weights = list(table.widths)
    if len(weights) != len(columns) or min(weights, default=0) <= 0:
        weights = [3 + math.sqrt(max(map(ems, column))) for column in columns]
    wide = [weight / sum(weights) for weight in weights]
    least = [max(map(_longest_word, column)) / _TABLE_EMS for column in columns]
    short = [max(need - share, 0) for need, share in zip(least, wide, strict=True)]
    spare = [max(share - need, 0) for need, share in zip(least, wide, strict=True)]
    if not 0 < sum(short) <= sum(spare):
        return tuple(wide)
    taken = sum(short) / sum(spare)
    return tuple(
        share + lack - extra * taken for share, lack, extra in zip(wide, short, spare, strict=True)
    )


def _longest_word(cell: str) -> float:
    """Return about how wide a column must be not to break a word of a cell, in ems."""
    words = [word for word in _WORD.findall(cell) if len(word) < _TOO_LONG]
    return _PADDING + max(map(ems, words), default=1.0)


def numeric(table: Table) -> tuple[bool, ...]:
    """Return which columns hold numbers; none where the table does not say."""
    return table.numeric or (False,) * len(table.columns)


def written_date(text: str, language: Language) -> str:
    """Return an ISO date as it is written out; any other text as it is."""
    day = _parsed(text)
    return clean(text) if day is None else _DATES[language].format(day)


def moment(brief: Brief) -> datetime:
    """Return the noon (UTC) of the brief's date, or a fixed one where it is no ISO date."""
    day = _parsed(brief.date) or _UNDATED
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def _parsed(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None
