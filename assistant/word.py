"""How an exported Word document looks: page, fonts, styles, page numbers. It knows no content."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from assistant.types import Language

if TYPE_CHECKING:
    from docx.document import Document
    from docx.styles.style import ParagraphStyle
    from docx.text.paragraph import Paragraph

_LATIN_FONT, _CHINESE_FONT = "Arial", "Microsoft YaHei"
_INK, _FAINT, _ACCENT = "1F2933", "5F6B7A", "2457D6"
_PAGE = {"zh": ("第 ", " 页，共 ", " 页"), "en": ("Page ", " of ", "")}

# Name: based on, size in points, colour, bold, space before and after in points.
_STYLES: dict[str, tuple[str, float, str, bool, float, float]] = {
    "Normal": ("", 10.5, _INK, False, 0, 6),
    "Title": ("Normal", 20, _INK, True, 0, 4),
    "Subtitle": ("Normal", 10, _FAINT, False, 0, 12),
    "Heading 1": ("Normal", 13, _INK, True, 22, 2),
    "Heading 2": ("Normal", 11.5, _INK, True, 14, 3),
    "List Bullet": ("Normal", 10.5, _INK, False, 0, 3),
    "List Number": ("Normal", 10.5, _INK, False, 0, 3),
    "Caption": ("Normal", 9.5, _FAINT, True, 6, 4),
    "Lead": ("Normal", 11.5, _INK, True, 0, 8),
    "Finding": ("Normal", 10.5, _INK, False, 6, 10),
    "Note": ("Normal", 9, _FAINT, False, 0, 8),
    "Chart": ("Normal", 10.5, _INK, False, 10, 0),
    "Cell": ("Normal", 9, _INK, False, 2, 2),
    "Cell Head": ("Cell", 9, _INK, True, 2, 2),
    "Footer": ("Normal", 9, _FAINT, False, 0, 0),
    "Meta": ("Normal", 9, _FAINT, False, 0, 8),
    "Question": ("Normal", 10.5, _FAINT, False, 0, 6),
    "Sources": ("Normal", 9, _FAINT, True, 8, 3),
    "Source": ("Normal", 9, _INK, False, 2, 2),
    "Quotation": ("Normal", 9, _FAINT, False, 0, 6),
}
_WITH_NEXT = ("Title", "Heading 1", "Heading 2", "Meta", "Sources", "Source", "Chart")
_DENSE = ("Cell", "Cell Head", "Chart")
_RULE, _PALE = "D5DCE5", "F1F5FB"
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def blank_document(title: str, moment: datetime, language: Language) -> Document:
    """Return an empty A4 document in the product's dress, with page numbers.

    Beside Word's own ``Title``, ``Subtitle``, ``Heading 1`` and ``2``, ``List Bullet``, ``List
    Number`` and ``Caption`` it has the paragraph styles ``Meta``, ``Question``, ``Sources``,
    ``Source`` and ``Quotation`` of a conversation, ``Lead``, ``Finding``, ``Note``, ``Chart``,
    ``Cell`` and ``Cell Head`` of a brief, the character style ``Mark`` and the table style
    ``Ruled``.
    """
    from docx import Document as new_document
    from docx.shared import Cm

    document = new_document()
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.5)
    section.top_margin = section.bottom_margin = Cm(2.4)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title[:255], "", ""
    properties.language = "zh-CN" if language == "zh" else "en-GB"
    properties.created = properties.modified = moment.astimezone(UTC).replace(tzinfo=None)
    _set_styles(document, language)
    _number_pages(section.footer.paragraphs[0], _PAGE[language])
    return document


def saved(document: Document) -> bytes:
    """Return a document's file, without the time at which it was written."""
    written, undated = io.BytesIO(), io.BytesIO()
    document.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(undated, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, _EARLIEST)
            target.writestr(entry, source.read(name), zipfile.ZIP_DEFLATED)
    return undated.getvalue()


def _set_styles(document: Document, language: Language) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.shared import Cm, RGBColor

    defaults = document.styles.element.find(_tag("w:docDefaults"))
    assert defaults is not None
    for element in defaults.iter(_tag("w:rPr")):
        _set_fonts(element)
        for lang in element.iter(_tag("w:lang")):
            lang.set(_tag("w:val"), "en-GB")
            lang.set(_tag("w:eastAsia"), "zh-CN")
    for name in _STYLES:
        usual = 1.45 if language == "zh" else 1.25
        _set_style(document, name, 1.1 if name in _DENSE else usual)
    styles: Any = document.styles
    styles["Source"].paragraph_format.left_indent = Cm(0.9)
    styles["Source"].paragraph_format.first_line_indent = Cm(-0.9)
    styles["Source"].paragraph_format.tab_stops.add_tab_stop(Cm(0.9))
    styles["Quotation"].paragraph_format.left_indent = Cm(0.9)
    styles["Finding"].paragraph_format.left_indent = Cm(0.4)
    _add_line(styles["Finding"], "left", _ACCENT, space=8)
    _add_line(styles["Quotation"], "left", "C9D2DE", space=8)
    _add_line(styles["Subtitle"], "bottom", "C9D2DE", space=8)
    mark = styles.add_style("Mark", WD_STYLE_TYPE.CHARACTER)
    mark.font.color.rgb = RGBColor.from_string(_ACCENT)
    mark.font.superscript = True
    _add_ruled_tables(styles)


