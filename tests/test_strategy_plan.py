from __future__ import annotations

import math

import pytest

from assistant.strategy.decisions import cheapest
from assistant.strategy.estimate.ranges import Range, figure
from assistant.strategy.guidance import guidance
from assistant.strategy.plan import Plan, make_plan
from assistant.strategy.profile import Given, Profile, answered
from assistant.strategy.readiness import assess, rubric
from assistant.strategy.risks import catalogue, register
from assistant.strategy.roadmap import plan_road, road
from assistant.strategy.types import Figure, Source, Statement, same
from assistant.strategy.usecases import Weights
from assistant.strategy.value import YUAN, YUAN_MONTH, estimate
from evals.strategy import COMPANIES, company, profile_of

PAPER = Source("company", same("手册"), quote=same("有。"), reference="c1")


@pytest.fixture(scope="module", params=COMPANIES)
def golden(request: pytest.FixtureRequest) -> tuple[dict[str, object], Plan]:
    name = str(request.param)
    return company(name)["expected"], make_plan(profile_of(name), (), Weights())


def given(value: object, *sources: Source) -> Given:
    return Given(value, sources or (answered("industry", same("x")),))  # type: ignore[arg-type]


def money(low: float, likely: float, high: float) -> Figure:
    return figure("running", same(""), Range(low, likely, high), YUAN_MONTH, "", (PAPER,))


# -- the golden companies -----------------------------------------------------------------------


def test_scores_lie_where_people_who_know_the_business_put_them(
    golden: tuple[dict[str, dict[str, tuple[float, float]]], Plan],
) -> None:
    expected, plan = golden
    scores = {each.dimension.key: each.score for each in plan.readiness.dimensions}
    for key, (low, high) in expected["score"].items():
        assert low <= scores[key] <= high, key


def test_the_first_batch_holds_nothing_that_decides_over_people(
    golden: tuple[dict[str, list[str]], Plan],
) -> None:
    expected, plan = golden
    first = [each.use_case.id for each in plan.ranking.first_batch]
    assert first and not set(first[:3]) & set(expected["never_first"])
    for each in plan.chosen:
        assert each.use_case.suits(plan.profile.one("industry"))
        assert set(each.use_case.functions) & set(plan.profile.many("functions"))


def test_the_arithmetic_is_what_was_worked_out_by_hand(
    golden: tuple[dict[str, float], Plan],
) -> None:
    expected, plan = golden
    assert plan.value.hours is not None and plan.value.benefit is not None
    assert plan.value.hours.likely == pytest.approx(expected["hours"])
    assert plan.value.benefit.likely == pytest.approx(expected["benefit"])
    assert plan.value.pilot.likely == pytest.approx(210_000)


def test_the_cheapest_way_that_is_allowed_is_chosen(golden: tuple[dict[str, str], Plan]) -> None:
    expected, plan = golden
    assert plan.costs.cheapest is not None
    assert plan.costs.cheapest.key == expected["deployment"]
    open_ones = [each for each in plan.costs.options if not each.barred]
    assert plan.costs.cheapest.total.likely == min(each.total.likely for each in open_ones)


def test_the_same_inputs_give_the_same_plan(golden: tuple[object, Plan]) -> None:
    _, plan = golden
    assert make_plan(plan.profile, (), Weights()) == plan


def test_an_empty_profile_still_gives_a_plan_that_says_what_is_missing() -> None:
    plan = make_plan(Profile(company="X", date="2026-11-24"), (), Weights())
    assert all(each.score == 1.0 for each in plan.readiness.dimensions)
    assert plan.value.hours is None and plan.value.payback is None
    assert set(plan.value.missing) == {"enquiries_per_month", "minutes_per_enquiry", "hourly_cost"}
    assert all(option.barred for option in plan.costs.options if option.key in ("api", "rented"))


# -- readiness ----------------------------------------------------------------------------------


def test_the_rubric_describes_every_level_and_uses_one_rule_a_criterion() -> None:
    for dimension in rubric().dimensions:
        assert len({level.zh for level in dimension.levels}) == 5
        for each in dimension.criteria:
            rules = (each.options, each.numbers, each.counts, each.memory, each.known)
            assert sum(map(bool, rules)) == 1
            each.guidance.source()


def test_what_is_only_said_reaches_four_and_a_paper_reaches_five() -> None:
    said = assess(Profile().with_answer("steering", given("yes")))
    shown = assess(Profile().with_answer("steering", given("yes", PAPER)))
    levels = [
        next(
            (c.level, c.unproven)
            for d in each.dimensions
            for c in d.criteria
            if c.criterion.field == "steering"
        )
        for each in (said, shown)
    ]
    assert levels == [(4, True), (5, False)]


def test_what_nobody_knows_counts_lowest_and_is_listed() -> None:
    governance = next(d for d in assess(Profile()).dimensions if d.dimension.key == "governance")
    assert governance.score == 1.0 and "ai_policy" in governance.missing
    assert all(each.statement.sources[0].kind == "assumption" for each in governance.criteria)


def test_the_actions_are_enough_for_the_next_level() -> None:
    for name in COMPANIES:
        for each in assess(profile_of(name)).dimensions:
            if each.level == 5:
                assert each.raises == ()
                continue
            lowest = sorted(each.criteria, key=lambda c: c.level)[: len(each.raises)]
            lifted = sum(c.level for c in each.criteria) + sum(min(2, 5 - c.level) for c in lowest)
            assert lifted / len(each.criteria) >= each.level + 1


