"""Word documents (.docx): headings, paragraphs, lists and tables in the order of the body.

It reads the text as its author sees it with all changes accepted: no deleted
revisions, no hidden text, no table of contents. Page headers and footers, comments
and footnotes are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.ingest.formats.numbering import Numbering
from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.formats.text import heading_level
from assistant.ingest.parsed import Metadata, Outline, Parsed, group_items

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

_CONTAINERS = {f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "smartTag", "ins")}
_SKIPPED = {f"{_W}{name}" for name in ("pPr", "del", "moveFrom", "txbxContent", "rt", "rPr")} | {
    _FALLBACK
}
_CHARACTERS = {f"{_W}{tag}": c for tag, c in
               {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}.items()}  # fmt: skip
_HEADING_NAME = re.compile(r"(?:heading|标题|章标题)\s*([1-9])", re.IGNORECASE)
_TITLE_NAMES = {"title", "标题"}
_CONTENTS_NAME = re.compile(r"(?:toc|目录)\s*\d", re.IGNORECASE)
_TEMPLATE_TITLES = {"Word Document"}  # what python-docx reports when there is no title
_TITLE_LENGTH = 40
_MAX_SPAN = 100


@dataclass(frozen=True)
class _Style:
    """What matters of a paragraph style, its ancestors' included."""

    name: str = ""
    level: int | None = None
    number: tuple[str, int] | None = None


@dataclass(frozen=True)
class _Paragraph:
    text: str
    style: _Style
    label: str  # its number or bullet, which Word computes
    centred: bool
    bold: bool


def parse_word(path: Path) -> Parsed:
    """Return the blocks of a Word document under its headings.

    Where no style marks a heading, paragraphs that are numbered like headings serve.
    """
    import docx

    document = docx.Document(str(path))
    reader = _Reader(document)
    content = [
        item if isinstance(item, list) else reader.paragraph(item)
        for item in reader.items(document.element.body)
    ]
    outline = _outline(content)
    title = document.core_properties.title or ""
    if title in _TEMPLATE_TITLES:
        title = ""
    if not title:
        named = [p for p in content if isinstance(p, _Paragraph) and _is_title(p)]
        title = named[0].text if named else ""
    return Parsed(Metadata(title=title), outline.blocks())


def _outline(content: list[_Paragraph | list[Row]]) -> Outline:
    paragraphs = [item for item in content if isinstance(item, _Paragraph) and item.text]
    styled = any(paragraph.style.level for paragraph in paragraphs)
    outline = Outline()
    items: list[str] = []

    def flush() -> None:
        for group in group_items(items):
            outline.add(group)
        items.clear()

    for item in content:
        if isinstance(item, _Paragraph) and item.text:
            first = item is paragraphs[0]
            level = _level(item, first, styled)
            line = _labelled(item)
            if level is None and item.label:
                items.append(line)
                continue
            flush()
            if level is None:
                outline.add(line)
            else:
                outline.heading(level, line.replace("\n", " "))
        elif isinstance(item, list):
            flush()
            table = describe(item)
            for text in (*table.captions, *(line for _, line in table.lines)):
                outline.add(text)
    flush()
    return outline


def _level(paragraph: _Paragraph, first: bool, styled: bool) -> int | None:
    """Return a paragraph's heading level (0 for the title), None for ordinary text."""
    if paragraph.style.level is not None:
        return paragraph.style.level
    short = len(paragraph.text) <= _TITLE_LENGTH
    if _is_title(paragraph) or (first and paragraph.centred and short):
        return 0
    if styled:
        return None
    level = heading_level(_labelled(paragraph))
    return level if paragraph.bold or not _labelled(paragraph)[:1].isdigit() else None


def _is_title(paragraph: _Paragraph) -> bool:
    return bool(paragraph.text) and paragraph.style.name.lower() in _TITLE_NAMES


def _labelled(paragraph: _Paragraph) -> str:
    if not paragraph.label:
        return paragraph.text
    space = "" if paragraph.label[-1] in "、）】" else " "
    return f"{paragraph.label}{space}{paragraph.text}"


