"""The brief's Markdown, Word and PDF, and its charts."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import docx
import pypdfium2
import pytest
import sample_brief
from docx.oxml.ns import qn

from assistant.errors import ConfigurationError, StorageFullError, StoreError
from assistant.strategy.render import (
    chinese_font,
    draw,
    to_docx,
    to_markdown,
    to_pdf,
    write_brief,
)
from assistant.strategy.render.dots import fanned
from assistant.strategy.render.inline import runs, shares
from assistant.strategy.render.sheet import wrapped
from assistant.strategy.types import (
    Bar,
    Brief,
    Bullets,
    Chart,
    Dot,
    Heading,
    Line,
    PageBreak,
    Paragraph,
    SourceEntry,
    SourceList,
    Table,
)

LANGUAGES = ("zh", "en")
CHARTS = ("readiness", "matrix", "gantt", "costs", "risks")


@cache
def brief_in(language: Any) -> Brief:
    return sample_brief.sample_brief(language)


@cache
def pdf_in(language: Any) -> bytes:
    return to_pdf(brief_in(language))


@cache
def docx_in(language: Any) -> bytes:
    return to_docx(brief_in(language))


def pages_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def squeezed(text: str) -> str:
    """Return what all forms share: no spaces, joiners, escapes, nor hyphens at lines' ends."""
    return re.sub(r"[\s\u200b\u2060\ufffe\u0002\\-]", "", text)


def texts_of(brief: Brief) -> Iterator[str]:
    for block in brief.blocks:
        match block:
            case Heading() | Paragraph():
                yield block.text
            case Bullets():
                yield from block.items
            case Table():
                yield from (block.caption, *block.columns)
                for row in block.rows:
                    yield from row
            case Chart():
                yield block.caption
            case SourceList():
                for entry in block.entries:
                    yield from (f"[{entry.mark}]", entry.place, entry.quote)


