"""The plan: everything that is computed from the profile and the papers, before a word is written.

`make_plan` is a pure function: the same profile, findings and weights give the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from assistant.strategy.decisions import Decision, cheapest, decide, recommend
from assistant.strategy.estimate.assumptions import load_prices
from assistant.strategy.estimate.costs import Costs, compare
from assistant.strategy.estimate.options import Option
from assistant.strategy.profile import Profile
from assistant.strategy.readiness import Readiness, assess
from assistant.strategy.risks import Risk, register
from assistant.strategy.roadmap import Kpi, Roadmap, measures, plan_road
from assistant.strategy.sizing import Sizing, size
from assistant.strategy.texts import words
from assistant.strategy.types import Source, Statement, Words
from assistant.strategy.usecases import (
    RankedUseCase,
    Ranking,
    Sensitivity,
    Weights,
    rank,
    sensitivity,
)
from assistant.strategy.value import Value, estimate

# How many use cases the first round plans for; with more, reviewers run out first.
CHOSEN = 3
_NO_CPU = Source(
    "assumption",
    Words("没有问到是否有空闲的CPU服务器。", "Nobody was asked whether a CPU server is free."),
)


@dataclass(frozen=True)
class Plan:
    """All that the brief tells; ``chosen`` are the use cases of the first round, best first."""

    profile: Profile
    readiness: Readiness
    ranking: Ranking
    sensitivity: Sensitivity
    chosen: tuple[RankedUseCase, ...]
    sizing: Sizing
    costs: Costs
    value: Value
    risks: tuple[Risk, ...]
    findings: tuple[Statement, ...]
    roadmap: Roadmap
    measures: tuple[Kpi, ...]
    decisions: tuple[Decision, ...]
    recommendations: tuple[Statement, ...]


def make_plan(profile: Profile, findings: tuple[Statement, ...], weights: Weights) -> Plan:
    """Return the plan for a company."""
    readiness = assess(profile)
    ranking = rank(profile, weights)
    chosen = _chosen(ranking, profile)
    sizing = size(profile)
    costs = _costs(profile, sizing)
    running = cheapest(costs).per_month
    value = estimate(profile, running)
    risks = register(profile, chosen)
    roadmap = plan_road(profile, readiness, value.pilot, cheapest(costs))
    return Plan(
        profile=profile,
        readiness=readiness,
        ranking=ranking,
        sensitivity=sensitivity(ranking, CHOSEN),
        chosen=chosen,
        sizing=sizing,
        costs=costs,
        value=value,
        risks=risks,
        findings=findings,
        roadmap=roadmap,
        measures=measures(profile),
        decisions=decide(profile, chosen, sizing, costs, roadmap),
        recommendations=recommend(
            profile, readiness, chosen, sizing, costs, value, risks, findings, roadmap
        ),
    )


def _costs(profile: Profile, sizing: Sizing) -> Costs:
    """Compare the ways of serving; what nobody allowed to leave the company stays in it."""
    allowed = profile.one("data_may_leave")
    harmless = allowed == "public_only" and profile.one("personal_data") == "no"
    costs = compare(
        sizing.load,
        sizing.sizes[0],
        load_prices(),
        data_may_leave="yes" if allowed == "yes" or harmless else "no",
        owned_gpus=sizing.held,
    )
    options = tuple(_known_bars(each, profile) for each in costs.options)
    open_ones = [each for each in options if each.barred is None]
    best = min(open_ones, key=lambda each: each.total.likely, default=None)
    return replace(costs, options=options, cheapest=best)


def _known_bars(option: Option, profile: Profile) -> Option:
    """Bar what nobody says the company has, and say where a bar is only assumed."""
    if option.key == "cpu" and not option.barred:
        return option.barred_by(Statement(words("decisions", "no_cpu"), (_NO_CPU,)))
    if option.barred and option.key != "cpu" and not profile.known("data_may_leave"):
        assumed = words("decisions", "boundary_assumed")
        return option.barred_by(Statement(assumed, profile.sources("data_may_leave")))
    if option.barred and option.key != "cpu" and profile.one("data_may_leave") != "no":
        partly = words("decisions", "boundary_partly")
        return option.barred_by(Statement(partly, profile.sources("data_may_leave")))
    return option


def _chosen(ranking: Ranking, profile: Profile) -> tuple[RankedUseCase, ...]:
    """Return the first round: what is in pilot already is finished first, then the ranking."""
    in_pilot = profile.many("in_pilot")
    under_way = [each for each in ranking.first_batch if each.use_case.id in in_pilot]
    others = [each for each in ranking.first_batch if each not in under_way]
    return tuple([*under_way, *others][:CHOSEN])
