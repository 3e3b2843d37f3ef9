from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from docx import Document

from assistant.export import export_docx, export_json, export_markdown
from assistant.types import Citation, Conversation, Message

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
CITATION = Citation(
    1, "d.1.0", "d", "手册", "/srv/papers/手册.pdf", ("休假",), 3, "page", "十五天。"
)


def conversation(*messages: Message, title: str = "年假几天？") -> Conversation:
    return Conversation("c1", "lin", title, AT, messages)


def exchange(question: str, answer: str, *citations: Citation) -> list[Message]:
    return [Message("user", question, AT), Message("assistant", answer, AT, "a1", citations)]


KEPT = conversation(*exchange("年假几天？", "**年假**十五天[1]。\n- 病假另计。", CITATION))


def read(data: bytes) -> list[tuple[str, str]]:
    """Return style and text of every paragraph of a Word file."""
    return [
        (p.style.name if p.style else "", p.text) for p in Document(io.BytesIO(data)).paragraphs
    ]


def test_markdown_holds_the_sources() -> None:
    markdown = export_markdown(KEPT)
    assert "[1] 《手册》 · 休假 · 第3页 · 手册.pdf" in markdown
    assert "> 十五天。" in markdown


def test_json_holds_everything() -> None:
    told = json.loads(export_json(KEPT))
    assert told["messages"][1]["citations"][0]["quote"] == "十五天。"


def test_word_holds_question_answer_and_source_in_their_styles() -> None:
    paragraphs = read(export_docx(KEPT, "zh"))
    assert ("Title", "年假几天？") in paragraphs
    assert ("Subtitle", "2026年11月2日 · 共1个问题") in paragraphs
    assert ("Heading 1", "年假几天？") in paragraphs
    assert ("Normal", "年假十五天[1]。") in paragraphs
    assert ("List Bullet", "病假另计。") in paragraphs
    assert ("Source", "[1]\t《手册》 · 休假 · 第3页 · 手册.pdf") in paragraphs
    assert ("Quotation", "十五天。") in paragraphs


def test_marks_are_raised_and_strong_words_are_bold() -> None:
    (paragraph,) = [
        p for p in Document(io.BytesIO(export_docx(KEPT, "zh"))).paragraphs if "十五天[1]" in p.text
    ]
    runs = {run.text: run for run in paragraph.runs}
    assert runs["年假"].bold
    assert runs["[1]"].style.name == "Mark"
    assert runs["[1]"].style.font.superscript


@pytest.mark.parametrize(("language", "words"), [("zh", "第 1 页，共 1 页"), ("en", "Page 1 of 1")])
def test_pages_are_numbered_by_fields(language: str, words: str) -> None:
    document = Document(io.BytesIO(export_docx(KEPT, language)))  # type: ignore[arg-type]
    footer = document.sections[0].footer.paragraphs[0]._p
    assert "".join(text.text for text in footer.iter("{*}t")) == words
    assert [f.get(f"{{{f.nsmap['w']}}}instr") for f in footer.iter("{*}fldSimple")] == [
        "PAGE",
        "NUMPAGES",
    ]


def test_every_style_names_a_chinese_font() -> None:
    styles = zipfile.ZipFile(io.BytesIO(export_docx(KEPT, "zh"))).read("word/styles.xml").decode()
    for name in ("Normal", "Title", "Heading1", "Quotation"):
        style = styles.split(f'w:styleId="{name}"')[1].split("</w:style>")[0]
        assert 'w:eastAsia="Microsoft YaHei"' in style
        assert "eastAsiaTheme" not in style


def test_the_same_conversation_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = export_docx(KEPT, "zh")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert export_docx(KEPT, "zh") == first


def test_what_no_xml_can_hold_is_left_out() -> None:
    bad = "坏\x00的\x0b字\x1b\ud800\ufffe<b>&amp;\r\n二"
    cited = Citation(1, "d.1.0", "d", bad, "C:\\q\\表.xlsx", (bad,), 1, "row", bad)
    told = conversation(*exchange(bad, bad + "[1]", cited), title=bad)
    text = "\n".join(line for _, line in read(export_docx(told, "zh")))
    assert text.count("坏的字<b>&amp;") == 5
    assert "表.xlsx" in text and "C:" not in text


def test_a_long_question_is_cut_in_the_heading_and_whole_below() -> None:
    question = "我们准备启动一个客服助手的试点项目，应该先做哪些准备？" * 6
    paragraphs = read(export_docx(conversation(*exchange(question, "先盘点数据。")), "zh"))
    (heading,) = [text for style, text in paragraphs if style == "Heading 1"]
    assert heading.endswith("…") and len(heading) < 60
    assert ("Question", question) in paragraphs


def test_an_empty_conversation_is_still_a_document() -> None:
    assert ("Subtitle", "2 November 2026 · Questions: 0") in read(
        export_docx(conversation(title="Nothing"), "en")
    )
