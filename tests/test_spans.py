"""What a reader found in passages: the sentence around it, agreement, contradiction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.spans import (
    agree,
    conflict,
    contradict,
    emphasised,
    excerpted,
    quoted,
    span_of,
    span_within,
)
from assistant.types import Chunk, Document, Hit, Reading


def read_hit(text: str, span: str, answerable: float = 0.9, name: str = "a") -> Hit:
    start = text.index(span)
    reading = Reading(start, start + len(span), 3.0, answerable, span)
    document = Document(name, name, f"{name}.md", 1, "zh")
    return Hit(Chunk(f"{name}.1.0", name, text), document, 1.0, 0.9, 5.0, 0.0, reading)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("三个月", "3 个月"),
        ("15天", "15 天内"),
        ("两天", "2天"),
        ("二十五个工作日", "25个工作日"),
        ("1,200 元", "1200元"),
        ("財務部", "财务部"),
        ("within 15 days", "15 days"),
        ("15天", "15天带薪年假"),
        ("3万元", "三万元"),
        ("一百零五人", "105人"),
    ],
)
def test_spans_that_say_the_same(one: str, other: str) -> None:
    assert agree(one, other)
    assert not contradict(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("15天内", "30天以内"),
        ("5%", "8%"),
        ("2026年3月1日", "2026年4月1日"),
        ("三个月", "六个月"),
        ("1.5万元", "1.2万元"),
        ("-5℃", "5℃"),
        ("up to 5 days", "7 days"),
    ],
)
def test_spans_that_contradict_each_other(one: str, other: str) -> None:
    assert contradict(one, other)
    assert not agree(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8 块 A100", "8块 H100"),  # another thing, not another number of it
        ("5 天", "5 周"),
        ("5", "7"),  # of what?
        ("张伟", "李娜"),  # both may be right
        ("15 天", "15 至 20 天"),
        ("张伟", "财务部的张伟"),
        ("可以", "不可以"),
        ("allowed", "not allowed"),
        ("部", "内部"),
        ("5天以上", "5天以下"),
        ("up to 5 days", "at least 5 days"),
        ("8 块 A100", "4块A100"),
        ("第3章", "第4章"),
        ("GPT-4", "GPT-3"),
    ],
)
def test_spans_that_do_neither(one: str, other: str) -> None:
    assert not contradict(one, other)
    assert not agree(one, other)


def test_a_quote_is_the_whole_sentence_around_the_span() -> None:
    support = quoted(read_hit("先填表。报销须在15天内提交。逾期不受理。", "15天内"))
    assert (support.quote, support.span) == ("报销须在15天内提交。", "15天内")


def test_a_span_over_two_sentences_quotes_both() -> None:
    support = quoted(read_hit("先填表。再签字。最后归档。", "填表。再签字"))
    assert support.quote == "先填表。再签字。"


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        ("第三句", "第二句。第三句。第四句。"),
        ("第一句", "第一句。第二句。"),
        ("第五句", "第四句。第五句。"),
        ("二句。第三", "第一句。第二句。第三句。第四句。"),
    ],
)
def test_an_excerpt_is_the_sentences_around_the_span_and_one_on_either_side(
    span: str, shown: str
) -> None:
    hit = read_hit("第一句。第二句。第三句。第四句。第五句。", span)
    cut = excerpted(hit)
    assert cut.reading is not None
    assert cut.chunk.text == shown
    assert cut.chunk.text[cut.reading.start : cut.reading.end] == cut.reading.text == span
    assert (cut.document, cut.chunk.id, cut.score) == (hit.document, hit.chunk.id, hit.score)
    assert quoted(cut).quote == quoted(hit).quote


def test_an_excerpt_of_a_passage_without_a_find_is_the_passage() -> None:
    text = "第一句。第二句。第三句。第四句。"
    doubted = read_hit(text, "第一句", answerable=0.3)
    assert excerpted(doubted) == doubted
    unread = replace(doubted, reading=None)
    assert excerpted(unread) == unread


def test_what_the_reader_doubts_counts_as_not_found() -> None:
    doubted = read_hit("报销须在15天内提交。", "15天内", answerable=0.3)
    assert span_of(doubted) == ""
    assert span_within(doubted, doubted.chunk.text) == ""
    assert (
        conflict("报销须在几天内提交？", [doubted, read_hit("报销须在30天内提交。", "30天内")])
        is None
    )


def test_a_conflict_names_both_passages() -> None:
    found = conflict(
        "报销须在几天内提交？",
        [
            read_hit("报销须在15天内提交。", "15天内"),
            read_hit("报销须在十五天内提交。", "十五天内", name="b"),
            read_hit("报销须在30天内提交。", "30天内", name="c"),
        ],
    )
    assert found is not None
    assert [support.hit.document.id for support in found] == ["a", "c"]


def test_between_languages_only_figures_tell_what_a_sentence_is_about() -> None:
    hits = [
        read_hit("Logs are kept for 180 days.", "180 days"),
        read_hit("We keep logs for 90 days.", "90 days", name="b"),
    ]
    assert conflict("日志要保存多久？", hits) is not None
    assert conflict("SRV-01的日志要保存多久？", hits) is None


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("报销须在几天内提交？", "发票须在30天内开具。"),
        ("A-100的报销须在几天内提交？", "A-200的报销须在30天内提交。"),
    ],
)
def test_other_numbers_of_other_things_are_no_conflict(question: str, other: str) -> None:
    hits = [
        read_hit("A-100的报销须在15天内提交。", "15天内"),
        read_hit(other, "30天内", name="b"),
    ]
    assert conflict(question, hits) is None
    assert conflict("须在几天内？", hits) is not None


@pytest.mark.parametrize(
    ("text", "span", "shown"),
    [
        ("须在15天内提交。", "15天内", "须在**15天内**提交。"),
        ("比例为5%。", "5%", "比例为**5%**。"),
        ("比例为5%左右。", "5%", "比例为5%左右。"),
        ("员工年假为15个工作日。", "员工年假为15个工作日。", "**员工年假为15个工作日**。"),
        ("满13个月或3个月。", "3个月", "满13个月或**3个月**。"),
        ("the 15 days and 5 days", "5 days", "the 15 days and **5 days**"),
        ("按《差旅办法》执行。", "《差旅办法》", "按《差旅办法》执行。"),
        ("按 2*3 计，共6件。", "6件", "按 2*3 计，共6件。"),
        ("须在15天内提交。", "", "须在15天内提交。"),
        ("须在15天内提交。", "30天", "须在15天内提交。"),
    ],
)
def test_emphasis_reads_as_markdown_or_is_left_out(text: str, span: str, shown: str) -> None:
    from markdown_it import MarkdownIt

    made = emphasised(text, span)
    assert made == shown
    assert ("<strong>" in MarkdownIt().render(made)) == ("**" in made)


def test_a_span_elsewhere_in_the_passage_is_not_the_quotes() -> None:
    hit = read_hit("试用期为3个月。服务满13个月的员工可申请年终奖金。", "3个月")
    assert span_within(hit, "试用期为3个月。") == "3个月"
    assert span_within(hit, "服务满13个月的员工可申请年终奖金。") == ""
