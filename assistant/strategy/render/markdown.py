"""The brief as Markdown: plain enough to be read as it is, and safe to be rendered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from assistant.strategy.render.inline import (
    clean,
    known_marks,
    numeric,
    runs,
    written_date,
)
from assistant.strategy.types import (
    Block,
    Brief,
    Bullets,
    Chart,
    Heading,
    PageBreak,
    Paragraph,
    SourceList,
    Table,
)

# What Markdown, HTML within it, or the mathematics of many viewers would take as theirs. An
# underscore between letters is none of these.
_SPECIAL = re.compile(r"[\\`*<>\[\]|$~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_LINE_START = re.compile(r"^(?:[#+=:-]|\d+(?=[.)]))")


def to_markdown(brief: Brief, chart_files: Mapping[int, str]) -> str:
    """Return a brief as Markdown.

    Args:
        brief: the document.
        chart_files: the relative path of each chart's picture, by its block's index. A chart
            without one is told by its caption alone.
    """
    known = known_marks(brief)
    head = (
        f"{_escaped(clean(brief.subtitle))} · {_escaped(written_date(brief.date, brief.language))}"
    )
    parts = [f"# {_escaped(clean(brief.title))}", head]
    for index, block in enumerate(brief.blocks):
        parts.append(_block(block, known, chart_files.get(index, "")))
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, known: frozenset[str], picture: str) -> str:
    match block:
        case Heading():
            return f"{'#' * (block.level + 1)} {_inline(block.text, known)}"
        case Paragraph():
            return _paragraph(block, known)
        case Bullets():
            return "\n".join(
                f"{f'{number}.' if block.numbered else '-'} {_line(item, known)}"
                for number, item in enumerate(block.items, start=1)
            )
        case Table():
            return _table(block, known)
        case Chart():
            return (
                f"![{_escaped(clean(block.caption))}](<{picture}>)" if picture else _caption(block)
            )
        case SourceList():
            return _sources(block)
        case PageBreak():
            return ""


def _paragraph(block: Paragraph, known: frozenset[str]) -> str:
    text = _line(block.text, known)
    if block.role == "finding":
        return f"> {text}"
    if block.role == "lead" and text:
        return f"**{text}**"
    return text


def _caption(block: Chart | Table) -> str:
    return f"**{_escaped(clean(block.caption))}**" if block.caption else ""


def _table(block: Table, known: frozenset[str]) -> str:
    rules = ["---:" if is_numeric else "---" for is_numeric in numeric(block)]
    rows = [_row(_inline(cell, known) for cell in row) for row in (block.columns, *block.rows)]
    lines = [_caption(block), "", rows[0], _row(rules), *rows[1:]]
    return "\n".join(lines if block.caption else lines[2:])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sources(block: SourceList) -> str:
    lines = []
    for entry in block.entries:
        lines.append(f"- [{entry.mark}] {_escaped(clean(entry.place))}")
        if entry.quote:
            lines.append(f"  > {_at_start(_escaped(clean(entry.quote)))}")
    return "\n".join(lines)


def _line(text: str, known: frozenset[str]) -> str:
    return _at_start(_inline(text, known))


def _at_start(text: str) -> str:
    """Escape what would begin a heading, a list or a rule at the start of a line."""
    match = _LINE_START.match(text)
    if not match:
        return text
    found = match[0]
    return f"{found}\\{text[len(found) :]}" if found.isdigit() else f"\\{text}"


def _inline(text: str, known: frozenset[str]) -> str:
    """Return a text with its marks as they are and all else escaped."""
    pieces = runs(text, known, raised=False)
    return "".join(f"[{run.text}]" if run.is_mark else _escaped(run.text) for run in pieces)


def _escaped(text: str) -> str:
    """Return a cleaned text, or a piece of one, with what Markdown would read escaped."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)
