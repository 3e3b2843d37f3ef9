"""Liked answers as training questions: what is taken, and what is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from assistant import Assistant, Principal, Settings
from assistant.adapt.liked import read_liked
from assistant.adapt.recipe import LikedSource
from assistant.errors import ConfigurationError

WU, LI = Principal("wu"), Principal("li", ["finance"])


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory in which answers were liked, disliked, and given from restricted papers."""
    monkeypatch.setenv("ASSISTANT_EMBEDDING_MODEL", "hash")
    monkeypatch.setenv("ASSISTANT_ENGINE", "extractive")
    leave, budget = tmp_path / "leave.md", tmp_path / "budget.md"
    leave.write_text("# 休假制度\n\n员工每年享有十五天带薪年假。病假需要医院证明。\n", "utf-8")
    budget.write_text("# 预算\n\n2026年大模型专项预算为三百二十万元。\n", "utf-8")
    settings = Settings(data_dir=tmp_path / "data", gate_threshold=0.0)
    with Assistant(settings) as assistant:
        assistant.ingest(leave)
        assistant.ingest(budget, groups=["finance"])
        liked = assistant.ask("员工每年有几天带薪年假？", principal=WU)
        assistant.feedback(liked.answer_id, "up", principal=WU)
        later = assistant.ask("那病假呢？", conversation_id=liked.conversation_id, principal=WU)
        assistant.feedback(later.answer_id, "up", principal=WU)
        disliked = assistant.ask("病假需要什么证明？", principal=WU)
        assistant.feedback(disliked.answer_id, "down", principal=WU)
        restricted = assistant.ask("2026年大模型专项预算是多少？", principal=LI)
        assistant.feedback(restricted.answer_id, "up", principal=LI)
        assert restricted.citations[0].title == "预算"
    return settings.data_dir


def source(data_dir: Path) -> LikedSource:
    return LikedSource(kind="liked", name="liked", licence="own", data_dir=data_dir)


def test_a_liked_first_answer_is_a_sample_that_holds_its_quote(data_dir: Path) -> None:
    dropped: Counter[str] = Counter()
    (sample,) = read_liked(source(data_dir), dropped)
    assert sample.question == "员工每年有几天带薪年假？"
    assert sample.passage[sample.start : sample.end] == "员工每年享有十五天带薪年假。"
    assert sample.title == "休假制度"
    assert dropped == {"liked: the passage changed or is not for everyone": 1}


def test_a_quote_that_the_paper_no_longer_holds_is_left_out(data_dir: Path, tmp_path: Path) -> None:
    paper = tmp_path / "leave.md"
    paper.write_text("# 休假制度\n\n员工每年享有二十天带薪年假。\n", "utf-8")
    with Assistant(Settings(data_dir=data_dir)) as assistant:
        assistant.ingest(paper)
    dropped: Counter[str] = Counter()
    assert read_liked(source(data_dir), dropped) == []
    assert sum(dropped.values()) == 2


def test_where_nobody_asked_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nobody has asked there yet"):
        read_liked(source(tmp_path), Counter())