class _Reader:
    """Reads the elements of one document with its styles and its numbering."""

    def __init__(self, document: Any) -> None:
        self._styles = _styles(document.styles.element)
        self._numbering = Numbering(_numbering_root(document))

    def items(self, parent: Any) -> Iterator[Any]:
        """Yield the paragraph elements, and tables as lists of rows, in reading order."""
        for element in parent:
            if element.tag == f"{_W}p":
                name = self._style(element).name
                if not _CONTENTS_NAME.match(name):
                    yield element
                for box in element.iter(f"{_W}txbxContent"):
                    if not any(True for _ in box.iterancestors(_FALLBACK)):
                        yield from self.items(box)
            elif element.tag == f"{_W}tbl":
                yield list(self._rows(element))
            elif element.tag in _CONTAINERS:
                yield from self.items(element)

    def paragraph(self, element: Any) -> _Paragraph:
        style = self._style(element)
        properties = element.find(f"{_W}pPr")
        own = None if properties is None else _outline_level(properties)
        text = _text(element).strip()
        number = _number(properties) or style.number
        label = self._numbering.label(*number) if number and text else ""
        justified = "" if properties is None else _value(properties, "jc")
        runs = [run for run in element.iter(f"{_W}r") if run.findtext(f"{_W}t")]
        bold = bool(runs) and all(_is_on(run, "b") for run in runs)
        if own is not None:
            style = _Style(style.name, own, style.number)
        return _Paragraph(text, style, label, justified == "center", bold)

    def _style(self, element: Any) -> _Style:
        properties = element.find(f"{_W}pPr")
        name = "" if properties is None else _value(properties, "pStyle")
        return self._styles.get(name, _Style())

    def _rows(self, table: Any) -> Iterator[Row]:
        """Yield a table's rows; a merged cell's text stands in each cell it covers."""
        above: list[str] = []
        for number, row in enumerate(_inside(table, "tr"), 1):
            if row.find(f"{_W}trPr/{_W}del") is not None:
                continue
            cells: list[str] = []
            for cell in _inside(row, "tc"):
                span = cell.find(f"{_W}tcPr/{_W}gridSpan")
                merge = cell.find(f"{_W}tcPr/{_W}vMerge")
                continues = merge is not None and merge.get(f"{_W}val", "continue") == "continue"
                text = " ".join(filter(None, (_text(p).strip() for p in cell.iter(f"{_W}p"))))
                if continues and not text and len(cells) < len(above):
                    text = above[len(cells)]
                width = 1 if span is None else int(span.get(f"{_W}val", 1))
                cells += [text] * min(width, _MAX_SPAN)
            above = cells
            yield Row(number, cells)


def _text(paragraph: Any) -> str:
    from lxml import etree  # type: ignore[import-untyped]

    parts: list[str] = []
    walker = etree.iterwalk(paragraph, events=("start",))
    for _, element in walker:
        tag = element.tag
        if tag in _SKIPPED or (tag == f"{_W}r" and _is_on(element, "vanish")):
            walker.skip_subtree()
        elif tag in {f"{_W}t", _MATH_TEXT}:
            parts.append(element.text or "")
        elif tag in _CHARACTERS:
            parts.append(_CHARACTERS[tag])
    return "".join(parts)


def _inside(parent: Any, name: str) -> Iterator[Any]:
    """Yield the children of a name, those in content controls included."""
    for element in parent:
        if element.tag == f"{_W}{name}":
            yield element
        elif element.tag in _CONTAINERS:
            yield from _inside(element, name)


def _styles(root: Any) -> dict[str, _Style]:
    """Return style id → style, following what each is based on."""
    elements = {element.get(f"{_W}styleId", ""): element for element in root.iter(f"{_W}style")}

    def resolve(identity: str, depth: int) -> _Style:
        element = elements.get(identity)
        if element is None or depth > 20:
            return _Style()
        base = resolve(_value(element, "basedOn"), depth + 1)
        name = _value(element, "name")
        properties = element.find(f"{_W}pPr")
        named = _HEADING_NAME.fullmatch(name.strip())
        level = int(named[1]) if named else None
        if level is None and properties is not None:
            level = _outline_level(properties)
        number = _number(properties)
        return _Style(name, level if level is not None else base.level, number or base.number)

    return {identity: resolve(identity, 0) for identity in elements}


def _outline_level(properties: Any) -> int | None:
    value = _value(properties, "outlineLvl")
    return int(value) + 1 if value.isdecimal() and int(value) < 9 else None


def _number(properties: Any) -> tuple[str, int] | None:
    """Return the list a paragraph belongs to, and its level in it, from 0."""
    listed = None if properties is None else properties.find(f"{_W}numPr")
    if listed is None:
        return None
    level = _value(listed, "ilvl")
    return _value(listed, "numId"), int(level) if level.isdecimal() else 0


def _numbering_root(document: Any) -> Any:
    from docx.opc.constants import RELATIONSHIP_TYPE

    try:
        return document.part.part_related_by(RELATIONSHIP_TYPE.NUMBERING).element
    except KeyError:
        return None


def _value(parent: Any, name: str) -> str:
    child = parent.find(f"{_W}{name}")
    return "" if child is None else str(child.get(f"{_W}val", ""))


def _is_on(run: Any, name: str) -> bool:
    flag = run.find(f"{_W}rPr/{_W}{name}")
    return flag is not None and flag.get(f"{_W}val", "1") not in {"0", "false", "none"}
