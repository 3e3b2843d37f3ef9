"""What the plan recommends, and the log of decisions that somebody has to take.

Each recommendation is put together from computed facts and carries their sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.strategy.estimate.costs import Costs
from assistant.strategy.estimate.options import Option
from assistant.strategy.evidence import sources_for
from assistant.strategy.guidance import guidance
from assistant.strategy.profile import Profile, form, show
from assistant.strategy.readiness import Readiness
from assistant.strategy.risks import HIGH, Risk
from assistant.strategy.roadmap import PAYBACK_MONTHS, Roadmap
from assistant.strategy.scoring import score_rule
from assistant.strategy.shown import both, score
from assistant.strategy.sizing import Sizing, sizing_rule
from assistant.strategy.texts import words
from assistant.strategy.types import Figure, Statement, Words, same
from assistant.strategy.usecases import RankedUseCase
from assistant.strategy.value import YUAN, Value

# Dimensions of readiness below this score are gaps to close first.
GAP_BELOW = 4.0
_MOST_GAPS, _MOST_FINDINGS = 3, 3


@dataclass(frozen=True)
class Decision:
    """One line of the decision log: what is decided, by whom, by which week of the roadmap."""

    what: Words
    decided: Statement
    owner: Words
    week: int


def recommend(
    profile: Profile,
    readiness: Readiness,
    chosen: Sequence[RankedUseCase],
    sizing: Sizing,
    costs: Costs,
    value: Value,
    risks: Sequence[Risk],
    findings: Sequence[Statement],
    roadmap: Roadmap,
) -> tuple[Statement, ...]:
    """Return what the plan recommends, the most important first."""
    return (
        *_use_cases(profile, chosen),
        *_worth(profile, value, costs, roadmap),
        _deployment(costs),
        _model(sizing),
        _training(),
        *_gaps(readiness),
        *_grave(risks),
        *(_finding(each) for each in findings[:_MOST_FINDINGS]),
    )


def decide(
    profile: Profile,
    chosen: Sequence[RankedUseCase],
    sizing: Sizing,
    costs: Costs,
    roadmap: Roadmap,
) -> tuple[Decision, ...]:
    """Return the decisions to be taken, with what the plan proposes for each."""
    ends = {phase.id: phase.end for phase in roadmap.phases}
    steering, technical = words("decisions", "steering"), words("decisions", "technical")
    first = _use_cases(profile, chosen)[0]
    return (
        Decision(_what("data"), _data(profile), words("decisions", "security"), ends["assess"]),
        Decision(_what("first"), first, steering, ends["choose"]),
        Decision(_what("deploy"), _deployment(costs), steering, ends["choose"]),
        Decision(_what("size"), _model(sizing), technical, ends["choose"]),
        Decision(_what("train"), _training(), technical, ends["choose"]),
        Decision(
            _what("scale"),
            Statement(words("decisions", "open_scale"), roadmap.pilot.gate.sources),
            steering,
            ends["pilot"],
        ),
    )


def cheapest(costs: Costs) -> Option:
    """Return the cheapest way of serving; an own server is never barred, so there is one."""
    assert costs.cheapest is not None
    return costs.cheapest


def _use_cases(profile: Profile, chosen: Sequence[RankedUseCase]) -> tuple[Statement, ...]:
    if not chosen:
        open_ones = [field.key for field in form().fields if not profile.known(field.key)]
        text = words("decisions", "none_first").filled(fields=_names(open_ones[:5]))
        return (Statement(text, (guidance(4, "Is a high score enough?"),)),)
    best = chosen[0]
    under_way = best.use_case.id in profile.many("in_pilot")
    text = words("decisions", "finish" if under_way else "first").filled(
        name=best.use_case.name, total=score(best.total)
    )
    pilot = sources_for(profile, "in_pilot", best.use_case.id) if under_way else ()
    sources = (*pilot, score_rule(), *best.use_case.guidance_sources())
    first = Statement(text, sources, headline=True)
    if len(chosen) == 1:
        return (first,)
    names = [each.use_case.name for each in chosen[1:]]
    later = words("decisions", "next").filled(names=_listed(names))
    order = guidance(4, "In what order should several use cases proceed?")
    return first, Statement(
        later, (order, *(s for each in chosen[1:] for s in each.use_case.guidance_sources()[:1]))
    )


def _worth(profile: Profile, value: Value, costs: Costs, roadmap: Roadmap) -> tuple[Statement, ...]:
    money = words("decisions", "money").filled(
        round=both(roadmap.cost), pilot=both(value.pilot, likely_only=True)
    )
    split = guidance(
        19,
        "How is a large-model budget split by stage?",
        "编者建议的首轮比例是：评估5%、试点20%、推广45%、首年运营30%。",
        "The editors' starting split for a first round is assessment 5%, pilot 20%, scaling 45%, "
        "first-year operation 30%.",
    )
    statements = [Statement(money, (split, *roadmap.cost.sources), headline=True)]
    budget = profile.number("budget")
    if budget is not None:
        given = Figure("budget", same(""), budget, budget, budget, YUAN)
        year = _year_of_budget(profile)
        text = words("decisions", _budget(budget, year, value, roadmap)).filled(
            budget=both(given),
            round=both(roadmap.cost, likely_only=True),
            pilot=both(value.pilot, likely_only=True),
            year=year,
            now=profile.date[:4],
            weeks=roadmap.weeks,
        )
        statements.append(Statement(text, (*profile.sources("budget"), *roadmap.cost.sources)))
    return (*statements, _return(profile, value, costs))


def _budget(budget: float, year: str, value: Value, roadmap: Roadmap) -> str:
    """Return which text tells how a budget and the first round compare."""
    if budget < value.pilot.likely:
        return "budget_none"
    if year:
        return "budget_year"
    return "budget_enough" if budget >= roadmap.cost.likely else "budget_short"


def _year_of_budget(profile: Profile) -> str:
    """Return the year that a paper's budget is for, where that is not after the profile's."""
    quotes = [s.quote.zh for s in profile.sources("budget") if s.kind == "company"]
    years = re.findall(r"(?<!\d)20\d\d(?!\d)", " ".join(quotes))
    return max(years) if years and max(years) <= profile.date[:4] else ""


def _return(profile: Profile, value: Value, costs: Costs) -> Statement:
    """Return the statement on payback, or on what keeps it from being computed."""
    if value.payback:
        limit = profile.number("payback_months") or PAYBACK_MONTHS
        line = (
            profile.sources("payback_months")
            if profile.known("payback_months")
            else (
                guidance(
                    4,
                    "When should a project be stopped?",
                    "重算后的回收期超过24个月",
                    "the recalculated payback exceeds 24 months",
                ),
            )
        )
        text = words("decisions", "payback").filled(payback=both(value.payback), limit=f"{limit:g}")
        return Statement(text, (*line, *value.payback.sources), headline=True)
    if value.benefit:
        running = cheapest(costs).per_month
        text = words("decisions", "no_payback").filled(
            benefit=both(value.benefit, likely_only=True), running=both(running, likely_only=True)
        )
        return Statement(text, (*value.benefit.sources, *running.sources), headline=True)
    text = words("decisions", "measure").filled(fields=_names(value.missing))
    return Statement(text, (guidance(4, "How is value turned into money?"),), headline=True)


def _deployment(costs: Costs) -> Statement:
    best = cheapest(costs)
    text = words("decisions", "deploy").filled(
        option=best.name,
        monthly=both(best.per_month, likely_only=True),
        total=both(best.total),
    )
    where = guidance(16, "Where should a large model be deployed?")
    return Statement(text, (where, *best.total.sources), headline=True)


def _model(sizing: Sizing) -> Statement:
    names = [same(each.model.name) for each in sizing.sizes]
    text = words("decisions", "size").filled(names=_listed(names), smallest=names[0])
    return Statement(text, (sizing_rule(), *sizing.card.sources))


def _training() -> Statement:
    source = guidance(21, "How are decisions made in the choosing phase?")
    return Statement(words("decisions", "train"), (source,))


def _data(profile: Profile) -> Statement:
    if not profile.known("data_may_leave"):
        return Statement(words("decisions", "open_data"), profile.sources("data_may_leave"))
    asked, given = form().field("data_may_leave"), profile.answers["data_may_leave"]
    text = Words(show(asked, given, "zh"), show(asked, given, "en"))
    return Statement(text, given.sources)


def _gaps(readiness: Readiness) -> Iterable[Statement]:
    """Yield the first action for each of the lowest dimensions."""
    low = sorted(
        (each for each in readiness.dimensions if each.score < GAP_BELOW and each.raises),
        key=lambda each: each.score,
    )
    for each in low[:_MOST_GAPS]:
        text = words("decisions", "gap").filled(
            dimension=each.dimension.name, score=score(each.score), action=each.raises[0].text
        )
        evidence = min(each.criteria, key=lambda criterion: criterion.level).statement.sources
        yield Statement(text, (*each.raises[0].sources, *evidence))


def _grave(risks: Sequence[Risk]) -> Iterable[Statement]:
    for risk in risks:
        if risk.score >= HIGH and risk.planned:
            text = words("decisions", "risk").filled(
                risk=risk.name, score=risk.score, control=_joined(c.text for c in risk.planned)
            )
            yield Statement(text, risk.sources)


def _finding(finding: Statement) -> Statement:
    return Statement(words("decisions", "finding").filled(finding=finding.text), finding.sources)


def _what(key: str) -> Words:
    return words("decisions", f"what_{key}")


def _names(keys: Sequence[str]) -> Words:
    return _listed(form().field(key).name for key in keys)


def _listed(names: Iterable[Words]) -> Words:
    named = list(names)
    return Words("、".join(name.zh for name in named), ", ".join(name.en for name in named))


def _joined(texts: Iterable[Words]) -> Words:
    said = list(texts)
    return Words("；".join(text.zh for text in said), "; ".join(text.en for text in said))
