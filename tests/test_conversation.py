from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.conversation import CONVERSATIONS_FILE, ConversationStore
from assistant.errors import NotFoundError, StoreError
from assistant.followup import complete, needs_context
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
    assert [c.id for c in store.list(LIN)] == ["c1"]


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
    assert store.list(WU) == []
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


def test_an_answer_comes_with_what_was_said_before_it(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.append(LIN, "婚假呢？", answer(answer_id="a2"))
    store.append(LIN, "病假呢？", answer(answer_id="a3"))
    assert [m.text for m in store.up_to("a2", LIN)][::2] == ["年假几天？", "婚假呢？"]
    for answer_id, who in (("a2", WU), ("a9", LIN), ("", LIN)):
        with pytest.raises(NotFoundError):
            store.up_to(answer_id, who)


def test_an_answer_given_with_a_lost_group_is_not_found(store: ConversationStore) -> None:
    finance = Principal("lin", ["finance"])
    store.append(finance, "预算是多少？", answer())
    assert store.up_to("a1", finance)[-1].answer_id == "a1"
    with pytest.raises(NotFoundError):
        store.up_to("a1", LIN)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["c2", "c1"]),
        ("  ", ["c2", "c1"]),
        ("年假几天", ["c1"]),
        ("假几", ["c1"]),
        ("十五天", ["c2", "c1"]),
        ("PUMP catalogue", ["c2"]),
        ("泵 cp-2150b", ["c2"]),
        ("請假", []),
        ("機械", ["c2"]),
        ("%", ["c2"]),
        ("_", []),
        ("100%", ["c2"]),
    ],
)
def test_titles_and_messages_are_searched(
    store: ConversationStore, query: str, found: list[str]
) -> None:
    store.append(LIN, "年假几天？", answer())
    store.append(LIN, "机械泵CP-2150B在 Pump Catalogue 里满意度100%？", answer("c2", "a2"))
    store.append(WU, "年假和机械泵，100%？", answer("c3", "a3"))
    assert [c.id for c in store.list(LIN, query)] == found


def test_a_search_does_not_read_what_history_hides(store: ConversationStore) -> None:
    store.append(LIN, "第一问？", answer())
    store.append(Principal("lin", ["finance"]), "专项预算？", answer(answer_id="a2"))
    assert store.list(LIN, "专项预算") == []
    assert len(store.list(Principal("lin", ["finance"]), "专项预算")) == 1


def test_deleting_forgets_what_was_said_of_the_answers(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.append(LIN, "别的？", answer("c2", "a2"))
    store.feedback("a1", "lin", "down", "我的私事")
    store.feedback("a2", "lin", "down", "不对")
    store.delete("c1", "lin")
    rows = store._db.execute("SELECT comment FROM feedback").fetchall()
    assert [row[0] for row in rows] == ["不对"]


def test_reviews_show_only_what_one_may_read_and_the_latest_first(
    store: ConversationStore,
) -> None:
    finance = Principal("lin", ["finance"])
    store.append(finance, "预算是多少？", answer())
    store.append(LIN, "年假几天？", answer(answer_id="a2"))
    store.append(WU, "婚假几天？", answer("c2", "a3"))
    for answer_id, user in (("a1", "lin"), ("a2", "lin"), ("a3", "wu")):
        store.feedback(answer_id, user, "down", "")
    seen = store.to_review(frozenset({"everyone"}))
    assert [(r.question, r.history) for r in seen] == [("婚假几天？", ()), ("年假几天？", ())]
    everything = store.to_review()
    assert [r.question for r in everything] == ["婚假几天？", "年假几天？", "预算是多少？"]
    assert everything[1].history == ("预算是多少？",)
    assert len(store.to_review(limit=2)) == 2


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
    assert complete(question, said("年假有几天，怎么申请？"), 4000) == question


def test_a_follow_up_is_completed_by_the_last_complete_question() -> None:
    history = said("员工每年的年假有几天？", "那病假呢？")
    assert complete("那婚假呢？", history, 4000) == "员工每年的年假有几天？ 那婚假呢？"


def test_a_long_question_before_a_follow_up_leaves_room_for_it() -> None:
    completed = complete("那婚假呢？", said("员工每年的年假有几天？" * 50), 100)
    assert completed.startswith("员工每年") and completed.endswith(" 那婚假呢？")
    assert len(completed) == 100


OLD_SCHEMA = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, title TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL,
    answer_id TEXT NOT NULL, refused INTEGER NOT NULL, citations TEXT NOT NULL,
    groups TEXT NOT NULL
);
CREATE TABLE feedback (
    answer_id TEXT NOT NULL, user_id TEXT NOT NULL, verdict TEXT NOT NULL,
    comment TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (answer_id, user_id)
);
INSERT INTO conversations VALUES ('c1', 'lin', '旧的对话', '2026-10-01T00:00:00+00:00');
INSERT INTO messages VALUES (1, 'c1', 'user', '年假几天？', '2026-10-01T00:00:00+00:00', '', 0,
    '[]', '["everyone"]');
