"""The brief as a Word document in the product's dress (`assistant.word`)."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.strategy.render.charts import draw
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
from assistant.types import Language
from assistant.word import blank_document, saved

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table as WordTable
    from docx.text.paragraph import Paragraph as WordParagraph

_LINE_CM = 16.0
_STYLES = {"body": "Normal", "lead": "Lead", "note": "Note", "finding": "Finding"}


def to_docx(brief: Brief, font: Path | None = None) -> bytes:
    """Return a brief as a Word document; the same brief gives the same bytes.

    Args:
        brief: the document.
        font: the file of the charts' font; the extra's when None.

    Raises:
        ConfigurationError: matplotlib or its font is not installed.
    """
    title = clean(brief.title)
    document = blank_document(title, moment(brief), brief.language)
    document.add_paragraph(title, "Title")
    dated = written_date(brief.date, brief.language)
    document.add_paragraph(f"{clean(brief.subtitle)} · {dated}", "Subtitle")
    writer = _Writer(document, brief.language, font, known_marks(brief))
    for block in brief.blocks:
        writer.add(block)
    return saved(document)


@dataclass
class _Writer:
    """Adds blocks to a document; a page break waits for the paragraph that it stands before."""

    document: Document
    language: Language
    font: Path | None
    known: frozenset[str]
    breaks: bool = False
    anchored: set[str] = field(default_factory=set)

    def add(self, block: Block) -> None:
        """Add a block."""
        match block:
            case Heading():
                self._add_runs(self._paragraph(f"Heading {block.level}"), block.text)
            case Paragraph():
                self._add_runs(self._paragraph(_STYLES[block.role]), block.text)
            case Bullets():
                self._add_bullets(block)
            case Table():
                self._add_table(block)
            case Chart():
                self._add_chart(block)
            case SourceList():
                self._add_sources(block)
            case PageBreak():
                self.breaks = True

    def _paragraph(self, style: str) -> WordParagraph:
        from docx.shared import Pt

        paragraph = self.document.add_paragraph(style=style)
        if self.breaks:  # of the paragraph itself: a break of its own could leave an empty page
            paragraph.paragraph_format.page_break_before = True
            paragraph.paragraph_format.space_before = Pt(0)
            self.breaks = False
        return paragraph

    def _add_runs(self, paragraph: WordParagraph, text: str) -> None:
        for run in runs(text, self.known):
            if run.is_mark:
                _add_mark(paragraph, run.text)
            else:
                paragraph.add_run(run.text)

    def _add_bullets(self, block: Bullets) -> None:
        style = "List Number" if block.numbered else "List Bullet"
        number = _new_numbering(self.document) if block.numbered and block.items else None
        for item in block.items:
            paragraph = self._paragraph(style)
            if number is not None:
                properties: Any = paragraph._p.get_or_add_pPr()
                listed = properties.get_or_add_numPr()
                listed.get_or_add_ilvl().val = 0
                listed.get_or_add_numId().val = number
            self._add_runs(paragraph, item)

    def _add_table(self, block: Table) -> None:
        caption = self._paragraph("Caption")
        caption.paragraph_format.keep_with_next = True
        caption.add_run(clean(block.caption))
        table = self.document.add_table(1 + len(block.rows), len(block.columns), "Ruled")
        _lay_out(table, shares(block))
        right = numeric(block)
        for n, (row, texts) in enumerate(
            zip(table.rows, (block.columns, *block.rows), strict=True)
        ):
            for cell, text, is_numeric in zip(row.cells, texts, right, strict=True):
                paragraph = cell.paragraphs[0]
                paragraph.style = "Cell" if n else "Cell Head"
                _align(paragraph, is_numeric)
                self._add_runs(paragraph, text)
        self.document.add_paragraph(style="Cell")  # tables that touch would be joined into one

    def _add_chart(self, block: Chart) -> None:
        from docx.shared import Cm

        picture = io.BytesIO(draw(block, self.language, "png", self.font))
        shape = self._paragraph("Chart").add_run().add_picture(picture, width=Cm(_LINE_CM))
        caption = clean(block.caption)
        shape._inline.docPr.set("descr", caption)
        self.document.add_paragraph(caption, "Caption")

    def _add_sources(self, block: SourceList) -> None:
        for entry in block.entries:
            paragraph = self._paragraph("Source")
            if entry.mark not in self.anchored:
                self.anchored.add(entry.mark)
                _add_bookmark(paragraph, entry.mark, len(self.anchored))
            paragraph.add_run(f"[{entry.mark}]\t{clean(entry.place)}")
            quote = clean(entry.quote)
            paragraph.paragraph_format.keep_with_next = bool(quote)
            if quote:
                self.document.add_paragraph(quote, "Quotation")


def _align(paragraph: WordParagraph, is_numeric: bool) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    if is_numeric:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def _lay_out(table: WordTable, widths: tuple[float, ...]) -> None:
    """Give a table its columns, a head that repeats, and rows that stay whole."""
    from docx.oxml import OxmlElement
    from docx.shared import Cm

    table.autofit = False
    for column, share in zip(table.columns, widths, strict=True):
        column.width = Cm(_LINE_CM * share)
    for number, row in enumerate(table.rows):
        for cell, share in zip(row.cells, widths, strict=True):
            cell.width = Cm(_LINE_CM * share)
        properties: Any = row._tr.get_or_add_trPr()
        properties.append(OxmlElement("w:cantSplit"))
        if number == 0:
            properties.append(OxmlElement("w:tblHeader"))


def _new_numbering(document: Document) -> int:
    """Return a numbering that begins at 1; lists of one style would go on from each other."""
    numbering: Any = document.part.numbering_part.element
    style: Any = document.styles["List Number"]
    of_style = style.element.pPr.numPr.numId.val
    kind = numbering.num_having_numId(of_style).abstractNumId.val
    number = numbering.add_num(kind)
    number.add_lvlOverride(ilvl=0).add_startOverride(1)
    return int(number.numId)


def _add_mark(paragraph: WordParagraph, mark: str) -> None:
    """Add a raised mark that leads to its entry in the list of sources."""
    link = _element("w:hyperlink", anchor=_anchor(mark), history="1")
    link.append(paragraph.add_run(f"[{mark}]", "Mark")._r)
    paragraph._p.append(link)


def _add_bookmark(paragraph: WordParagraph, mark: str, number: int) -> None:
    paragraph._p.append(_element("w:bookmarkStart", id=str(number), name=_anchor(mark)))
    paragraph._p.append(_element("w:bookmarkEnd", id=str(number)))


def _anchor(mark: str) -> str:
    return f"source_{mark}"


def _element(tag: str, **attributes: str) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element: Any = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    return element