def word_text(content: bytes) -> str:
    body = docx.Document(io.BytesIO(content)).element.body
    return "".join(element.text or "" for element in body.iter(qn("w:t")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_in_every_form(language: Any) -> None:
    brief = brief_in(language)
    names = {n: "c.png" for n, block in enumerate(brief.blocks) if isinstance(block, Chart)}
    # Page numbers and headers stand between the pages, within texts that run over.
    pages = "".join(
        re.sub(r"^.*\r?\n.*Ltd\.\r?\n|^.*\r?\n.*公司\r?\n", "", page, count=1) if n else page
        for n, page in enumerate(pages_of(pdf_in(language)))
    )
    pages = re.sub(r"第 ?\d+ ?页，共 ?\d+ ?页|Page \d+ of \d+", "", pages)
    forms = (to_markdown(brief, names), word_text(docx_in(language)), pages)
    for form in map(squeezed, forms):
        for text in texts_of(brief):
            assert squeezed(text) in form


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summary_is_the_first_page(language: Any) -> None:
    blocks = list(brief_in(language).blocks)
    after = next(n for n, block in enumerate(blocks) if isinstance(block, PageBreak))
    pages = [squeezed(page) for page in pages_of(pdf_in(language))]
    for text in texts_of(replace(brief_in(language), blocks=blocks[:after])):
        assert squeezed(text) in pages[0]
    heading = squeezed(blocks[after + 1].text)  # type: ignore[union-attr]
    header = squeezed(brief_in(language).title + brief_in(language).subtitle)
    assert pages[1].startswith(header + heading)
    assert all(pages)  # the last PageBreak adds no empty page


def test_a_long_summary_is_set_smaller() -> None:
    blocks = list(brief_in("en").blocks)
    after = next(n for n, block in enumerate(blocks) if isinstance(block, PageBreak))
    long = next(block for block in blocks if isinstance(block, Paragraph) and len(block.text) > 400)
    last = Paragraph("The end of the summary.")
    pages = pages_of(
        to_pdf(
            replace(brief_in("en"), blocks=[*blocks[:after], *[long] * 2, last, *blocks[after:]])
        )
    )
    assert last.text in pages[0]


@pytest.mark.parametrize("make", [to_docx, to_pdf])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_brief_gives_the_same_bytes(make: Any, language: Any) -> None:
    made = pdf_in(language) if make is to_pdf else docx_in(language)
    assert make(brief_in(language)) == made


def test_the_pdf_carries_its_font_and_its_outline() -> None:
    content = pdf_in("zh")
    document = pypdfium2.PdfDocument(content)
    titles = [item.get_title() for item in document.get_toc()]
    document.close()
    headings = [block.text for block in brief_in("zh").blocks if isinstance(block, Heading)]
    assert titles == headings
    assert len(content) < 1_500_000  # a subset of the font's ten megabytes
    assert b"/FontFile" in content
    names = set(re.findall(rb"/BaseFont\s*/([\w+-]+)", content))
    assert names and all(b"NotoSansSC" in name for name in names)


def test_marks_lead_to_their_entries() -> None:
    marks = {entry.mark for block in brief_in("zh").blocks if isinstance(block, SourceList)
             for entry in block.entries}  # fmt: skip
    body = docx.Document(io.BytesIO(docx_in("zh"))).element.body
    anchors = {link.get(qn("w:anchor")) for link in body.iter(qn("w:hyperlink"))}
    targets = [start.get(qn("w:name")) for start in body.iter(qn("w:bookmarkStart"))]
    assert anchors <= set(targets)
    assert sorted(targets) == sorted(f"source_{mark}" for mark in marks)
    assert b"/URI" not in pdf_in("zh")
    assert pdf_in("zh").count(b"/Subtype /Link") + pdf_in("zh").count(b"/Subtype/Link") > 50


def test_marks_that_name_nothing_stay_text() -> None:
    found = [(run.text, run.is_mark) for run in runs("a [1] b [9] c[A2].", {"1", "A2"})]
    assert found == [("a", False), ("1", True), (" b [9] c", False), ("A2", True), (".", False)]


def small(*blocks: Any) -> Brief:
    return Brief("T", "C", "2026-01-02", "en", blocks)


@pytest.mark.parametrize(
    "text",
    [
        sample_brief.HOSTILE,
        "#import \"/etc/passwd\": *", "= Heading", "\x00\x0b\ud800 control", "1. one", "- item",
        "\u202eabc", "😀", "", "   ", "\\", "a\nb", "]]>&amp;", "#" * 300,
    ],
)  # fmt: skip
def test_hostile_text_is_harmless(text: str) -> None:
    source = SourceList((SourceEntry("1", text, text), SourceEntry("1", text)))
    chart = Chart("gantt", text, text, text, (Bar(text, 1, 2, 0, text),), groups=(text,))
    blocks = (
        Heading(text), Paragraph(text + "[1]"), Bullets((text,)), Bullets(()),
        Table(text, (text, "b"), ((text, text),)), chart, source,
    )  # fmt: skip
    brief = replace(small(*blocks), title=text, subtitle=text, date=text)
    assert to_docx(brief) and to_pdf(brief)
    assert "\n# Heading" not in to_markdown(brief, {})


def test_markdown() -> None:
    brief = small(
        Heading("Part"),
        Heading("Section", 2),
        Paragraph("# no *heading* a|b snake_case [1] [7]"),
        Paragraph("Weak.", "finding"),
        Bullets(("one", "1. two"), numbered=True),
        Table("Costs", ("Item", "CNY"), (("a|b [1]", "5"),), (1, 1), (False, True)),
        Chart("risks", "Risks [x]"),
        SourceList((SourceEntry("1", "Paper", "quote <b>"),)),
    )
    assert to_markdown(brief, {6: "charts/a 1.png"}) == (
        "# T\n\nC · 2 January 2026\n\n## Part\n\n### Section\n\n"
        "\\# no \\*heading\\* a\\|b snake_case [1] \\[7\\]\n\n> Weak.\n\n"
        "1. one\n2. 1\\. two\n\n"
        "**Costs**\n\n| Item | CNY |\n| --- | ---: |\n| a\\|b [1] | 5 |\n\n"
        "![Risks \\[x\\]](<charts/a 1.png>)\n\n"
        "- [1] Paper\n  > quote \\<b\\>\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_document(language: Any) -> None:
    document = docx.Document(io.BytesIO(docx_in(language)))
    blocks = brief_in(language).blocks
    headings = [p for p in document.paragraphs if str(p.style.name).startswith("Heading")]
    expected = [(b.text, f"Heading {b.level}") for b in blocks if isinstance(b, Heading)]
    assert [(p.text, p.style.name) for p in headings] == expected
    alts = [element.get("descr") for element in document.element.body.iter(qn("wp:docPr"))]
    assert alts == [block.caption for block in blocks if isinstance(block, Chart)]
    for table in document.tables:
        head = table.rows[0]._tr.trPr
        assert head is not None and head.find(qn("w:tblHeader")) is not None
        assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in table.rows)
    assert [p.page_break_before for p in (h.paragraph_format for h in headings)].count(True) == 2
    lists = [p._p.pPr.numPr.numId.val for p in document.paragraphs if p.style.name == "List Number"]
    assert len(set(lists)) == 3  # each begins at 1


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("kind", CHARTS)
def test_charts_of_nothing_one_and_many(kind: Any, form: Any) -> None:
    empty = draw(Chart(kind, ""), "zh", form)
    for count in (1, 20):
        label = "很长的标签 with Latin words $x$ _a_ 😀" * 2
        bars = tuple(Bar(label, n, n + n % 4, n % 9, label) for n in range(count))
        dots = tuple(Dot(str(n), n % 5 + 1, 3, 0.5, n % 3, label) for n in range(count))
        series = tuple(Line(label, (n, 2.5e6 * n), (0, n), (n, 3e6 * n)) for n in range(count))
        chart = Chart(kind, "", "x", "y", bars, dots, series, ("甲", "乙", "丙"))
        drawn = draw(chart, "en", form)
        assert drawn == draw(chart, "en", form) != empty
        assert len(drawn) > len(empty)


def test_charts_are_drawn_by_many_threads() -> None:
    charts = [getattr(sample_brief, kind)(language) for kind in CHARTS for language in LANGUAGES]
    alone = [draw(chart, "zh", "svg") for chart in charts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda chart: draw(chart, "zh", "svg"), charts)) == alone
    assert all(b"<dc:date>" not in picture for picture in alone)


def test_dots_at_one_place_are_fanned_out() -> None:
    places = fanned([(1.0, 1.0)] * 9 + [(1.05, 1.0)], [0.1] * 10)
    for n, (x, y) in enumerate(places):
        assert all((x - a) ** 2 + (y - b) ** 2 > 0.2**2 for a, b in places[:n])
    assert fanned([(1, 2)], [0.1]) == [(1, 2)]
    within = fanned([(0.0, 0.0)] * 7, [0.1] * 7, (0, 0, 3, 3))
    assert all(0.09 < x < 2 and 0.09 < y < 2 for x, y in within)


def test_wrapping() -> None:
    assert wrapped("缺少原因分类，无法评价", 0.9) == "缺少原因分\n类，无法评价"
    assert wrapped("one two three four five six seven", 0.5, most=2).endswith("…")
    assert wrapped("", 1) == ""


def test_columns_hold_their_words() -> None:
    table = Table("", ("Feasibility", "b"), (("1", "word " * 90),), (1, 30))
    assert shares(table)[0] > 0.1
    assert sum(shares(table)) == pytest.approx(1)
    assert shares(Table("", ("a", "b"), ())) == (0.5, 0.5)


def test_the_rendering_packages_are_imported_when_used() -> None:
    code = (
        "import sys, assistant.strategy.render; "
        "sys.exit(bool({'matplotlib', 'typst', 'docx', 'zhplot'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("missing", ["matplotlib", "typst"])
def test_a_missing_package_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=r"strategy-assistant\[brief\]"):
        to_pdf(small(Chart("risks", "")))


def test_a_missing_font_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        chinese_font(tmp_path / "none.ttf")
    assert chinese_font(chinese_font()) == chinese_font()
    monkeypatch.setattr("assistant.strategy.render.font.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"strategy-assistant\[brief\]"):
        chinese_font()
    broken = tmp_path / "broken.ttf"
    broken.write_text("no font")
    with pytest.raises(ConfigurationError, match="no font that can be read"):
        to_pdf(small(), broken)


def test_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    brief = small(Chart("risks", "Risks", dots=(Dot("1", 2, 3),)))
    files = write_brief(brief, folder, "plan")
    names = [str(file.relative_to(folder)) for file in files]
    assert names == ["plan.md", "charts/plan-1.png", "plan.docx", "plan.pdf"]
    assert all(file.stat().st_size for file in files)
    assert "(<charts/plan-1.png>)" in files[0].read_text(encoding="utf-8")
    assert write_brief(brief, folder, "plan", ["pdf"]) == (folder / "plan.pdf",)
    assert sorted(p.name for p in folder.iterdir()) == [
        "charts",
        "plan.docx",
        "plan.md",
        "plan.pdf",
    ]


@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, StorageFullError), (errno.EACCES, StoreError)]
)
def test_a_failed_write_leaves_the_old_file(
    code: int, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.md").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("assistant.strategy.render.write.os.replace", fail)
    with pytest.raises(error):
        write_brief(small(), tmp_path, "plan", ("md",))
    assert (tmp_path / "plan.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["plan.md"]
