"""Scores, ranking and sensitivity of the use cases, against what was worked out by hand."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import pytest

from assistant.errors import QuestionError
from assistant.strategy.catalogue import use_cases
from assistant.strategy.profile import Given, Profile, Value, answered, form
from assistant.strategy.scoring import ASPECTS
from assistant.strategy.types import same
from assistant.strategy.usecases import Ranking, UseCase, Weights, rank, sensitivity

CJK = re.compile(r"[\u4e00-\u9fff]")
SETTLED: Mapping[str, Value] = {
    "industry": "manufacturing",
    "goals": ("cost",),
    "functions": ("quality", "maintenance"),
    "data_kinds": ("documents", "images"),
    "data_quality": "clean",
    "data_owners": "yes",
    "interfaces": "most",
    "risk_appetite": "medium",
    "business_owner": "yes",
}


def profile(**changes: Value) -> Profile:
    """A settled profile with some answers changed; None makes a field unknown."""
    given = {**SETTLED, **changes}
    return Profile(
        answers={
            key: Given(value, (answered(key, same(str(value))),))
            for key, value in given.items()
            if value is not None
        }
    )


def entry(id: str, scores: tuple[int, int, int] = (3, 3, 4), **changes: object) -> UseCase:
    """A use case of the catalogue under another name, with value, feasibility and risk set."""
    base = {
        **use_cases()[0].model_dump(),
        "id": id,
        "industries": ("any",),
        "functions": ("quality",),
        "goals": ("speed",),
        "data": ("documents",),
        **dict(zip(("value", "feasibility", "risk"), scores, strict=True)),
        **changes,
    }
    return UseCase.model_validate(base)


def levels(ranking: Ranking, id: str) -> list[int]:
    [found] = [e for e in (*ranking.ranked, *ranking.others) if e.use_case.id == id]
    return [getattr(found.scores, aspect).value for aspect in ASPECTS]


def ids(ranking: Ranking) -> list[str]:
    return [each.use_case.id for each in ranking.ranked]


# -- scores -------------------------------------------------------------------------------------


def test_totals_computed_by_hand() -> None:
    catalogue = [
        entry("plain", (3, 4, 5)),  # 3, 4, 5, 5
        entry("aimed", (3, 4, 3), goals=("cost",)),  # value 3 + 1
        entry("tabular", (5, 5, 5), data=("tables",)),  # no tables: data 1
        entry("either", (2, 2, 4), data=(("tables", "images"),)),  # images will do
    ]
    ranking = rank(profile(), catalogue=catalogue)
    totals = {each.use_case.id: each.total for each in ranking.ranked}
    assert totals == {
        "plain": pytest.approx(0.35 * 3 + 0.25 * 4 + 0.25 * 5 + 0.15 * 5),  # 4.05
        "aimed": pytest.approx(0.35 * 4 + 0.25 * 4 + 0.25 * 5 + 0.15 * 3),  # 4.10
        "tabular": pytest.approx(0.35 * 5 + 0.25 * 5 + 0.25 * 1 + 0.15 * 5),  # 4.00
        "either": pytest.approx(0.35 * 2 + 0.25 * 2 + 0.25 * 5 + 0.15 * 4),  # 3.05
    }
    assert ids(ranking) == ["aimed", "plain", "tabular", "either"]
    assert [each.use_case.id for each in ranking.first_batch] == ["aimed", "plain", "either"]
    assert ranking.notes == () and all(not each.missing for each in ranking.ranked)


def test_the_guidances_example_gives_its_totals() -> None:
    rows = {"assistant": (4, 5, 3, 4), "minutes": (2, 5, 5, 5), "contract": (4, 3, 4, 2)}
    quality = {3: "mixed", 4: "clean", 5: "clean"}
    owners = {3: "yes", 4: "partly", 5: "yes"}
    expected = {"assistant": 4.00, "minutes": 3.95, "contract": 3.45}
    for id, (v, f, d, r) in rows.items():
        company = profile(data_quality=quality[d], data_owners=owners[d])
        [found] = rank(company, catalogue=[entry(id, (v, f, r))]).ranked
        assert found.total == pytest.approx(expected[id])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [4, 3, 5, 3]),
        ({"interfaces": "none"}, [4, 2, 5, 3]),
        ({"risk_appetite": "low"}, [4, 3, 5, 2]),
        ({"risk_appetite": "high"}, [4, 3, 5, 3]),
        ({"data_quality": "mixed"}, [4, 3, 3, 3]),
        ({"data_owners": "partly"}, [4, 3, 4, 3]),
        ({"data_owners": "no", "data_quality": "poor"}, [4, 3, 2, 3]),
        ({"data_kinds": ("documents",)}, [4, 3, 1, 3]),
        ({"goals": ("speed",)}, [3, 3, 5, 3]),
        ({"functions": ("hr",)}, [2, 3, 5, 3]),
    ],
)
def test_each_answer_moves_its_score(changes: dict[str, Value], expected: list[int]) -> None:
    settled = {"data_kinds": ("tables",), **changes}
    candidate = entry("case", (3, 3, 3), data=("tables",), goals=("cost",))
    assert levels(rank(profile(**settled), catalogue=[candidate]), "case") == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("functions", [2, 3, 5, 3]),
        ("goals", [3, 3, 5, 3]),
        ("interfaces", [4, 2, 5, 3]),
        ("data_kinds", [4, 3, 2, 3]),
        ("data_quality", [4, 3, 2, 3]),
        ("data_owners", [4, 3, 2, 3]),
        ("risk_appetite", [4, 3, 5, 2]),
    ],
)
def test_an_unknown_answer_lowers_the_score_and_is_named(key: str, expected: list[int]) -> None:
    candidate = entry("case", (3, 3, 3), data=("tables",), goals=("cost",))
    changes: dict[str, Value] = {"data_kinds": ("tables",), key: None}
    ranking = rank(profile(**changes), catalogue=[candidate])
    assert levels(ranking, "case") == expected
    assert ranking.ranked[0].missing == (key,)
    reasons = [r for a in ASPECTS for r in getattr(ranking.ranked[0].scores, a).reasons]
    assert any(s.kind == "assumption" and s.reference == key for r in reasons for s in r.sources)


def test_what_nobody_knows_holds_nothing_back() -> None:
    ranking = rank(Profile(), catalogue=[entry("weak", (2, 2, 2), data=("tables",))])
    assert levels(ranking, "weak") == [2, 2, 2, 2]
    assert ranking.first_batch == ranking.ranked
    assert "industry" in ranking.ranked[0].missing
    assert [note.sources[-1].kind for note in ranking.notes] == ["assumption"]


def test_every_score_says_what_it_rests_on() -> None:
    for each in rank(profile()).ranked:
        for aspect in ASPECTS:
            reasons = getattr(each.scores, aspect).reasons
            assert reasons
            for reason in reasons:
                assert CJK.search(reason.text.zh) and not CJK.search(reason.text.en)
                assert "{" not in reason.text.zh + reason.text.en


@pytest.mark.parametrize(
    ("needs", "feasibility"),
    [
        (("documents",), 3),
        (("documents", "tables"), 2),  # part of it lies in systems
        ((("documents", "tables"),), 3),  # documents will do instead
        ((("tables", "tickets"),), 2),
    ],
)
def test_interfaces_count_where_data_lie_in_systems(needs: object, feasibility: int) -> None:
    candidate = entry("case", (3, 3, 3), data=needs)
    found = rank(profile(interfaces="none"), catalogue=[candidate])
    assert levels(found, "case")[1] == feasibility


def test_missing_data_are_named() -> None:
    candidate = entry("case", data=("documents", ("tables", "sensor"), "code"))
    [found] = rank(profile(), catalogue=[candidate]).ranked
    said = found.scores.data.reasons[0].text
    names = form().field("data_kinds").options
    assert f"{names['tables'].en} or {names['sensor'].en}, {names['code'].en}" in said.en
    assert f"{names['tables'].zh}或{names['sensor'].zh}、{names['code'].zh}" in said.zh


# -- ranking ------------------------------------------------------------------------------------


def test_a_score_of_1_keeps_out_of_the_first_batch() -> None:
    ranking = rank(profile(), catalogue=[entry("grave", (5, 5, 1)), entry("fair", (3, 3, 3))])
    assert ids(ranking) == ["grave", "fair"]
    assert [each.use_case.id for each in ranking.first_batch] == ["fair"]
    [why] = ranking.ranked[0].held
    assert "risk" in why.text.en
    assert why.sources[0].place.en == "Is a high score enough?"


@pytest.mark.parametrize("owner", ["no", None])
def test_no_business_owner_is_noted(owner: str | None) -> None:
    ranking = rank(profile(business_owner=owner), catalogue=[entry("case")])
    assert len(ranking.notes) == 1 and len(ranking.first_batch) == 1


def test_ties_go_by_value_then_feasibility_then_id() -> None:
    even = Weights(1, 1, 1, 1)
    catalogue = [
        entry("d", (3, 3, 3)),
        entry("c", (3, 3, 3)),
        entry("b", (3, 4, 2)),
        entry("a", (4, 2, 3)),
    ]
    ranking = rank(profile(), even, catalogue)
    assert len({each.total for each in ranking.ranked}) == 1
    assert ids(ranking) == ["a", "b", "c", "d"]


def test_only_what_touches_the_work_named_is_ranked() -> None:
    catalogue = [
        entry("near"),
        entry("far", (5, 5, 5), functions=("hr",)),
        entry("other-trade", industries=("banking",)),
    ]
    ranking = rank(profile(), catalogue=catalogue)
    assert ids(ranking) == ["near"] and ranking.ranked[0].relevant
    assert [each.use_case.id for each in ranking.others] == ["far"]
    assert not ranking.others[0].relevant
    assert ids(rank(profile(functions=None), catalogue=catalogue)) == ["far", "near"]


def test_other_weights_give_another_order() -> None:
    catalogue = [entry("rich", (5, 2, 3)), entry("easy", (2, 5, 3))]
    assert ids(rank(profile(), Weights(0.6, 0.1, 0.2, 0.1), catalogue)) == ["rich", "easy"]
    assert ids(rank(profile(), Weights(0.1, 0.6, 0.2, 0.1), catalogue)) == ["easy", "rich"]


def test_weights_are_brought_to_a_sum_of_1() -> None:
    assert Weights(2, 1, 1, 0) == Weights(0.5, 0.25, 0.25, 0)
    assert (Weights().value, Weights().risk) == (0.35, 0.15)
    moved = Weights().moved("value", 0.48)
    assert moved.value == pytest.approx(0.48)
    assert moved.feasibility / moved.risk == pytest.approx(0.25 / 0.15)
    assert Weights(1, 0, 0, 0).moved("value", 0.4).data == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong", [(0, 0, 0, 0), (1, -0.1, 0, 0), (float("nan"), 1, 1, 1), (float("inf"), 1, 1, 1)]
)
def test_wrong_weights_are_refused(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(QuestionError, match="Weights"):
        Weights(*wrong)


@pytest.mark.parametrize("industry", list(form().field("industry").options))
def test_the_ranking_depends_on_nothing_but_its_inputs(industry: str) -> None:
    company = profile(industry=industry, functions=None)
    ranking = rank(company)
    assert ranking == rank(company)
    assert ranking == rank(company, catalogue=tuple(reversed(use_cases())))
    assert len(ranking.ranked) >= 6


# -- sensitivity --------------------------------------------------------------------------------


def top_of(ranking: Ranking, weights: Weights, top: int) -> set[str]:
    """The top set, by sums of the scores alone."""

    def key(scores: list[int], id: str) -> tuple[object, ...]:
        total = sum(getattr(weights, a) * s for a, s in zip(ASPECTS, scores, strict=True))
        return -round(total, 9), -scores[0], -scores[1], id

    batch = [e.use_case.id for e in ranking.first_batch]
    return set(sorted(batch, key=lambda id: key(levels(ranking, id), id))[:top])


@pytest.mark.parametrize("top", [1, 2, 3])
def test_sensitivity_agrees_with_brute_force(top: int) -> None:
    ranking = rank(profile(data_quality="mixed", data_kinds=("documents", "images", "tickets")))
    found = sensitivity(ranking, top)
    now = top_of(ranking, ranking.weights, top)
    assert set(found.top) == now

    for tolerance in found.tolerances:
        weight = getattr(ranking.weights, tolerance.aspect)
        rest = 1 - weight
        for sign, said in ((1, tolerance.up), (-1, tolerance.down)):
            changing = []
            for cent in range(1, 101):
                to = round(weight + sign * cent / 100, 9)
                if 0 <= to <= 1:
                    others = {a: getattr(ranking.weights, a) * (1 - to) / rest for a in ASPECTS}
                    weights = Weights(**{**others, tolerance.aspect: to})
                    if top_of(ranking, weights, top) != now:
                        changing.append(cent / 100)
            assert said == (min(changing) if changing else None)

    grid = [
        Weights(*(part / 20 for part in parts))
        for parts in product(range(1, 13), repeat=4)
        if sum(parts) == 20
    ]
    assert found.combinations == len(grid) == 829
    assert found.kept == sum(top_of(ranking, each, top) == now for each in grid)
    assert found.share == found.kept / 829


@pytest.mark.parametrize(("start", "fall"), [(0.7, 0.21), (0.5, 0.01), (0.4, None)])
def test_a_change_of_order_is_found_where_algebra_puts_it(start: float, fall: float | None) -> None:
    # "rich" leads by 1 in value, trails by 1 in feasibility and by 2 in risk. With value at w the
    # others have (1 - w) / 3 each, so it leads by w - (1 - w): nothing at 0.5, where the higher
    # value still wins, so the top changes at 0.49 coming from above, at 0.50 coming from below.
    weights = Weights(start, *[(1 - start) / 3] * 3)
    catalogue = [entry("rich", (5, 2, 2)), entry("safe", (4, 3, 4))]
    ranking = rank(profile(data_quality="mixed"), weights, catalogue)
    [value] = [t for t in sensitivity(ranking, 1).tolerances if t.aspect == "value"]
    assert value.down == fall
    assert value.up == (None if fall else 0.1)
    assert ranking.first_batch[0].use_case.id == ("rich" if fall else "safe")


def test_what_always_leads_is_firm() -> None:
    ranking = rank(profile(), catalogue=[entry("best", (5, 5, 5)), entry("worst", (2, 2, 2))])
    found = sensitivity(ranking, 1)
    assert found.share == 1.0
    assert all((t.up, t.down) == (None, None) for t in found.tolerances)
    assert sensitivity(replace(ranking, ranked=()), 3).top == ()


def test_a_top_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one"):
        sensitivity(rank(profile(), catalogue=[]), 0)
