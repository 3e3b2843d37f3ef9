from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import QuestionError
from assistant.strategy.parse import parse, parse_number
from assistant.strategy.profile import Given, Profile, answered, compare, form, show
from assistant.strategy.types import same
from evals.strategy import COMPANIES, company, profile_of


@pytest.mark.parametrize(
    ("key", "said", "value"),
    [
        ("employees", "约1.2万人", 12000.0),
        ("employees", "1,200", 1200.0),
        ("employees", "2.5 million", 2_500_000.0),
        ("employees", "３００", 300.0),
        ("budget", "150万", 1_500_000.0),
        ("budget", "1.5亿元", 150_000_000.0),
        ("budget", "CNY 300k", 300_000.0),
        ("model_staff", "没有", 0.0),
        ("industry", "制造业", "manufacturing"),
        ("industry", "1", "manufacturing"),
        ("industry", "health care", "healthcare"),
        ("data_may_leave", "不可以", "no"),
        ("ai_policy", "有", "yes"),
        ("training", "没有", "none"),
        ("personal_data", "No.", "no"),
        ("goals", "1 3 5", ("cost", "quality", "risk")),
        ("goals", "改善客户体验、降低成本", ("cost", "service")),
        ("goals", "Better quality and fewer errors, and save time", ("speed", "quality")),
        ("functions", "Office work", ("office",)),
        ("functions", "it and hr", ("it", "hr")),
        ("in_use", "Customer-service assistant", ("customer-service-assistant",)),
        ("data_quality", "已整理，版本清楚，有人维护", "clean"),
        ("data_kinds", "documents and images", ("documents", "images")),
        ("gpus", "4块NVIDIA L20 48GB 和 2 x RTX 4090", ("4 × L20", "2 × RTX 4090")),
        ("gpus", "8×H100", ("8 × H100",)),
        ("gpus", "none", ()),
        ("data_may_leave", "不行", "no"),
        ("data_may_leave", "公开的数据可以", "public_only"),
        ("risk_appetite", "低", "low"),
        ("llm_stage", "还没有", "none"),
        ("minutes_per_enquiry", "1.5小时", 90.0),
        ("minutes_per_enquiry", "90秒", 1.5),
        ("payback_months", "2年", 24.0),
        ("enquiries_per_month", "12000 a year", 1000.0),
        ("budget", "50w", 500_000.0),
        ("gpus", "8 H100 and 2 A10", ("8 × H100", "2 × A10")),
        ("gpus", "1 x A100 in the lab", ("1 × A100",)),
        ("budget", "不知道", None),
        ("industry", "I don't know", None),
        ("goals", "？", None),
    ],
)
def test_what_people_say_is_understood(key: str, said: str, value: object) -> None:
    assert parse(form().field(key), said) == value


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("employees", "many"),
        ("employees", "0"),
        ("employees", "-5"),
        ("industry", "15"),
        ("industry", "花店"),
        ("goals", "赢"),
        ("gpus", "好几块卡"),
        ("payback_months", "1000"),
        ("data_may_leave", "可以，但要脱敏"),
        ("data_kinds", "no images"),
        ("data_kinds", "除了录音都有"),
        ("regions", "not China"),
        ("functions", "不要销售"),
        ("functions", "it is customer service"),
        ("budget", "1e9"),
        ("budget", "5-10万"),
        ("budget", "USD 200,000"),
        ("budget", "2026年150万元"),
        ("employees", "1 200 000"),
        ("hourly_cost", "月薪8000元"),
        ("gpus", "0 x H100"),
        ("employees", "9" * 3000),
        ("employees", ""),
        ("employees", "   "),
    ],
)
def test_what_does_not_fit_names_what_does(key: str, said: str) -> None:
    with pytest.raises(QuestionError, match=r"Say|Answer|expected"):
        parse(form().field(key), said)


@given(st.text(max_size=200))
def test_no_words_break_a_field(said: str) -> None:
    for asked in form().fields:
        try:
            value = parse(asked, said)
        except QuestionError:
            continue
        if asked.kind == "number" and value is not None:
            assert isinstance(value, float) and asked.low <= value <= asked.high
        if asked.options and value is not None:
            chosen = (value,) if isinstance(value, str) else value
            assert set(chosen) <= set(asked.options)
        for language in ("zh", "en"):
            assert show(asked, Given(value, ()), language)


@given(st.integers(min_value=0, max_value=10**9))
def test_a_number_survives_its_thousands_separators(number: int) -> None:
    assert parse_number(f"{number:,}") == float(number)


def test_every_field_says_why_it_is_asked_and_has_its_options_in_both_languages() -> None:
    for asked in form().fields:
        texts = [asked.name, asked.question, asked.why, *asked.options.values()]
        assert all(
            any("\u4e00" <= c <= "\u9fff" for c in text.zh) or text.zh == "ERP" for text in texts
        )
        assert all(
            not any("\u4e00" <= c <= "\u9fff" for c in text.en.split("“")[0]) for text in texts
        )
        assert asked.part in form().parts
        assert bool(asked.options) == (asked.kind in ("choice", "many"))
        if asked.find:
            assert set(asked.find.signs) <= set(asked.options)


def test_versions_are_compared_field_by_field() -> None:
    before = Profile()
    asked = form().field("employees")
    after = before.with_answer("employees", Given(418.0, (answered("employees", same("418")),)))
    assert [(c.key, c.before, c.after) for c in compare(before, after, "zh")] == [
        ("employees", "", "418人")
    ]
    unknown = after.with_answer("employees", Given(None, ()))
    assert compare(after, unknown, "en")[0].after == "not known"
    assert compare(after, after, "en") == []
    assert show(asked, None, "en") == ""


def test_an_unknown_field_rests_on_an_assumption_and_a_known_one_on_who_said_it() -> None:
    profile = Profile().with_answer("employees", Given(5.0, (answered("employees", same("5")),)))
    assert profile.source("employees").kind == "answer"
    assert profile.source("budget").kind == "assumption"
    assert "预算" in profile.source("budget").title.zh
    gone = profile.with_answer("employees", Given(None, ()))
    assert not gone.known("employees") and gone.source("employees").kind == "assumption"


def test_a_field_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(QuestionError, match="industry"):
        form().field("colour")


@pytest.mark.parametrize("name", COMPANIES)
def test_the_golden_companies_answer_every_field(name: str) -> None:
    assert set(company(name)["answers"]) == {field.key for field in form().fields}
    assert profile_of(name).one("industry") is not None
