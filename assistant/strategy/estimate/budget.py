"""Computes budgets and savings: reserve, stages, an accepted answer, caching, routing.

The formulas and the stage shares are those of the guidance's chapters 13 and 19.
"""

from __future__ import annotations

from assistant.strategy.estimate.ranges import positive, share

STAGES = {"assessment": 0.05, "pilot": 0.2, "scaling": 0.45, "operation": 0.3}


def with_reserve(subtotal: float, reserve: float = 0.2) -> float:
    """Return a budget with its reserve (ch. 19)."""
    return positive("Subtotal", subtotal) * (1 + share("Reserve", reserve))


def round_by_stage(pilot: float) -> dict[str, float]:
    """Return the first round's budget by stage, from the pilot's: 5, 20, 45 and 30% (ch. 19)."""
    whole = positive("Pilot", pilot) / STAGES["pilot"]
    return {stage: whole * part for stage, part in STAGES.items()}


def accepted_answer_cost(monthly: float, calls: float, accepted: float) -> float:
    """Return the cost of an accepted answer: monthly ÷ (calls × share accepted) (ch. 19)."""
    answers = positive("Calls", calls) * share("Accepted", positive("Accepted", accepted))
    return positive("Monthly cost", monthly) / answers


def after_caching(requests: float, hits: float) -> float:
    """Return the requests that still run when a share of them hits the cache (ch. 13)."""
    return positive("Requests", requests) * (1 - share("Hits", hits))


def routed_cost(routed: float, price_ratio: float) -> float:
    """Return the cost left, of 1, when a share goes to a model at a fraction of the price."""
    part = share("Routed", routed)
    return part * share("Price ratio", price_ratio) + (1 - part)
