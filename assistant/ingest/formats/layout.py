"""From lines on pages to paragraphs, headings and tables, by place and type size alone.

It trusts the order in which the file draws its lines, and knows no PDF library.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import median

from assistant.ingest.formats.grid import columns, runs, table_texts
from assistant.ingest.formats.page import Bookmark, Line, Page
from assistant.ingest.formats.text import (
    heading_level,
    is_wide,
    join_lines,
    running_keys,
    starts_item,
)
from assistant.ingest.parsed import Block, Outline

_MARGIN = 0.1  # of the page's height: where running headers and footers stand
_OFTEN = 3  # pages that a line in the margin must be on to be a running one
_HEADING_SIZE = 1.15  # of the size of the body text
_HEADING_LENGTH = 80
_LEADER = re.compile(r"(?:[.．·…]\s?){4,}\s*[\divxlc]+$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[。！？!?.…：:；;][”’\"'」』）)】\]》]*$")


@dataclass(frozen=True)
class _Part:
    """Lines that belong together: a paragraph, a heading, or a table."""

    lines: tuple[Line, ...]
    page: int
    last_page: int
    is_table: bool = False
    is_full: bool = False  # its last line reaches the right edge
    header: tuple[Line, ...] = ()  # of a table that began on an earlier page

    @cached_property
    def text(self) -> str:
        return join_lines([line.text for line in self.lines])


def read_pages(
    pages: Sequence[Page], bookmarks: Sequence[Bookmark] = ()
) -> tuple[str, tuple[Block, ...]]:
    """Return the title that the first page shows ("" when none does) and the blocks."""
    pages = _without_furniture(pages)
    lines = [line for page in pages for line in page.lines]
    if not lines:
        return "", ()
    body = _body_size(lines)
    pitch = _line_pitch(pages, body)
    parts = _joined([part for page in pages for part in _parts(page, body, pitch)], body)
    levels = _bookmarked(parts, bookmarks) or _by_size(parts, body) or _by_number(parts)
    outline = Outline()
    title, first_page = "", parts[0].page
    for index, part in enumerate(parts):
        if index in levels:
            outline.heading(levels[index], part.text, part.page)
            is_top = levels[index] == min(levels.values())
            title = title or (part.text if is_top and part.page == first_page else "")
            continue
        for text in table_texts(part.lines, part.header) if part.is_table else [part.text]:
            outline.add(text, part.page)
    return title, outline.blocks()


def _without_furniture(pages: Sequence[Page]) -> list[Page]:
    """Drop what repeats in the margins of several pages, and entries of tables of contents."""

    def in_margin(line: Line, page: Page) -> bool:
        middle = line.bottom + line.size / 2
        return not _MARGIN * page.height < middle < (1 - _MARGIN) * page.height

    def is_furniture(line: Line, place: tuple[int, int]) -> bool:
        return place in running or bool(_LEADER.search(line.text))

    keys = {
        (page.number, index): {
            (key, round(line.bottom / 2)) for key in running_keys(line.text, page.number)
        }
        for page in pages
        for index, line in enumerate(page.lines)
        if in_margin(line, page)
    }
    seen = Counter(
        key
        for page in pages
        for key in set().union(*(own for (number, _), own in keys.items() if number == page.number))
    )
    often = min(_OFTEN, max(2, len(pages)))
    running = {place for place, own in keys.items() if any(seen[key] >= often for key in own)}
    return [
        replace(
            page,
            lines=tuple(
                line
                for i, line in enumerate(page.lines)
                if not is_furniture(line, (page.number, i))
            ),
        )
        for page in pages
    ]


def _body_size(lines: Sequence[Line]) -> float:
    """Return the size that most characters are set in."""
    weights: Counter[float] = Counter()
    for line in lines:
        weights[round(line.size)] += len(line.text)
    common = weights.most_common(1)[0][0]
    return median(line.size for line in lines if round(line.size) == common)


def _line_pitch(pages: Sequence[Page], body: float) -> float:
    """Return the usual distance between two lines of body text."""
    steps = [
        above.bottom - below.bottom
        for page in pages
        for above, below in pairwise(page.lines)
        if above.is_like(below) and abs(above.size - body) < 0.15 * body
    ]
    close = [step for step in steps if 0.8 * body < step < 2.5 * body]
    return median(close) if close else 1.5 * body


def _parts(page: Page, body: float, pitch: float) -> Iterator[_Part]:
    """Yield the parts of a page in order."""
    for is_table, lines in runs(page.lines):
        if is_table:
            yield _Part(tuple(lines), page.number, page.number, is_table=True)
            continue
        paragraph: list[Line] = []
        edge = 0.0
        for line in lines:
            if paragraph and not _continues(paragraph, line, edge, body, pitch):
                yield _text_part(paragraph, page.number, edge)
                paragraph = []
            paragraph.append(line)
            edge = max(x.right for x in lines if line.is_like(x) and _same_column(x, line))
        yield _text_part(paragraph, page.number, edge)


def _text_part(lines: Sequence[Line], page: int, edge: float) -> _Part:
    is_full = edge - lines[-1].right < 3 * lines[-1].size
    return _Part(tuple(lines), page, page, is_full=is_full)


def _continues(
    paragraph: Sequence[Line], line: Line, edge: float, body: float, pitch: float
) -> bool:
    """Tell whether a line goes on with the paragraph's sentence.

    It does when it follows at the usual distance in the same size, and its first
    word would not have fitted on the line before.
    """
    last = paragraph[-1]
    step = last.bottom - line.bottom
    if not last.is_like(line) or starts_item(line.text):
        return False
    if last.size > _HEADING_SIZE * body:  # lines of one heading may be ragged or centred
        return 0 < step < 1.6 * last.size
    if not 0 < step < 1.25 * max(pitch, line.size) or last.right - last.left < 12 * last.size:
        return False
    hanging = len(paragraph) == 1 and starts_item(last.text)
    if line.left > last.left + 1.2 * line.size and not hanging:
        return False
    first_word = line.text.split(" ", 1)[0]
    if is_wide(first_word[0]):
        needed = 2.2 * line.size  # a character and the punctuation bound to it
    else:
        needed = (len(first_word) + 2) * (line.right - line.left) / max(1, len(line.text))
    return edge - last.right < max(needed, line.size)


def _same_column(one: Line, other: Line) -> bool:
    return abs(one.left - other.left) < 2.5 * other.size


def _joined(parts: Sequence[_Part], body: float) -> list[_Part]:
    """Join what page breaks part: a paragraph, which keeps its first page, and a table's header."""
    joined: list[_Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last is None or not last.last_page <= part.page <= last.last_page + 1:
            joined.append(part)
        elif last.is_table and _same_table(last, part):
            joined.append(replace(part, is_table=True, header=last.header or last.lines[:1]))
        elif part.page > last.last_page and _same_paragraph(last, part, body):
            lines = last.lines + part.lines
            joined[-1] = replace(part, lines=lines, page=last.page)
        else:
            joined.append(part)
    return joined


def _same_table(last: _Part, part: _Part) -> bool:
    """Tell whether a part, were it but one row, goes on with the table of the page before."""
    one, other = columns(last.lines), columns(part.lines)
    return len(one) == len(other) and all(
        abs(a[0] - b[0]) < 20 or abs(a[1] - b[1]) < 20 for a, b in zip(one, other, strict=True)
    )


def _same_paragraph(last: _Part, part: _Part, body: float) -> bool:
    return (
        not (last.is_table or part.is_table)
        and last.is_full
        and last.lines[-1].size <= _HEADING_SIZE * body
        and last.lines[-1].is_like(part.lines[0])
        and not _SENTENCE_END.search(last.text)
        and not starts_item(part.text)
    )


def _bookmarked(parts: Sequence[_Part], bookmarks: Sequence[Bookmark]) -> dict[int, int]:
    """Return part → level where the document's own outline names most of its headings."""
    wanted = {(entry.page, entry.title): entry.level for entry in bookmarks}
    levels = {}
    for index, part in enumerate(parts):
        level = wanted.get((part.page, "".join(part.text.split())))
        if level is not None:
            levels[index] = level
    return levels if wanted and len(levels) >= 0.6 * len(wanted) else {}


def _by_size(parts: Sequence[_Part], body: float) -> dict[int, int]:
    """Return part → level of those set larger than the body: the larger, the higher."""
    sizes = {
        index: max(line.size for line in part.lines)
        for index, part in enumerate(parts)
        if not part.is_table and len(part.text) <= _HEADING_LENGTH
    }
    large = {index: size for index, size in sizes.items() if size >= _HEADING_SIZE * body}
    steps: list[float] = []
    for size in sorted(large.values(), reverse=True):
        if not steps or size < 0.93 * steps[-1]:
            steps.append(size)
    return {
        index: 1 + next(n for n, step in enumerate(steps) if size >= 0.93 * step)
        for index, size in large.items()
    }


def _by_number(parts: Sequence[_Part]) -> dict[int, int]:
    """Return part → level of those numbered like headings, decimals left out as too common."""
    return {
        index: level
        for index, part in enumerate(parts)
        if not part.text[:1].isdigit() and (level := heading_level(part.text))
    }
