"""Presentations (.pptx): slide by slide, its title as heading, its speaker notes last.

Hidden slides, pictures and animations are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import join_lines
from assistant.ingest.parsed import Block, Metadata, Parsed, group_items
from assistant.text import detect_language, is_cjk

_DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_TEMPLATE_TITLES = {"PowerPoint Presentation", "PowerPoint 演示文稿"}
_ROW_HEIGHT = 200_000  # EMU (5.5 mm): shapes whose tops differ less stand side by side


def parse_slides(path: Path) -> Parsed:
    """Return the texts of each visible slide, in reading order, under its title."""
    import pptx

    presentation = pptx.Presentation(str(path))
    blocks: list[Block] = []
    for number, slide in enumerate(presentation.slides, 1):
        if slide.element.get("show") not in {"0", "false"}:
            blocks.extend(_slide_blocks(slide, number))
    title = presentation.core_properties.title or ""
    if title in _TEMPLATE_TITLES:
        title = ""
    if not title and blocks and blocks[0].page == 1:
        title = blocks[0].heading[0] if blocks[0].heading else ""
    return Parsed(Metadata(title=title), tuple(blocks))


def _slide_blocks(slide: Any, number: int) -> Iterator[Block]:
    titled = slide.shapes.title
    title = _one_line(titled.text_frame.text) if titled is not None else ""
    heading = (title,) if title else ()
    shapes = [s for s in _flat(slide.shapes) if titled is None or s.shape_id != titled.shape_id]
    texts = [text for shape in sorted(shapes, key=_place) for text in _shape_texts(shape)]
    if not texts and title:  # a slide that only opens a chapter
        yield Block(title, (), number, "slide")
    for text in texts:
        yield Block(text, heading, number, "slide")
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and notes.text.strip():
        label = "备注" if detect_language(notes.text) == "zh" else "Speaker notes"
        for text in group_items(line.strip() for line in _lines(notes) if line.strip()):
            yield Block(text, (*heading, label), number, "slide")


def _flat(shapes: Any) -> Iterator[Any]:
    """Yield the shapes, those inside groups in the place of the group."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _place(shape: Any) -> tuple[int, int]:
    return ((shape.top or 0) // _ROW_HEIGHT, shape.left or 0)


def _shape_texts(shape: Any) -> Iterator[str]:
    if shape.is_placeholder and shape.placeholder_format.type in _furniture():
        return
    if shape.has_text_frame:
        yield from group_items(_lines(shape.text_frame))
    elif getattr(shape, "has_table", False):
        yield from _table_texts(_table_rows(shape.table))
    elif getattr(shape, "has_chart", False):
        yield from _table_texts(_chart_rows(shape.chart))
    else:
        yield from group_items(_diagram_lines(shape))


def _furniture() -> frozenset[Any]:
    """Return the placeholders that repeat on every slide."""
    from pptx.enum.shapes import PP_PLACEHOLDER

    kinds = PP_PLACEHOLDER
    return frozenset({kinds.DATE, kinds.FOOTER, kinds.HEADER, kinds.SLIDE_NUMBER})


def _lines(frame: Any) -> list[str]:
    """Return the paragraphs of a text frame as lines; several become a bulleted list."""
    found = [(p.level, _one_line(p.text)) for p in frame.paragraphs if p.text.strip()]
    if len(found) < 2:
        return [text for _, text in found]
    return ["  " * level + "- " + text for level, text in found]


def _table_texts(rows: Iterator[Row]) -> Iterator[str]:
    table = describe(rows)
    yield from table.captions
    for _, line in table.lines:
        yield line


def _table_rows(table: Any) -> Iterator[Row]:
    """Yield a table's rows; a merged cell's text stands in each cell it covers."""
    texts: dict[tuple[int, int], str] = {}
    for number, row in enumerate(table.rows):
        cells = []
        for column, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for down in range(cell.span_height):
                    for right in range(cell.span_width):
                        texts[number + down, column + right] = _one_line(cell.text)
            cells.append(texts.get((number, column)) or _one_line(cell.text))
        yield Row(number + 1, cells)


def _chart_rows(chart: Any) -> Iterator[Row]:
    """Yield a chart's data as rows: a category and its value in each series."""
    plot = next(iter(chart.plots), None)
    if plot is None:
        return
    series = list(plot.series)
    chinese = any(is_cjk(c) for s in series for c in str(s.name))
    corner = "类别" if chinese else "Category"
    yield Row(1, [corner, *(str(s.name) for s in series)])
    for index, category in enumerate(plot.categories):
        values = [s.values[index] if index < len(s.values) else None for s in series]
        yield Row(index + 2, [str(category), *("" if v is None else f"{v:.15g}" for v in values)])


def _diagram_lines(shape: Any) -> list[str]:
    """Return the texts of a SmartArt diagram, which stand in a part of their own."""
    from lxml import etree  # type: ignore[import-untyped]

    lines = []
    for reference in shape.element.iter(f"{{{_DIAGRAM}}}relIds"):
        part = shape.part.related_part(reference.get(_RELATION))
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        root = etree.fromstring(part.blob, parser)
        for point in root.iter(f"{{{_DIAGRAM}}}pt"):
            text = _one_line("".join(t.text or "" for t in point.iter(_TEXT)))
            if text:
                lines.append(f"- {text}")
    return lines


def _one_line(text: str) -> str:
    return " ".join(join_lines(text.splitlines()).split())
