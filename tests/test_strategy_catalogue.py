"""The use-case catalogue says only what it may, in both languages."""

import re

import pytest
from pydantic import ValidationError

from assistant.strategy.catalogue import Catalogue, UseCase, use_cases
from assistant.strategy.profile import form
from assistant.strategy.texts import load_data
from assistant.strategy.types import Words

CJK = re.compile(r"[\u4e00-\u9fff]")
DIGITS = re.compile(r"\d+(?:\.\d+)?")


def texts(use_case: UseCase) -> list[Words]:
    named = [value for value in dict(use_case).values() if isinstance(value, Words)]
    return [*named, use_case.benefit.text]


def test_the_catalogue_is_broad_enough() -> None:
    assert len(use_cases()) >= 60
    for industry in form().field("industry").options:
        assert sum(each.suits(industry) for each in use_cases()) >= 6, industry
    for function in form().field("functions").options:
        assert sum(function in each.functions for each in use_cases()) >= 2, function
    for goal in form().field("goals").options:
        assert any(goal in each.goals for each in use_cases()), goal


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda each: each.id)
def test_an_entry_rests_on_the_guidance(use_case: UseCase) -> None:
    assert all(source.quote.zh and source.quote.en for source in use_case.guidance_sources())
    source = use_case.benefit.source()
    for language in ("zh", "en"):
        figures = DIGITS.findall(use_case.benefit.text.in_(language))
        assert set(figures) <= set(DIGITS.findall(source.quote.in_(language)))
        assert source.kind == "guidance" or not figures


@pytest.mark.parametrize("use_case", use_cases(), ids=lambda each: each.id)
def test_an_entry_is_written_in_both_languages(use_case: UseCase) -> None:
    for text in texts(use_case):
        assert bool(text.zh) == bool(text.en)
        assert not CJK.search(text.en), text.en
        assert not text.zh or CJK.search(text.zh), text.zh
        assert all(t == t.strip() for t in (text.zh, text.en))


def test_what_bears_on_peoples_rights_is_never_rated_harmless() -> None:
    for use_case in use_cases():
        assert (use_case.tier == "high") == (use_case.risk <= 2), use_case.id


@pytest.mark.parametrize(
    "id", ["credit-scoring", "churn-prediction", "disease-prediction", "demand-forecast"]
)
def test_predictions_from_tables_are_no_job_for_a_language_model(id: str) -> None:
    [use_case] = [each for each in use_cases() if each.id == id]
    assert use_case.method in ("small_model", "time_series")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"functions": ["juggling"]}, "juggling"),
        ({"value": 6}, "less than or equal to 5"),
        ({"colour": "red"}, "Extra inputs"),
        ({"sources": []}, "at least 1"),
        ({"benefit": {"text": {"zh": "好", "en": "good"}}}, "assumption"),
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, object], told: str) -> None:
    data = load_data("usecases")
    wrong = {**data, "use_cases": [{**data["use_cases"][0], **change}]}
    with pytest.raises(ValidationError, match=told):
        Catalogue.model_validate(wrong)


def test_an_id_that_stands_twice_is_refused() -> None:
    data = load_data("usecases")
    with pytest.raises(ValidationError, match="stand twice"):
        Catalogue.model_validate({**data, "use_cases": data["use_cases"][:1] * 2})