INSERT INTO messages VALUES (2, 'c1', 'assistant', '十五天。', '2026-10-01T00:00:00+00:00', 'a1',
    0, '[]', '["everyone"]');
INSERT INTO feedback VALUES ('a1', 'lin', 'up', '', '2026-10-01T00:00:00+00:00');
"""


def test_a_file_of_an_earlier_version_opens_without_loss(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / CONVERSATIONS_FILE)) as db:
        db.executescript(OLD_SCHEMA)
    for _ in range(2):
        with closing(ConversationStore(tmp_path)) as opened:
            assert [m.text for m in opened.get("c1", LIN).messages][:2] == [
                "年假几天？",
                "十五天。",
            ]
            opened.append(LIN, "婚假呢？", answer(answer_id=uuid.uuid4().hex))
            old, *new = opened.asked_since(datetime(2026, 1, 1, tzinfo=UTC))
    assert (old.engine, old.timings, old.verdict) == ("", {}, "up")
    assert [one.engine for one in new] == ["extractive", "extractive"]


def test_what_is_counted_of_an_answer_is_kept(store: ConversationStore) -> None:
    timed = replace(answer(), timings={"retrieve": 0.01, "check": 0.5, "whole": 1.25})
    store.append(LIN, "年假几天？", timed)
    store.append(LIN, "你好", replace(answer(answer_id="a2"), engine="none", citations=()))
    store.feedback("a1", "lin", "down", "")
    (asked,) = store.asked_since(datetime(2020, 1, 1, tzinfo=UTC))
    assert asked.timings == {"retrieve": 0.01, "whole": 1.25}
    assert (asked.document_id, asked.verdict, asked.refused) == ("d", "down", False)
    assert store.asked_since(datetime.now(UTC) + timedelta(minutes=1)) == ()
    assert store._db.execute("SELECT confidence FROM messages").fetchall()[1][0] == 0.9


def test_many_threads_write_search_and_read(store: ConversationStore) -> None:
    def work(number: int) -> int:
        who = Principal(f"user{number % 4}")
        store.append(who, f"第{number}个问题？", answer(f"c{number}", f"a{number}"))
        store.feedback(f"a{number}", who.user_id, "down", "")
        assert [c.id for c in store.list(who, f"第{number}个问题")] == [f"c{number}"]
        return len(store.to_review(limit=5)) + len(store.asked_since(datetime(2020, 1, 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(64)))
    assert sum(len(store.list(Principal(f"user{i}"))) for i in range(4)) == 64


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    opened = ConversationStore(tmp_path)
    opened.close()
    with pytest.raises(StoreError, match="was closed"):
        opened.list(LIN)


def test_all_of_a_user_goes_and_nothing_of_another(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    store.append(WU, "婚假几天？", answer("c2", "a2"))
    store.feedback("a1", LIN.user_id, "up", "好")
    store.delete_all(LIN.user_id)
    assert store.list(LIN) == []
    assert [c.id for c in store.list(WU)] == ["c2"]
    with pytest.raises(NotFoundError):
        store.get("c1", LIN)


def test_a_verdict_comes_back_with_its_answer(store: ConversationStore) -> None:
    store.append(LIN, "年假几天？", answer())
    assert [m.verdict for m in store.get("c1", LIN).messages] == [None, None]
    store.feedback("a1", LIN.user_id, "down", "太短")
    assert [m.verdict for m in store.get("c1", LIN).messages] == [None, "down"]