def _set_style(document: Document, name: str, line_spacing: float) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.shared import Pt, RGBColor

    based_on, size, colour, bold, before, after = _STYLES[name]
    styles: Any = document.styles
    if name not in styles:
        styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style: Any = styles[name]
    for kind in ("w:rPr", "w:pBdr"):  # the template's own fonts, colours and lines
        for element in list(style.element.iter(_tag(kind))):
            element.getparent().remove(element)
    if based_on:
        style.base_style = styles[based_on]
    style.font.size, style.font.bold = Pt(size), bold
    style.font.color.rgb = RGBColor.from_string(colour)
    _set_fonts(style.element.get_or_add_rPr())
    layout = style.paragraph_format
    layout.space_before, layout.space_after = Pt(before), Pt(after)
    layout.line_spacing = line_spacing
    layout.keep_with_next = name in _WITH_NEXT
    layout.widow_control = True


def _add_ruled_tables(styles: Any) -> None:
    """Add the table style: a line under each row, the head on a pale ground."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    style = styles.add_style("Ruled", WD_STYLE_TYPE.TABLE)
    lines = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="{_RULE}"/>'
        for side in ("bottom", "insideH")
    )
    margins = "".join(f'<w:{side} w:w="85" w:type="dxa"/>' for side in ("left", "right"))
    style.element.append(
        parse_xml(
            f"<w:tblPr {nsdecls('w')}><w:tblBorders>{lines}</w:tblBorders>"
            f"<w:tblCellMar>{margins}</w:tblCellMar></w:tblPr>"
        )
    )
    style.element.append(
        parse_xml(
            f'<w:tblStylePr {nsdecls("w")} w:type="firstRow"><w:tcPr><w:tcBorders>'
            f'<w:bottom w:val="single" w:sz="8" w:space="0" w:color="{_FAINT}"/></w:tcBorders>'
            f'<w:shd w:val="clear" w:color="auto" w:fill="{_PALE}"/></w:tcPr></w:tblStylePr>'
        )
    )


def _set_fonts(properties: Any) -> None:
    """Name a font for each script; a theme's fonts would go before them."""
    from docx.oxml import OxmlElement

    fonts = properties.find(_tag("w:rFonts"))
    if fonts is None:
        fonts = OxmlElement("w:rFonts")
        properties.insert(0, fonts)
    fonts.attrib.clear()
    for script in ("ascii", "hAnsi", "cs"):
        fonts.set(_tag(f"w:{script}"), _LATIN_FONT)
    fonts.set(_tag("w:eastAsia"), _CHINESE_FONT)


def _add_line(style: ParagraphStyle, side: str, colour: str, *, space: int) -> None:
    from docx.oxml import OxmlElement

    line = OxmlElement(f"w:{side}")
    for name, value in (("val", "single"), ("sz", "8"), ("space", str(space)), ("color", colour)):
        line.set(_tag(f"w:{name}"), value)
    borders = OxmlElement("w:pBdr")
    borders.append(line)
    # The schema's order: borders stand before all that python-docx has set here but `keepNext`.
    layout: Any = style.element.get_or_add_pPr()
    layout.insert_element_before(
        borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:contextualSpacing", "w:jc"
    )


def _number_pages(paragraph: Paragraph, words: tuple[str, str, str]) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    before, between, after = words
    paragraph.add_run(before)
    _add_field(paragraph, "PAGE")
    paragraph.add_run(between)
    _add_field(paragraph, "NUMPAGES")
    if after:
        paragraph.add_run(after)


def _add_field(paragraph: Paragraph, instruction: str) -> None:
    from docx.oxml import OxmlElement

    field: Any = OxmlElement("w:fldSimple")
    field.set(_tag("w:instr"), instruction)
    run = paragraph.add_run("1")._r
    field.append(run)
    paragraph._p.append(field)


def _tag(name: str) -> str:
    from docx.oxml.ns import qn

    return str(qn(name))
