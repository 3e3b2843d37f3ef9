from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text import (
    detect_language,
    figures,
    fold,
    numbers,
    sentence_spans,
    sentences,
    terms,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我们有哪些GPU？", "zh"),
        ("How can we cut the compute cost?", "en"),
        ("What does 大模型 mean in English?", "en"),
        ("vLLM和llama.cpp怎么选", "zh"),
        ("12345", "en"),
    ],
)
def test_language_is_that_of_the_words_that_carry_the_text(text: str, language: str) -> None:
    assert detect_language(text) == language


@given(st.text(max_size=300))
def test_sentence_spans_tile_the_text(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


def test_sentences_end_where_a_reader_would_end_them() -> None:
    text = "误差为3.5%。“真的吗？”他问！See e.g. No. 5 of Dr. Wu. It costs $3.5. Next\n最后一行"
    assert sentences(text) == [
        "误差为3.5%。",
        "“真的吗？”",
        "他问！",
        "See e.g. No. 5 of Dr. Wu.",
        "It costs $3.5.",
        "Next",
        "最后一行",
    ]


def test_terms_are_character_pairs_and_stemmed_words() -> None:
    assert terms("大模型 costs") == ["大模", "模型", "cost"]
    assert terms("猫") == ["猫"]


def test_terms_agree_over_scripts_widths_and_cases() -> None:
    assert terms("模型訓練ＧＰＵ") == terms("模型训练gpu")


def test_a_product_code_is_found_whole_and_by_its_parts() -> None:
    assert {"cp-2150b", "cp", "2150b"} <= set(terms("泵CP-2150B型"))


@given(st.text(max_size=200))
def test_terms_are_tokens_the_full_text_index_cannot_split(text: str) -> None:
    for term in terms(text):
        assert term
        assert '"' not in term
        assert not any(character.isspace() for character in term)


@given(st.text(max_size=200))
def test_fold_is_idempotent_on_terms(text: str) -> None:
    folded = fold(text)
    assert terms(folded) == terms(text) or fold(folded) != folded


def test_numbers_ignore_thousands_separators_and_width() -> None:
    assert numbers("共1,200,000元，增长３.5％，2026-11") == {"1200000", "3.5%", "2026", "11"}
    assert numbers("年假十五天，3万元") == {"十五", "3万"}


def test_figures_are_years_quantities_and_codes() -> None:
    found = figures("2024年CP-2400B、srv-ai-01，3.5万元，７B和1,200 kWh，第一章")
    assert found == {"2024", "cp-2400b", "srv-ai-01", "3.5", "7b", "1200"}
    assert figures("a 400-person firm, 2025-2026, 10,000 units") == {"400", "2025", "2026", "10000"}
