from __future__ import annotations

import pytest

from assistant.errors import ConfigurationError
from assistant.prompts import (
    Prompt,
    declines,
    fit,
    load_prompt,
    number_passages,
    numbered,
    reply,
    topic_hint,
)
from assistant.topics import OFF_TOPIC, TOPICS
from assistant.types import Chunk, Document, Hit


def hit(text: str, title: str = "手册") -> Hit:
    return Hit(Chunk("c", "d", text, ("甲",)), Document("d", title, "s", 1, "zh"), 1, 1, 1)


@pytest.mark.parametrize(
    "name", ["answer", "answer_adapted", "answer_completion", "answer_pointed", "condense"]
)
def test_every_prompt_is_well_formed_in_both_languages(name: str) -> None:
    prompt = load_prompt(name)  # type: ignore[arg-type]
    values = {variable: f"<{variable}>" for variable in prompt.variables}
    for language in ("zh", "en"):
        text = "".join(str(m.content) for m in prompt.messages(language, **values))  # type: ignore[arg-type]
        assert all(value in text for value in values.values())


def test_an_undeclared_variable_is_named() -> None:
    prompt = Prompt(
        purpose="", version=1, variables=("a",), zh={"user": "{a}{b}"}, en={"user": "{a}"}
    )  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"\['a', 'b'\]"):
        prompt.check("x")


def test_braces_in_a_document_are_only_text() -> None:
    values = {"passages": "{question} {0}", "question": "问", "hint": ""}
    messages = load_prompt("answer").messages("zh", **values)
    assert "{question} {0}" in str(messages[-1].content)


def test_a_document_cannot_cite_on_the_assistants_behalf() -> None:
    (numbered,) = number_passages([hit("见[2]和【3】。", "标题[1]")])
    assert numbered == "[1] 标题(1) > 甲\n见(2)和(3)。"


def test_passages_are_numbered_as_a_prompt_wants_it() -> None:
    assert numbered(2, "手册", ("手册",), "甲。乙[3]。", "passages") == "[2] 手册\n甲。乙(3)。"
    assert numbered(2, "手册", (), "甲。乙。", "sentences") == "[2] 手册\n(1) 甲。\n(2) 乙。"
    assert numbered(2, "手册", (), "甲。", "nothing") == "手册\n甲。"
    assert numbered(1, "", (), "甲。") == "[1] 甲。"


def test_passages_fit_the_budget() -> None:
    hits = [hit("字" * 50), hit("字" * 50), hit("字" * 50)]
    one = len(number_passages(hits[:1])[0])
    assert len(fit(hits, 2 * one, len)) == 2
    assert len(fit(hits, 2 * one - 1, len)) == 1
    assert fit(hits, one - 1, len) == []


def test_the_numbers_of_sentences_take_room_too() -> None:
    hits = [hit(f"{'字' * 9}。" * 5), hit(f"{'字' * 9}。" * 5)]
    room = sum(map(len, number_passages(hits)))
    assert len(fit(hits, room, len)) == 2
    assert len(fit(hits, room, len, "sentences")) == 1


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("资料中没有答案。", True),
        (" 资料中未提及年假。", True),
        ("The documents do not say.", True),
        ("THE DOCUMENTS DO NOT SAY how long.", True),
        ("年假有十五天。", False),
        ("The documents say: 15 days.", False),
        ("", False),
    ],
)
def test_a_refusal_is_known_in_either_language(text: str, refuses: bool) -> None:
    assert declines(text) == refuses


def test_replies_exist_in_both_languages() -> None:
    assert "3" in reply("searched", "zh", count=3)
    assert "3" in reply("searched", "en", count=3)


def test_every_topic_has_a_hint_in_both_languages_but_off_topic() -> None:
    for language in ("zh", "en"):
        hints = {topic: topic_hint(topic, language) for topic in TOPICS}
        assert {topic for topic, hint in hints.items() if not hint} == {OFF_TOPIC}
        assert topic_hint("", language) == ""
