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


@pytest.mark.parametrize("question", ["预算", "AI?"])
def test_what_no_rule_fits_stays_recognisable(question: str) -> None:
    assert all(question.rstrip("?") in form for form in variants(question))


@given(st.text(min_size=1, max_size=40), st.integers(0, 99))
def test_figures_are_never_changed(question: str, seed: int) -> None:
    assert figures(paraphrased(question, random.Random(seed))) == figures(question)
