"""The plan: everything that is computed from the profile and the papers, before a word is written.

`make_plan` is a pure function: the same profile, findings and weights give the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.decisions import Decision, cheapest, decide, recommend
from assistant.strategy.estimate.assumptions import load_prices
from assistant.strategy.estimate.costs import Costs, compare
from assistant.strategy.profile import Profile
from assistant.strategy.readiness import Readiness, assess
from assistant.strategy.risks import Risk, register
from assistant.strategy.roadmap import Kpi, Roadmap, measures, plan_road
from assistant.strategy.sizing import Sizing, size
from assistant.strategy.types import Statement
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
    roadmap = plan_road(readiness, value.pilot, running)
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
    return compare(
        sizing.load,
        sizing.sizes[0],
        load_prices(),
        data_may_leave="yes" if allowed == "yes" or harmless else "no",
        owned_gpus=sizing.held,
    )


def _chosen(ranking: Ranking, profile: Profile) -> tuple[RankedUseCase, ...]:
    """Return the first round: what is in pilot already is finished first, then the ranking."""
    in_pilot = profile.many("in_pilot")
    under_way = [each for each in ranking.first_batch if each.use_case.id in in_pilot]
    others = [each for each in ranking.first_batch if each not in under_way]
    return tuple([*under_way, *others][:CHOSEN])