# -- risks --------------------------------------------------------------------------------------


def test_the_register_cites_the_guidance_and_stays_on_the_scale() -> None:
    for name in COMPANIES:
        for risk in register(profile_of(name), ()):
            assert 1 <= risk.residual_likelihood <= risk.likelihood <= 5 and 1 <= risk.impact <= 5
            assert risk.residual <= risk.score <= 25
            assert any(source.kind == "guidance" for source in risk.sources)
    assert len({entry.id for entry in catalogue().risks}) == len(catalogue().risks) >= 12


def test_a_control_counts_only_where_the_profile_shows_it() -> None:
    def leak(profile: Profile) -> tuple[int, int]:
        risk = next(r for r in register(profile, ()) if r.id == "leak")
        return risk.likelihood, len(risk.held)

    assert leak(Profile()) == (3, 0)
    assert leak(Profile().with_answer("classification", given("yes", PAPER))) == (2, 1)
    assert leak(Profile().with_answer("classification", given("no"))) == (4, 0)


def test_a_use_case_that_reaches_people_brings_its_own_risk() -> None:
    plan = make_plan(profile_of("bank"), (), Weights())
    risky = [each for each in plan.ranking.ranked if each.use_case.risk <= 2][:1]
    with_it = register(plan.profile, tuple(risky))
    [own] = [risk for risk in with_it if risk.id.startswith("use-case-")]
    assert own.impact == 6 - risky[0].use_case.risk
    assert own.planned[0].text == risky[0].use_case.oversight


# -- roadmap and value --------------------------------------------------------------------------


def test_tasks_run_within_their_phase_and_after_what_they_depend_on() -> None:
    plan = make_plan(Profile(), (), Weights())
    for before, phase in zip((None, *plan.roadmap.phases), plan.roadmap.phases, strict=False):
        assert phase.start == (before.end if before else 0)
        assert phase.weeks[0] <= phase.end - phase.start <= phase.weeks[2]
        for task in phase.tasks:
            assert phase.start <= task.start < task.end <= phase.end
            ends = [other.end for other in phase.tasks if other.text in task.after]
            assert all(end <= task.start for end in ends)


def test_tasks_that_readiness_makes_superfluous_are_left_out() -> None:
    pilot = estimate(Profile(), money(0, 0, 0)).pilot
    way = cheapest(make_plan(Profile(), (), Weights()).costs)
    lacking = plan_road(Profile(), assess(Profile()), pilot, way)
    full = assess(Profile())
    ready = plan_road(
        Profile(),
        type(full)(
            5.0, tuple(type(d)(d.dimension, 5.0, 5, d.criteria, ()) for d in full.dimensions)
        ),
        pilot,
        way,
    )
    count = [sum(len(phase.tasks) for phase in each.phases) for each in (lacking, ready)]
    gaps = sum(bool(task.gap) for phase in road().phases for task in phase.tasks)
    assert gaps > 0 and count[0] - count[1] == gaps


def test_what_is_settled_already_is_no_task() -> None:
    def first(profile: Profile) -> str:
        return make_plan(profile, (), Weights()).roadmap.phases[0].tasks[0].text.en

    profile = Profile().with_answer("business_owner", given("yes"))
    assert "Name sponsor" in first(profile)
    assert "Name sponsor" not in first(profile.with_answer("ai_policy", given("yes")))


def test_the_money_of_the_phases_adds_up() -> None:
    plan = make_plan(profile_of("bank"), (), Weights())
    costs = [phase.cost for phase in plan.roadmap.phases if phase.cost]
    for part in ("low", "likely", "high"):
        assert getattr(plan.roadmap.cost, part) == pytest.approx(
            sum(getattr(cost, part) for cost in costs)
        )


def test_payback_is_the_pilot_over_the_net_benefit() -> None:
    profile = profile_of("bank")
    value = estimate(profile, money(1000, 5000, 8000))
    assert value.payback is not None
    assert value.payback.likely == pytest.approx(210_000 / (26_208 - 5000))
    assert value.payback.low < value.payback.likely < value.payback.high
    assert estimate(profile, money(0, 30_000, 40_000)).payback is None
    assert estimate(profile, money(1000, 5000, 10**6)).payback.high == math.inf  # type: ignore[union-attr]


def test_a_statement_needs_a_source() -> None:
    with pytest.raises(ValueError, match="source"):
        Statement(same("无据"), ())
    with pytest.raises(ValueError, match="does not hold"):
        Figure("x", same("x"), 2, 1, 3, YUAN)


def test_guidance_is_quoted_word_for_word_in_both_languages() -> None:
    source = guidance(4, "How is a use case's score calculated?")
    assert source.place.zh == "场景评分怎样计算？" and "35%" in source.quote.en
    with pytest.raises(LookupError, match="no section"):
        guidance(4, "What is the weather?")
    with pytest.raises(LookupError, match="does not hold"):
        guidance(4, "How is a use case's score calculated?", en="never said")
    with pytest.raises(LookupError, match="no chapter"):
        guidance(99, "x")
