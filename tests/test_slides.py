"""Presentations, from files that python-pptx writes."""

from __future__ import annotations

from pathlib import Path

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from assistant.ingest.load import Block, parse


def test_slides(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    opening = deck.slides.add_slide(deck.slide_layouts[0])
    opening.shapes.title.text = "试点\v计划"
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "为什么"
    body = slide.placeholders[1].text_frame
    body.text = "工单多"
    detail = body.add_paragraph()
    detail.text, detail.level = "月均1,290件", 1
    slide.notes_slide.notes_text_frame.text = "讲两分钟。"
    data = deck.slides.add_slide(deck.slide_layouts[5])
    data.shapes.title.text = "Data"
    right = data.shapes.add_textbox(Inches(5), Inches(2), Inches(2), Inches(1))
    right.text_frame.text = "right"
    left = data.shapes.add_textbox(Inches(1), Inches(2), Inches(2), Inches(1))
    left.text_frame.text = "left"
    table = data.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
    for row, values in enumerate([("Type", "Count"), ("Pump", "12")]):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    chart = CategoryChartData()
    chart.categories = ["Q1", "Q2"]
    chart.add_series("Orders", (3, 4.5))
    data.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(5), Inches(4), Inches(2), chart
    )
    hidden = deck.slides.add_slide(deck.slide_layouts[5])
    hidden.shapes.title.text = "备用"
    hidden.element.set("show", "0")
    path = tmp_path / "deck.pptx"
    deck.save(str(path))
    parsed = parse(path)
    assert parsed.blocks == (
        Block("试点计划", (), 1, "slide"),
        Block("- 工单多\n  - 月均1,290件", ("为什么",), 2, "slide"),
        Block("讲两分钟。", ("为什么", "备注"), 2, "slide"),
        Block("left", ("Data",), 3, "slide"),
        Block("right", ("Data",), 3, "slide"),
        Block("Type: Pump; Count: 12", ("Data",), 3, "slide"),
        Block("Category: Q1; Orders: 3", ("Data",), 3, "slide"),
        Block("Category: Q2; Orders: 4.5", ("Data",), 3, "slide"),
    )
