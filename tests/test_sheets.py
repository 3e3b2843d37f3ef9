"""Rows of tables, CSV files and workbooks, as sentences that can be quoted alone."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import numbers

from assistant.errors import SourceError
from assistant.ingest.formats.sheets import show
from assistant.ingest.formats.tables import Row, describe
from assistant.ingest.load import Block, Metadata, Parsed, parse

Write = Callable[..., Parsed]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a text under a name and parse it."""

    def write_and_parse(name: str, text: str | bytes) -> Parsed:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return parse(path)

    return write_and_parse


def texts(parsed: Parsed) -> list[str]:
    return [block.text for block in parsed.blocks]


@pytest.mark.parametrize(
    ("rows", "captions", "lines"),
    [
        (["Name|Role", "Ann|Head"], [], ["Name: Ann; Role: Head"]),
        (["部门|2025|2026", "销售|1|2"], [], ["部门：销售；2025：1；2026：2"]),
        (["1|2", "3|4"], [], ["1: 2", "3: 4"]),
        (["名称|澄川", "人数|418", "地址|苏州"], [], ["名称：澄川", "人数：418", "地址：苏州"]),
        (["项目|内容", "密级|内部", "部门|财务"], [], ["密级：内部", "部门：财务"]),
        (["部门|人数", "销售|41", "财务|12"], [], ["部门：销售；人数：41", "部门：财务；人数：12"]),
        (
            ["预算表||", "单位：万元||", "科目|预算|备注", "算力|62|"],
            ["预算表", "单位：万元"],
            ["科目：算力；预算：62；单位：万元"],
        ),
        (["科目|一季度|二季度", "合计|合计|合计"], [], ["合计"]),
        (["||", "a|b|c", " | ", "1|2|3|4"], [], ["a: 1; b: 2; c: 3; 4"]),
        (["Only", "x", "y"], [], ["Only: x", "Only: y"]),
        (["A|B"], [], ["A: B"]),
        ([], [], []),
    ],
)
def test_describe(rows: list[str], captions: list[str], lines: list[str]) -> None:
    table = describe(Row(n, row.split("|")) for n, row in enumerate(rows, 1))
    assert list(table.captions) == captions
    assert [line for _, line in table.lines] == lines


def test_csv(write: Write) -> None:
    parsed = write(
        "t.csv",
        '月份,工单,备注\r\n2026-01,1245,"春节, 放假"\r\n\r\n2026-02,1015,\r\n'.encode("gb18030"),
    )
    assert parsed.blocks == (
        Block("月份：2026-01；工单：1245；备注：春节, 放假", (), 2, "row"),
        Block("月份：2026-02；工单：1015", (), 4, "row"),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "Name;Amount\nPump, big;1,5\nValve;2,5\n"),
        ("a.csv", "sep=;\nName;Amount\nPump, big;1,5\nValve;2,5\n"),
        ("a.csv", "Name|Amount\nPump, big|1,5\nValve|2,5\n"),
        ("a.tsv", "Name\tAmount\nPump, big\t1,5\nValve\t2,5\n"),
    ],
)
def test_delimiters(name: str, text: str, write: Write) -> None:
    assert texts(write(name, text)) == [
        "Name: Pump, big; Amount: 1,5",
        "Name: Valve; Amount: 2,5",
    ]


def test_too_many_rows(write: Write) -> None:
    with pytest.raises(SourceError, match=r"100,000 rows.*Export"):
        write("big.csv", "a,b\n" + "1,2\n" * 100_001)


def save_workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.properties.title = "资产清单"
    sheet = book.active
    sheet.title = "GPU"
    sheet.append(["GPU资产清单（2026年10月）"])
    sheet.merge_cells("A1:D1")
    sheet.append([])
    sheet.append(["型号", "数量", "利用率", "购入日期"])
    sheet.append(["L20", 4, 0.155, datetime.date(2025, 6, 1)])
    sheet.append(["A10", 2.0, 1 / 3, datetime.datetime(2022, 11, 3, 8, 30)])
    for row in (4, 5):
        sheet.cell(row, 3).number_format = "0.0%"
    sheet.append(["T4", "停用", None, None])
    sheet.append([None, 1, None, None])
    sheet.merge_cells("A6:A7")
    hidden = book.create_sheet("隐藏")
    hidden.append(["密", "薪酬"])
    hidden.sheet_state = "hidden"
    grouped = book.create_sheet("产量")
    grouped.append(["车间", "2025年", None, "2026年", None])
    grouped.append([None, "泵", "阀", "泵", "阀"])
    grouped.append(["一号", 1, 2, 3, 4])
    for area in ("A1:A2", "B1:C1", "D1:E1"):
        grouped.merge_cells(area)
    book.save(path)


def test_workbook(tmp_path: Path) -> None:
    path = tmp_path / "assets.xlsx"
    save_workbook(path)
    parsed = parse(path)
    assert parsed.metadata == Metadata("资产清单")
    heading = ("GPU", "GPU资产清单（2026年10月）")
    assert parsed.blocks == (
        Block("型号：L20；数量：4；利用率：15.5%；购入日期：2025-06-01", heading, 4, "row"),
        Block("型号：A10；数量：2；利用率：33.3%；购入日期：2022-11-03 08:30", heading, 5, "row"),
        Block("型号：T4；数量：停用", heading, 6, "row"),
        Block("型号：T4；数量：1", heading, 7, "row"),
        Block(
            "车间：一号；2025年 泵：1；2025年 阀：2；2026年 泵：3；2026年 阀：4",
            ("产量",),
            3,
            "row",
        ),
    )


class Cell:
    data_type = "n"

    def __init__(self, number_format: str) -> None:
        self.number_format = number_format


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (0.15, "0%", "15%"),
        (0.125, "0%", "13%"),  # as a sheet rounds, not as a processor does
        (0.1 + 0.2, "General", "0.3"),
        (1234567.891, numbers.FORMAT_NUMBER_COMMA_SEPARATED1, "1234567.89"),
        (12, '0"台"', "12台"),
        (5, "[$¥-804]#,##0.00", "¥5.00"),
        (1500000, '0.0,,"M"', "1500000"),
        (4.0, "General", "4"),
        (1e15, "General", "1000000000000000"),
        (-3.5, "0.00_);[Red](0.00)", "-3.50"),
        (True, "General", "TRUE"),
        (datetime.time(9, 30), "h:mm", "09:30"),
        (datetime.timedelta(hours=30), "[h]:mm", "1 day, 6:00:00"),
        ("  text ", "@", "text"),
        (None, "General", ""),
    ],
)
def test_values_are_shown_as_the_sheet_shows_them(
    value: Any, number_format: str, shown: str
) -> None:
    assert show(value, Cell(number_format)) == shown


def test_a_sheet_that_claims_to_be_huge_is_read_by_its_content(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.active.append([1, 2])
    book.active["B1048576"] = 9
    path = tmp_path / "wide.xlsx"
    book.save(path)
    assert [(b.text, b.page) for b in parse(path).blocks] == [("a: 1; b: 2", 2), ("b: 9", 1048576)]
