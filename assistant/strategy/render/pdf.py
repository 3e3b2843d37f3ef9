"""The brief as a PDF, typeset by Typst: its text goes there as data, never as markup."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from assistant.errors import ConfigurationError
from assistant.strategy.render.charts import draw
from assistant.strategy.render.extra import INSTALL, brief_extra
from assistant.strategy.render.font import chinese_font
from assistant.strategy.render.inline import (
    clean,
    known_marks,
    moment,
    numeric,
    runs,
    shares,
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

_TEMPLATE = "brief.typ"
_LONG_WORD = re.compile(r"[!-~]{16,}")
_BREAKABLE = re.compile(r"(?<=[/._\-=&?,;])(?=[^/._\-=&?,;])")


def to_pdf(brief: Brief, font: Path | None = None) -> bytes:
    """Return a brief as a PDF with embedded fonts; the same brief gives the same bytes.

    Args:
        brief: the document; what stands before its first `PageBreak` fills the first page.
        font: the file of a font that holds Chinese; the extra's when None.

    Raises:
        ConfigurationError: typst, matplotlib or the font is not installed or of no use.
    """
    with brief_extra():
        import typst
    source = chinese_font(font)
    with tempfile.TemporaryDirectory(prefix="brief-") as name:
        folder = Path(name)
        (folder / "fonts").mkdir()
        shutil.copy(source, folder / "fonts" / f"font{source.suffix}")
        fonts = typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=False,
            font_paths=[folder / "fonts"],
        )
        if not (families := fonts.families()):
            raise ConfigurationError(
                f"{source} is no font that can be read. Name another, or run {INSTALL}"
            )
        _write_input(brief, folder, families[0], source)
        # Signs that the font lacks, raised digits for one, are taken from typst's own.
        every = typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=True,
            font_paths=[folder / "fonts"],
        )
        compiler = typst.Compiler(folder / _TEMPLATE, root=folder, font_paths=every)
        written = compiler.compile(format="pdf", timestamp=moment(brief))
    assert isinstance(written, bytes)
    return written


def _write_input(brief: Brief, folder: Path, family: str, font: Path) -> None:
    blocks = list(brief.blocks)
    breaks = [n for n, block in enumerate(blocks) if isinstance(block, PageBreak)]
    first = breaks[0] if breaks else 0
    known, anchored = known_marks(brief), set[str]()
    told = [_block(n, block, known, anchored) for n, block in enumerate(blocks)]
    day = moment(brief)
    data = {
        "title": clean(brief.title),
        "subtitle": clean(brief.subtitle),
        "date": (day.year, day.month, day.day),
        "written-date": written_date(brief.date, brief.language),
        "language": brief.language,
        "font": family.lower(),
        "summary": told[:first],
        "rest": told[first:],
    }
    (folder / "brief.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    for number, block in enumerate(blocks):
        if isinstance(block, Chart):
            (folder / _chart_file(number)).write_bytes(draw(block, brief.language, "svg", font))
    template = files("assistant.strategy.render").joinpath(_TEMPLATE).read_bytes()
    (folder / _TEMPLATE).write_bytes(template)


def _chart_file(number: int) -> str:
    return f"chart-{number}.svg"


def _block(number: int, block: Block, known: frozenset[str], anchored: set[str]) -> dict[str, Any]:
    match block:
        case Heading():
            return {"kind": "heading", "level": block.level, "runs": _runs(block.text, known)}
        case Paragraph():
            return {"kind": "paragraph", "role": block.role, "runs": _runs(block.text, known)}
        case Bullets():
            items = [{"runs": _runs(item, known)} for item in block.items]
            return {"kind": "bullets", "numbered": block.numbered, "items": items}
        case Table():
            return _table(block, known)
        case Chart():
            return {"kind": "chart", "file": _chart_file(number), "caption": clean(block.caption)}
        case SourceList():
            return _sources(block, anchored)
        case PageBreak():
            return {"kind": "pagebreak"}


def _table(block: Table, known: frozenset[str]) -> dict[str, Any]:
    return {
        "kind": "table",
        "caption": clean(block.caption),
        "columns": [_runs(_breakable(column), known) for column in block.columns],
        "rows": [[{"runs": _runs(_breakable(cell), known)} for cell in row] for row in block.rows],
        "widths": shares(block),
        "numeric": numeric(block),
    }


def _sources(block: SourceList, anchored: set[str]) -> dict[str, Any]:
    entries = []
    for entry in block.entries:
        entries.append(
            {
                "mark": entry.mark,
                "place": _breakable(clean(entry.place)),
                "quote": _breakable(clean(entry.quote)),
                "anchor": entry.mark not in anchored,  # a place can have a name but once
            }
        )
        anchored.add(entry.mark)
    return {"kind": "sources", "entries": entries}


def _runs(text: str, known: frozenset[str]) -> list[dict[str, str]]:
    return [{"mark" if run.is_mark else "text": run.text} for run in runs(text, known)]


def _breakable(text: str) -> str:
    """Let a file's name or an address break within a narrow column, at its punctuation."""
    return _LONG_WORD.sub(lambda match: _BREAKABLE.sub("\u200b", match[0]), text)
