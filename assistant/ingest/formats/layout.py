"""From lines on pages to paragraphs, headings and table rows, by place and type size alone.

It trusts the order in which the file draws its lines, and knows no PDF library.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from statistics import median

from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import heading_level, is_wide, join_lines, starts_item
from assistant.ingest.parsed import Block, Outline

_MARGIN = 0.1  # of the page's height: where running headers and footers stand
_HEADING_SIZE = 1.15  # of the size of the body text
_HEADING_LENGTH = 80
_PAGE_NUMBER = re.compile(
    r"[-–—\s|]*(?:第|page)?\s*#+\s*页?\s*(?:(?:[/／,，|]|共|of)*\s*#+\s*页?)?[-–—\s|]*", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[。！？!?.…：:；;][”’\"'」』）)】\]》]*$")


@dataclass(frozen=True)
class Cell:
    """A run of text without a wide gap, between two horizontal positions in points."""

    left: float
    right: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a page: ``bottom`` and ``size`` (its height) in points, y grows upwards."""

    cells: tuple[Cell, ...]
    bottom: float
    size: float

    @cached_property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)

    @property
    def left(self) -> float:
        return self.cells[0].left

    @property
    def right(self) -> float:
        return max(cell.right for cell in self.cells)

    @cached_property
    def masked(self) -> str:
        """The text without blanks, its digits as ``#``: the same on every page if it runs."""
        return re.sub(r"\d+", "#", "".join(self.text.split()))


@dataclass(frozen=True)
class Page:
    """A page: its number from 1, its height in points, its lines in the file's order."""

    number: int
    height: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Bookmark:
    """An entry of a document's outline; its title is without blanks."""

    level: int
    title: str
    page: int


@dataclass(frozen=True)
class _Part:
    """Lines that belong together: a paragraph, a heading, or the rows of a table."""

    lines: tuple[Line, ...]
    page: int
    is_table: bool = False
    is_full: bool = False  # its last line reaches the right edge
    last_page: int = 0

    @cached_property
    def text(self) -> str:
        return join_lines([line.text for line in self.lines])


def read_pages(
    pages: Sequence[Page], bookmarks: Sequence[Bookmark] = ()
) -> tuple[str, tuple[Block, ...]]:
    """Return the title that the first page shows ("" when none does) and the blocks."""
    pages = _without_running_lines(pages)
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
        elif part.is_table:
            for text in _table_texts(part):
                outline.add(text, part.page)
        else:
            outline.add(part.text, part.page)
    return title, outline.blocks()


def _without_running_lines(pages: Sequence[Page]) -> list[Page]:
    """Drop what repeats in the margins of several pages, and page numbers."""

    def in_margin(line: Line, page: Page) -> bool:
        middle = line.bottom + line.size / 2
        return not _MARGIN * page.height < middle < (1 - _MARGIN) * page.height

    seen = Counter(
        mask
        for page in pages
        for mask in {line.masked for line in page.lines if in_margin(line, page)}
    )
    often = min(3, max(2, len(pages)))

    def runs(line: Line, page: Page) -> bool:
        return in_margin(line, page) and (
            seen[line.masked] >= often or bool(_PAGE_NUMBER.fullmatch(line.masked))
        )

    return [
        Page(page.number, page.height, tuple(line for line in page.lines if not runs(line, page)))
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
        if _alike(above, below) and abs(above.size - body) < 0.15 * body
    ]
    close = [step for step in steps if 0.8 * body < step < 2.5 * body]
    return median(close) if close else 1.5 * body


def _parts(page: Page, body: float, pitch: float) -> Iterator[_Part]:
    """Yield the parts of a page in order."""
    for is_table, run in groupby(_rows(page.lines), key=lambda row: row[1]):
        lines = [line for line, _ in run]
        if is_table:
            yield _Part(tuple(lines), page.number, is_table=True, last_page=page.number)
            continue
        paragraph: list[Line] = []
        edge = 0.0
        for line in lines:
            if paragraph and not _continues(paragraph, line, edge, body, pitch):
                yield _text_part(paragraph, page.number, edge)
                paragraph = []
            paragraph.append(line)
            edge = max(x.right for x in lines if _alike(x, line) and _same_column(x, line))
        yield _text_part(paragraph, page.number, edge)


def _text_part(lines: Sequence[Line], page: int, edge: float) -> _Part:
    is_full = edge - lines[-1].right < 3 * lines[-1].size
    return _Part(tuple(lines), page, is_full=is_full, last_page=page)


def _joined(parts: Sequence[_Part], body: float) -> list[_Part]:
    """Join a paragraph that a page break parts; it keeps the page it begins on."""
    joined: list[_Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.lines[-1].size <= _HEADING_SIZE * body
            and part.page == last.last_page + 1
            and not (last.is_table or part.is_table)
            and last.is_full
            and not _SENTENCE_END.search(last.text)
            and _alike(last.lines[-1], part.lines[0])
            and not starts_item(part.text)
        ):
            joined[-1] = replace(
                part, lines=last.lines + part.lines, page=last.page, last_page=part.page
            )
        else:
            joined.append(part)
    return joined


def _rows(lines: Sequence[Line]) -> list[tuple[Line, bool]]:
    """Mark the lines that are rows of a table: several in a row with as many cells."""
    marks = [False] * len(lines)
    for count, run in groupby(range(len(lines)), key=lambda index: len(lines[index].cells)):
        members = list(run)
        if (count > 2 and len(members) > 1) or (count == 2 and len(members) > 2):
            for index in members:
                marks[index] = True
    return list(zip(lines, marks, strict=True))


def _continues(
    paragraph: Sequence[Line], line: Line, edge: float, body: float, pitch: float
) -> bool:
    """Tell whether a line goes on with the paragraph's sentence.

    It does when it follows at the usual distance in the same size, and its first
    word would not have fitted on the line before.
    """
    last = paragraph[-1]
    step = last.bottom - line.bottom
    if not _alike(last, line) or starts_item(line.text):
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


def _alike(one: Line, other: Line) -> bool:
    return abs(one.size - other.size) <= 0.12 * max(one.size, other.size)


def _same_column(one: Line, other: Line) -> bool:
    return abs(one.left - other.left) < 2.5 * other.size


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


def _table_texts(part: _Part) -> list[str]:
    table = describe(
        Row(number, [cell.text for cell in line.cells])
        for number, line in enumerate(part.lines, 1)
    )
    return [*table.captions, *(line for _, line in table.lines)]
