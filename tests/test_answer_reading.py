"""Answers from read passages: found words in bold, agreement cited, contradiction said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant import Answer, Settings
from assistant.adapted import HashEmbedder
from assistant.answer import Answerer
from assistant.engines.base import Engine, Evidence, Passage, ScriptedEngine
from assistant.engines.extractive import ExtractiveEngine, quotations
from assistant.engines.failover import Engines
from assistant.prompts import PromptName
from assistant.retrieve import Found
from assistant.types import EVERYONE, Chunk, Document, Hit, Language, Reading


def reading(text: str, span: str, answerable: float = 0.9) -> Reading:
    start = text.index(span)
    return Reading(start, start + len(span), 2.0, answerable, span)


def hit(number: int, title: str, text: str, language: Language = "zh") -> Hit:
    document = Document(f"d{number}", title, f"{number}.md", 1, language)
    return Hit(Chunk(f"d{number}.1.0", f"d{number}", text), document, 0.9, 0.9, 5.0)


class Pointing(ScriptedEngine):
    """A writer that was taught to point."""

    @property
    def prompt_name(self) -> PromptName:
        return "answer_pointed"


def answer(
    question: str, hits: Sequence[Hit], spans: Sequence[str], engine: Engine | None = None
) -> Answer:
    """Ask an engine, or the quoting one, about hits in which a reader found the spans."""

    def read(_: str, found: Found) -> Found:
        pairs = zip(found.hits, spans, strict=True)
        read_hits = [replace(h, reading=reading(h.chunk.text, s)) for h, s in pairs]
        return Found(tuple(read_hits), found.signals, 0.9, 0.5)

    answerer = Answerer(
        Settings(embedding_model="hash"),
        lambda *_: Found(tuple(hits), {}, 0.1, 0.5),
        HashEmbedder(),
        Engines([engine or ExtractiveEngine(embedder=HashEmbedder())]),
        lambda _: len(hits),
        read=read,
    )
    *_, last = answerer.stream(question, [], EVERYONE, "c")
    assert last.answer is not None
    return last.answer


def test_the_words_found_are_bold_in_the_sentence_and_named_in_the_citation() -> None:
    text = "试用期内请先熟悉制度。差旅报销单须在出差结束后15天内提交给财务部。"
    given = answer("差旅报销单多久内提交？", [hit(1, "报销办法", text)], ["15天内"])
    assert "差旅报销单须在出差结束后**15天内**提交给财务部[1]。" in given.text
    assert given.citations[0].span == "15天内"
    assert not given.refused
    assert given.confidence == 0.9
    assert "read" in given.timings


def test_a_writer_that_points_decides_whether_what_a_reader_found_is_quoted() -> None:
    hits = [hit(1, "报销办法", "试用期请先熟悉制度。差旅报销单须在出差结束后15天内提交。")]
    asked = ("差旅报销单多久内提交？", hits, ["15天内"])
    for pointer in ("1.1", "1.2"):
        given = answer(*asked, Pointing(replies=[pointer]))
        assert given.text == answer(*asked).text
        assert given.citations[0].span == "15天内"
    assert answer(*asked, Pointing(replies=["0"])).refused


def test_two_passages_that_contradict_each_other_are_told_apart() -> None:
    hits = [
        hit(1, "报销办法", "差旅报销单须在出差结束后15天内提交。"),
        hit(2, "员工手册", "差旅费用的报销须在30天内提交。"),
    ]
    given = answer("差旅报销多久内提交？", hits, ["15天内", "30天内"])
    *_, warning = given.text.splitlines()
    marks = {citation.title: citation.marker for citation in given.citations}
    named = f"《报销办法》[{marks['报销办法']}]与《员工手册》[{marks['员工手册']}]"
    assert warning == f"请注意，{named}的说法可能不一致，请核实应以哪份资料为准。"


def test_an_english_asker_is_warned_in_english() -> None:
    hits = [
        hit(1, "Travel policy", "Travel expenses must be claimed within 15 days.", "en"),
        hit(2, "Handbook", "Claims for travel expenses are due within 30 days.", "en"),
    ]
    given = answer(
        "How soon must travel expenses be claimed?", hits, ["within 15 days", "within 30 days"]
    )
    assert given.text.endswith("may disagree. Check which one holds.")
    assert given.text.count('"Travel policy" [') == given.text.count('"Handbook" [') == 1


def test_agreement_is_no_contradiction() -> None:
    hits = [
        hit(1, "报销办法", "差旅报销单须在出差结束后15天内提交。"),
        hit(2, "员工手册", "差旅费用的报销须在十五天内提交。"),
    ]
    given = answer("差旅报销多久内提交？", hits, ["15天内", "十五天内"])
    assert "不一致" not in given.text
    assert "[1][2]" in given.text


def test_what_the_reader_found_is_quoted_though_it_looks_unlike_the_question() -> None:
    text = "培训办法已经发布。培训事务由王强统一负责。"
    question = "培训办法归谁管？"

    def quote(read: Reading | None) -> str:
        passage = Passage(1, "通知", (), text, read)
        return "".join(quotations(Evidence(question, (passage,)), HashEmbedder()))

    assert "王强" not in quote(None)
    assert "王强" in quote(reading(text, "王强"))
    assert "王强" not in quote(reading(text, "王强", answerable=0.05))


def test_a_sentence_with_both_numbers_is_no_contradiction() -> None:
    hits = [
        hit(1, "报销办法", "差旅报销单须在出差结束后15天内提交。"),
        hit(2, "员工手册", "差旅费用的报销须在15天内提交，财务部在5天内付款。"),
    ]
    assert "不一致" not in answer("差旅报销多久内提交？", hits, ["15天内", "5天内"]).text


def test_of_the_passages_found_in_the_first_is_always_quoted() -> None:
    own, other = "训练通常需要几万条数据。", "Training needs tens of thousands of samples."
    passages = (
        Passage(1, "数据", (), own, reading(own, "几万条", answerable=0.6)),
        Passage(2, "Data", (), other, reading(other, "tens of thousands", answerable=0.9)),
        Passage(3, "手册", (), "训练室在三楼。"),
    )
    first, *others = quotations(Evidence("训练需要多少数据？", passages), HashEmbedder())
    assert first == f"{own}[1]\n"
    assert not any("三楼" in quote for quote in others)  # nobody read it, and the answer is found


def test_an_answer_found_abroad_leaves_room_for_the_askers_own_papers() -> None:
    own, other = "我们有两台GPU服务器。", "Without a GPU one rents by the hour."
    passages = (
        Passage(1, "FAQ", (), other, reading(other, "rents by the hour", answerable=0.8)),
        Passage(2, "资产清单", (), own),
    )
    said = quotations(Evidence("我们有哪些GPU服务器？", passages), HashEmbedder())
    assert f"{own}[2]\n" in said


def test_two_places_of_one_document_are_told_apart_as_such() -> None:
    first = hit(1, "《手册》", "差旅报销单须在出差结束后15天内提交。")
    second = replace(first, chunk=Chunk("d1.1.1", "d1", "差旅费用的报销须在30天内提交。"))
    given = answer("差旅报销多久内提交？", [first, second], ["15天内", "30天内"])
    assert given.text.endswith("两处的说法可能不一致，请核实。")
    assert "请注意，《手册》中[" in given.text


def test_a_short_answer_in_the_other_language_is_quoted() -> None:
    short, own = "6 months.", "试用期的考核由部门负责人安排。"
    passages = (
        Passage(1, "Probation", (), short, reading(short, "6 months")),
        Passage(2, "手册", (), own, reading(own, "部门负责人", answerable=0.3)),
    )
    assert "6 months.[1]\n" in quotations(Evidence("试用期多长？", passages), HashEmbedder())


def test_an_answer_over_two_sentences_is_quoted_whole() -> None:
    text = "出差申请流程如下。先由部门经理批准。再由财务总监批准。谁审批出差由制度规定。"
    passage = Passage(1, "出差", (), text, reading(text, "先由部门经理批准。再由财务总监批准"))
    said = "".join(quotations(Evidence("谁审批？", (passage,)), HashEmbedder()))
    assert "先由部门经理批准" in said and "再由财务总监批准" in said
