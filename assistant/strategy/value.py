"""What easing the named work is worth: hours saved, benefit, what the pilot costs, payback.

Ranges from the profile's figures and, where those are unknown, from ``data/assumptions.yaml``;
every figure names which it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from assistant.strategy.estimate.assumptions import DATA, Prices, load_prices
from assistant.strategy.estimate.ranges import Range, exactly, figure, number, range_of
from assistant.strategy.profile import Profile
from assistant.strategy.types import Figure, Words

YUAN_MONTH = Words("元/月", "CNY a month")
YUAN = Words("元", "CNY")
HOURS_MONTH = Words("小时/月", "hours a month")
MONTHS = Words("个月", "months")


@dataclass(frozen=True)
class Value:
    """The worth of easing the named work; a figure is None where it cannot be computed.

    ``benefit`` is before running costs. ``payback`` is None where the likely benefit does not
    cover the likely running cost, or too little is known; ``missing`` are the profile's fields
    that would tell.
    """

    hours: Figure | None
    benefit: Figure | None
    pilot: Figure
    payback: Figure | None
    missing: tuple[str, ...]


def assumptions() -> Prices:
    """Return the plan's own assumptions, from ``data/assumptions.yaml``."""
    return load_prices(DATA / "assumptions.yaml")


def estimate(profile: Profile, running: Figure) -> Value:
    """Return the worth of easing the named work at a monthly running cost of ``running``."""
    assumed = assumptions()
    needed = ("enquiries_per_month", "minutes_per_enquiry")
    missing = tuple(key for key in (*needed, "hourly_cost") if not profile.known(key))
    hours = None if set(missing) & set(needed) else _hours(profile, assumed)
    benefit = _benefit(hours, profile, assumed) if hours else None
    pilot = _pilot(assumed)
    return Value(
        hours, benefit, pilot, _payback(pilot, benefit, running) if benefit else None, missing
    )


def _hours(profile: Profile, assumed: Prices) -> Figure:
    cases = profile.number("enquiries_per_month") or 0.0
    minutes = profile.number("minutes_per_enquiry") or 0.0
    scope, saved, review = (
        assumed.values(key) for key in ("in_scope", "time_saved", "review_share")
    )
    kept = Range(1 - review.high, 1 - review.likely, 1 - review.low)
    values = scope * saved * kept * (cases * minutes / 60)
    formula = (
        f"{number(cases)} × {number(minutes)} ÷ 60 × {number(scope.likely)} × "
        f"{number(saved.likely)} × (1 − {number(review.likely)}) = {number(values.likely)}"
    )
    return figure(
        "hours_saved",
        Words("每月净节省工时", "Net hours saved a month"),
        values,
        HOURS_MONTH,
        formula,
        (
            *profile.sources("enquiries_per_month"),
            *profile.sources("minutes_per_enquiry"),
            *assumed.sources("in_scope", "time_saved", "review_share"),
        ),
    )


def _benefit(hours: Figure, profile: Profile, assumed: Prices) -> Figure:
    given = profile.number("hourly_cost")
    hourly = exactly(given) if given else assumed.values("hourly_cost")
    sources = profile.sources("hourly_cost") if given else assumed.sources("hourly_cost")
    values = range_of(hours) * hourly
    return figure(
        "benefit",
        Words("每月毛收益", "Benefit a month before running costs"),
        values,
        YUAN_MONTH,
        f"{number(hours.likely)} × {number(hourly.likely)} = {number(values.likely)}",
        (*hours.sources, *sources),
    )


def _pilot(assumed: Prices) -> Figure:
    keys = ("pilot_engineers", "pilot_weeks", "engineer_week", "business_hours", "business_hour",
            "pilot_other", "reserve")  # fmt: skip
    engineers, weeks, week, hours, hour, other, reserve = (assumed.values(key) for key in keys)
    values = (engineers * weeks * week + hours * hour + other) * (exactly(1) + reserve)
    formula = (
        f"({number(engineers.likely)} × {number(weeks.likely)} × {number(week.likely)} + "
        f"{number(hours.likely)} × {number(hour.likely)} + {number(other.likely)}) × "
        f"(1 + {number(reserve.likely)}) = {number(values.likely)}"
    )
    return figure(
        "pilot_cost",
        Words("试点费用（一次性）", "Cost of the pilot, once"),
        values,
        YUAN,
        formula,
        assumed.sources(*keys),
    )


def _payback(pilot: Figure, benefit: Figure, running: Figure) -> Figure | None:
    """Return the months in which the net benefit repays the pilot; see guidance chapter 21.

    The upper end is infinite where the lowest benefit does not cover the highest running cost.
    """
    best, likely = benefit.high - running.low, benefit.likely - running.likely
    worst = benefit.low - running.high
    if likely <= 0:
        return None
    formula = (
        f"{number(pilot.likely)} ÷ ({number(benefit.likely)} − {number(running.likely)}) "
        f"= {number(pilot.likely / likely)}"
    )
    return Figure(
        key="payback",
        label=Words("回收期", "Payback"),
        low=pilot.low / best,
        likely=pilot.likely / likely,
        high=pilot.high / worst if worst > 0 else math.inf,
        unit=MONTHS,
        formula=formula,
        sources=tuple(dict.fromkeys((*pilot.sources, *benefit.sources, *running.sources))),
    )
