"""PDF: paragraphs, headings and tables from where words stand on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from assistant.errors import SourceError
from assistant.ingest.load import Block, parse


def canvas(path: Path, **options: Any) -> Canvas:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return Canvas(str(path), pagesize=(595, 842), **options)


def draw(
    page: Canvas, lines: list[str], top: float = 740, size: int = 10, left: float = 70
) -> None:
    for number, line in enumerate(lines):
        page.setFont("STSong-Light", size)
        page.drawString(left, top - 15 * number, line)


def test_pdf(tmp_path: Path) -> None:
    path = tmp_path / "policy.pdf"
    page = canvas(path)
    for number in (1, 2, 3):
        draw(page, ["澄川公司 内部资料"], top=815)
        draw(page, [f"第 {number} 页 共 3 页"], top=25, left=270)
        if number == 1:
            draw(page, ["信息安全管理制度"], top=775, size=20)
            draw(page, ["第一章 总则"], top=745, size=14)
            draw(
                page,
                [
                    "　　公司的信息系统应当集中保存运行日志，保存期限不少于一百八十天，查阅日",
                    "志须经信息技术部经理批准并登记，登记内容包括查阅人、查阅时间、查阅原因和",
                    "查阅范围。",
                    "1. 系统日志；",
                    "2. 安全日志。",
                    "　　最后一段写到页尾还没有写完，因此它的后半句只能放到下一页的开头，两部分",
                ],
                top=715,
            )
        if number == 2:
            draw(page, ["仍然是同一句话。", "第二页的另一段。"], top=740)
            for row, cells in enumerate([("级别", "时限"), ("重大", "30分钟"), ("一般", "1小时")]):
                for column, cell in enumerate(cells):
                    page.drawString(70 + 200 * column, 680 - 20 * row, cell)
        if number == 3:
            draw(page, ["第二章 附则"], top=740, size=14)
            page.setFont("Helvetica", 10)
            for row, line in enumerate(
                [
                    "This policy replaces the earlier one of 2024, and whoever keeps a copy of it,",
                    "on paper or not, destroys it. Questions go to the service desk, which ans-",
                    "wers them within one working day.",
                ]
            ):
                page.drawString(70, 700 - 15 * row, line)
        page.showPage()
    page.save()
    parsed = parse(path)
    assert parsed.metadata.title == "信息安全管理制度"
    general, end = ("信息安全管理制度", "第一章 总则"), ("信息安全管理制度", "第二章 附则")
    assert parsed.blocks == (
        Block(
            "公司的信息系统应当集中保存运行日志，保存期限不少于一百八十天，查阅日志须经信息技术部经理批准"
            "并登记，登记内容包括查阅人、查阅时间、查阅原因和查阅范围。",
            general,
            1,
        ),
        Block("1. 系统日志；", general, 1),
        Block("2. 安全日志。", general, 1),
        Block(
            "最后一段写到页尾还没有写完，因此它的后半句只能放到下一页的开头，两部分仍然是同一句话。",
            general,
            1,
        ),
        Block("第二页的另一段。", general, 2),
        Block("级别：重大；时限：30分钟", general, 2),
        Block("级别：一般；时限：1小时", general, 2),
        Block(
            "This policy replaces the earlier one of 2024, and whoever keeps a copy of it, on "
            "paper or not, destroys it. Questions go to the service desk, which answers them "
            "within one working day.",
            end,
            3,
        ),
    )


def test_a_table_goes_on_over_the_page(tmp_path: Path) -> None:
    path = tmp_path / "table.pdf"
    page = canvas(path)
    rows = [("编号", "名称", "数量"), *((f"P-{n}", f"零件{n}", str(n * 3)) for n in range(1, 41))]
    for first in (0, 20, 40):
        for place, row in enumerate(rows[first : first + 20]):
            page.setFont("STSong-Light", 10)
            for column, cell in enumerate(row):
                page.drawString(70 + 150 * column, 800 - 36 * place, cell)
        page.showPage()
    page.save()
    blocks = parse(path).blocks
    assert [block.text for block in blocks] == [
        f"编号：P-{n}；名称：零件{n}；数量：{n * 3}" for n in range(1, 41)
    ]
    assert [block.page for block in blocks] == [1] * 19 + [2] * 20 + [3]


def test_wrapped_cells_belong_to_their_row(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.pdf"
    page = canvas(path)
    page.setFont("Helvetica", 10)
    for bottom, cells in [
        (700, {70: "Item", 200: "Note", 400: "Count"}),
        (670, {70: "Pump", 200: "a note that goes on", 400: "3"}),
        (658, {200: "in a second line"}),
        (630, {70: "Valve", 200: "short", 400: "4"}),
    ]:
        for left, cell in cells.items():
            page.drawString(left, bottom, cell)
    page.save()
    assert [block.text for block in parse(path).blocks] == [
        "Item: Pump; Note: a note that goes on in a second line; Count: 3",
        "Item: Valve; Note: short; Count: 4",
    ]


def test_a_table_of_contents_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "contents.pdf"
    page = canvas(path)
    draw(page, ["1.1 适用范围 ........................ 3", "1.2 职责 ........................ 12"])
    draw(page, ["这一页只有目录和这一句话。"], top=600)
    page.save()
    assert [block.text for block in parse(path).blocks] == ["这一页只有目录和这一句话。"]


def test_pdf_headings_come_from_its_bookmarks(tmp_path: Path) -> None:
    path = tmp_path / "marks.pdf"
    page = canvas(path)
    page.setTitle("手册")
    for number, name in enumerate(["安装", "维护"]):
        draw(page, [name, "这一章讲的内容。"])
        page.bookmarkPage(name)
        page.addOutlineEntry(name, name, level=number)
        page.showPage()
    page.save()
    parsed = parse(path)
    assert parsed.metadata.title == "手册"
    assert [(b.text, b.heading) for b in parsed.blocks] == [
        ("这一章讲的内容。", ("安装",)),
        ("这一章讲的内容。", ("安装", "维护")),
    ]


def test_an_encrypted_pdf_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "locked.pdf"
    page = canvas(path, encrypt=StandardEncryption("secret", canPrint=0))
    draw(page, ["秘密"])
    page.save()
    with pytest.raises(SourceError, match=r"encrypted\. Remove the password and ingest it again"):
        parse(path)


def test_a_scan_names_ocr(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    page = canvas(path)
    page.rect(100, 100, 300, 300, fill=1)
    page.save()
    with pytest.raises(SourceError, match="OCR"):
        parse(path)
