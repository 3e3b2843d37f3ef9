from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assistant.conversation import (
    ConversationStore,
    complete,
    export_json,
    export_markdown,
    needs_context,
)
from assistant.errors import NotFoundError
from assistant.types import Answer, Citation, Message, Principal

LIN, WU = Principal("lin"), Principal("wu")
CITATION = Citation(1, "d.1.0", "d", "手册", "手册.pdf", ("休假",), 3, "page", "年假十五天。")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConversationStore]:
    opened = ConversationStore(tmp_path)
    yield opened
    opened.close()


def answer(conversation: str = "c1", answer_id: str = "a1") -> Answer:
    return Answer("年假十五天[1]。", (CITATION,), False, 0.9, "extractive", conversation, answer_id)


def said(*questions: str) -> list[Message]:
    return [Message("user", question, datetime.now(UTC)) for question in questions]


def test_a_conversation_comes_back_with_its_citations(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.append(LIN, "婚假呢？", answer(answer_id="a2"))
    kept = store.get("c1", LIN)
    assert kept.title == "年假几天？"
    assert [m.role for m in kept.messages] == ["user", "assistant"] * 2
    assert kept.messages[1].citations == (CITATION,)
    assert [c.id for c in store.list("lin")] == ["c1"]


def test_somebody_elses_conversation_does_not_exist(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    for attempt in (
        lambda: store.get("c1", WU),
        lambda: store.history("c1", WU),
        lambda: store.delete("c1", "wu"),
        lambda: store.rename("c1", "wu", "我的"),
        lambda: store.feedback("a1", "wu", "up", ""),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    assert store.list("wu") == []
    assert len(store.get("c1", LIN).messages) == 2


def test_a_conversation_can_be_renamed_and_deleted(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.rename("c1", "lin", "休假")
    assert store.get("c1", LIN).title == "休假"
    store.delete("c1", "lin")
    with pytest.raises(NotFoundError):
        store.get("c1", LIN)


def test_what_was_asked_with_a_lost_group_is_hidden(store: ConversationStore) -> None:
    store.append(Principal("lin", ["finance"]), "预算是多少？", answer())
    assert store.get("c1", LIN).messages == ()
    assert len(store.history("c1", Principal("lin", ["finance", "hr"]))) == 2


def test_feedback_can_be_changed(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.feedback("a1", "lin", "up", "")
    store.feedback("a1", "lin", "down", "不对")
    rows = store._db.execute("SELECT verdict, comment FROM feedback").fetchall()
    assert [tuple(row) for row in rows] == [("down", "不对")]


def test_conversations_survive_a_restart(tmp_path: Path) -> None:
    first = ConversationStore(tmp_path)
    first.append(LIN, "年假几天？", answer())
    first.close()
    again = ConversationStore(tmp_path)
    assert len(again.get("c1", LIN).messages) == 2
    again.close()


@pytest.mark.parametrize(
    "question",
    ["那婚假呢？", "它需要多少数据？", "为什么？", "What about its cost?", "why?", "继续", "Yes"],
)
def test_a_follow_up_needs_its_context(question: str) -> None:
    assert needs_context(question)


@pytest.mark.parametrize(
    "question",
    [
        "大模型训练需要多少数据？",
        "How can we cut the compute cost of training?",
        "公司有哪些GPU服务器？",
    ],
)
def test_a_complete_question_stays_as_it_is(question: str) -> None:
    assert not needs_context(question)
    assert complete(question, said("年假有几天，怎么申请？")) == question


def test_a_follow_up_is_completed_by_the_last_complete_question() -> None:
    history = said("员工每年的年假有几天？", "那病假呢？")
    assert complete("那婚假呢？", history) == "员工每年的年假有几天？ 那婚假呢？"


def test_exports_hold_the_sources(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    kept = store.get("c1", LIN)
    markdown = export_markdown(kept)
    assert "[1] 《手册》 · 休假 · 第3页 · 手册.pdf" in markdown
    assert "> 年假十五天。" in markdown
    assert json.loads(export_json(kept))["messages"][1]["citations"][0]["quote"] == "年假十五天。"
