"""Questions in other words: never another meaning."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.adapt.paraphrase import paraphrased
from assistant.text import figures

QUESTION = "2026年的GPU预算什么时候批下来？"


def variants(question: str) -> set[str]:
    return {paraphrased(question, random.Random(seed)) for seed in range(60)}


def test_a_question_gets_several_forms_that_keep_what_it_asks_about() -> None:
    made = variants(QUESTION)
    assert len(made) > 4
    assert all("2026年的GPU预算何时批下来" in form for form in made)
    assert any(form.startswith("请问") for form in made)
    assert any(not form.endswith("？") for form in made)


def test_english_questions_keep_their_names() -> None:
    made = variants("GPU memory: how much does LoRA need to train?")
    assert all("GPU memory" in form and "LoRA" in form for form in made)
    assert any("have to" in form for form in made)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("新的报销系统怎么样？", "系统怎么样"),
        ("怎么样才能申请年假？", "怎么样才能"),
        ("员工任何时候都能请假吗？", "任何时候都能"),
        ("数据作为何种资产入账？", "作为何种资产"),
    ],
)
def test_words_that_only_look_like_a_question_word_stay_whole(question: str, kept: str) -> None:
    assert all(kept in form for form in variants(question))


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("年假怎么申请？", "年假如何申请"),
        ("为何要申请？", "为什么要申请"),
        ("何时放假？", "什么时候放假"),
    ],
)
def test_question_words_are_exchanged(question: str, other: str) -> None:
    assert any(other in form for form in variants(question))


@pytest.mark.parametrize("question", ["预算", "AI?"])
def test_what_no_rule_fits_stays_recognisable(question: str) -> None:
    assert all(question.rstrip("?") in form for form in variants(question))


@given(st.text(min_size=1, max_size=40), st.integers(0, 99))
def test_figures_are_never_changed(question: str, seed: int) -> None:
    assert figures(paraphrased(question, random.Random(seed))) == figures(question)
