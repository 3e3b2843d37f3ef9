"""PDF through pypdfium2: the text layer of each page as lines with their place and size.

What the lines are (paragraphs, headings, tables) `layout` decides. There is no OCR:
a scan is an error that names the remedy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from assistant.errors import SourceError
from assistant.ingest.formats.layout import read_pages
from assistant.ingest.formats.page import Bookmark, Cell, Line, Page
from assistant.ingest.formats.text import is_marker
from assistant.ingest.parsed import Metadata, Parsed
from assistant.text import is_cjk

_PDFIUM = threading.Lock()  # the library is not thread-safe
# Gaps between characters, in heights of the line.
_CELL_GAP = 0.95  # wider than a space between words: two cells of a table
_JUSTIFIED_GAP = 2.5  # the same where a space is drawn, which justified text stretches
_TIGHT = 0.15  # narrower than a space: none between Chinese characters
_UNTITLED = re.compile(
    r"(?:microsoft \w+ - |untitled|\(?anonymous|无标题|未命名|document\d*$|文档\s?\d*$)"
    r"|.*\.(?:docx?|xlsx?|pptx?|pdf|indd|wps|tex|html?)$",
    re.IGNORECASE,
)
_NO_TEXT = (
    "It holds no text that can be read: the pages are images or their fonts carry no "
    "characters. Run OCR on it (for example `ocrmypdf in.pdf out.pdf`) and ingest the result."
)


def parse_pdf(path: Path) -> Parsed:
    """Return the paragraphs of a PDF with their page, under the headings its type sizes show.

    Raises:
        SourceError: the file is encrypted or damaged, or has no text layer.
    """
    with _PDFIUM:
        document = _open(path)
        try:
            pages = [_page(document, index) for index in range(len(document))]
            bookmarks = list(_bookmarks(document))
            said = document.get_metadata_value("Title").strip()
        finally:
            document.close()
    _require_text(pages)
    title, blocks = read_pages(pages, bookmarks)
    return Parsed(Metadata(title=title if not said or _UNTITLED.match(said) else said), blocks)


def _open(path: Path) -> Any:
    import pypdfium2
    from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY}:
            raise SourceError(
                "The PDF is encrypted. Remove the password and ingest it again."
            ) from error
        raise SourceError(
            "The PDF is damaged. Open it in a viewer, print or export it to a new PDF, "
            "and ingest that."
        ) from error


def _page(document: Any, index: int) -> Page:
    page = document[index]
    text = page.get_textpage()
    try:
        return Page(index + 1, page.get_height(), tuple(_whole_lines(_lines(text))))
    finally:
        text.close()
        page.close()


@dataclass(frozen=True)
class _Character:
    text: str
    left: float
    bottom: float
    right: float
    top: float
    is_drawn: bool  # False for a space that only a gap stands for

    def is_below(self, last: _Character) -> bool:
        return (
            self.text != " " and self.right < last.left and self.top < (last.top + last.bottom) / 2
        )


def _lines(textpage: Any) -> Iterator[Line]:
    """Yield the lines of a page as the file orders them, wide gaps parting their cells."""
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    characters: list[_Character] = []
    inked: _Character | None = None
    for index in range(textpage.count_chars()):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if code in (0x0A, 0x0D):
            if characters:
                yield _line(characters)
            characters, inked = [], None
        elif code and pdfium.FPDFText_GetLooseCharBox(textpage, index, box):
            drawn = code != 0x20 or pdfium.FPDFText_IsGenerated(textpage, index) == 0
            place = (box.left, box.bottom, box.right, box.top)
            character = _Character(chr(code), *place, drawn)
            if inked and character.is_below(inked):
                yield _line(characters)  # after a hyphen pdfium reports no line end
                characters = []
            characters.append(character)
            inked = character if code != 0x20 else inked
    if characters:
        yield _line(characters)


def _line(characters: list[_Character]) -> Line:
    inked = [c for c in characters if not c.text.isspace()] or characters
    size = median(c.top - c.bottom for c in inked)
    cells: list[Cell] = []
    text, left, right = "", inked[0].left, inked[0].left
    space: _Character | None = None
    for character in characters:
        if character.text.isspace():
            space = character
            continue
        gap = (character.left - right) / size if size else 0.0
        wide = _JUSTIFIED_GAP if space and space.is_drawn else _CELL_GAP
        if text and gap > wide and (cells or not is_marker(text)):
            cells.append(Cell(left, right, _repair(text)))
            text, left = "", character.left
        elif text and space:
            chinese = is_cjk(text[-1]) and is_cjk(character.text)
            text += "" if chinese and gap < _TIGHT and not space.is_drawn else " "
        right = max(right, character.right) if text else character.right
        text += character.text
        space = None
    cells.append(Cell(left, right, _repair(text)))
    bottom = median(c.bottom for c in inked)
    return Line(tuple(cell for cell in cells if cell.text), bottom, size)


def _whole_lines(lines: Iterable[Line]) -> list[Line]:
    """Join the pieces of lines that pdfium parts at wide gaps."""
    whole: list[Line] = []
    for line in lines:
        last = whole[-1] if whole else None
        if not line.cells:
            continue
        if (
            last is not None
            and last.is_like(line)
            and abs(last.bottom - line.bottom) < 0.4 * line.size
            and line.left > last.right + _TIGHT * line.size
        ):
            whole[-1] = Line(last.cells + line.cells, last.bottom, last.size)
        else:
            whole.append(line)
    return whole


def _repair(text: str) -> str:
    """Join surrogate pairs, and characters that were spaced out one by one."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip()
    parts = text.split(" ")
    if len(parts) > 3 and all(len(part) == 1 for part in parts):
        return "".join(parts)
    return text


def _bookmarks(document: Any) -> Iterator[Bookmark]:
    for entry in document.get_toc():
        target = entry.get_dest()
        index = target.get_index() if target else None
        title = "".join(entry.get_title().split())
        if title and index is not None:
            yield Bookmark(entry.level + 1, title, index + 1)


def _require_text(pages: list[Page]) -> None:
    text = "".join(cell.text for page in pages for line in page.lines for cell in line.cells)
    readable = sum(character.isalnum() for character in text)
    broken = sum(c == "\ufffd" or "\ue000" <= c <= "\uf8ff" for c in text)
    if readable < 2 * len(pages) or broken > readable:
        raise SourceError(_NO_TEXT)
