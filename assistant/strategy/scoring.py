"""Scores a use case for a company: value, feasibility, data readiness and risk, each 1 to 5.

A higher risk score means less risk (guidance, chapter 4). An unknown answer counts as the
worse one, but never down to 1: only what is known keeps a use case out of the first batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

from assistant.errors import QuestionError
from assistant.strategy.catalogue import UseCase
from assistant.strategy.guidance import guidance
from assistant.strategy.profile import Profile, form
from assistant.strategy.texts import words
from assistant.strategy.types import Source, Statement, Words, same

Aspect = Literal["value", "feasibility", "data", "risk"]

ASPECTS: tuple[Aspect, ...] = ("value", "feasibility", "data", "risk")
# Data that business systems hold: without an interface they come as exported files.
IN_SYSTEMS = frozenset({"tables", "tickets", "transactions", "medical_records", "sensor"})
QUALITY = {"clean": 5, "mixed": 3, "poor": 2}
OWNERS = {"yes": 5, "partly": 4, "no": 2}
# A risk score of at most this reaches customers or weighs more: the cautious take one off.
GRAVE = 3
UNKNOWN = 2
_SCALE = (4, "Which four aspects decide a large-model use case?")


@dataclass(frozen=True)
class Weights:
    """How much each score counts; brought to a sum of 1 (defaults: guidance, chapter 4)."""

    value: float = 0.35
    feasibility: float = 0.25
    data: float = 0.25
    risk: float = 0.15

    def __post_init__(self) -> None:
        given = astuple(self)
        total = sum(given)
        if not math.isfinite(total) or total <= 0 or min(given) < 0:
            raise QuestionError(f"Weights must be 0 or more, and not all 0: {given}. Correct them.")
        for aspect in ASPECTS:
            object.__setattr__(self, aspect, getattr(self, aspect) / total)

    def moved(self, aspect: Aspect, to: float) -> Weights:
        """Return the weights with one set to ``to``, the others sharing the rest as before."""
        rest = 1 - getattr(self, aspect)
        shares = {a: getattr(self, a) / rest if rest else 1 / 3 for a in ASPECTS if a != aspect}
        return Weights(**{a: share * (1 - to) for a, share in shares.items()}, **{aspect: to})


DEFAULT_WEIGHTS = Weights()


@dataclass(frozen=True)
class Score:
    """A score of 1 to 5 and why; ``missing`` are the profile's unknown fields that lowered it."""

    value: int
    reasons: tuple[Statement, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """The four scores of a use case."""

    value: Score
    feasibility: Score
    data: Score
    risk: Score

    def total(self, weights: Weights) -> float:
        """Return the weighted sum, at most 5; rounded, so that equal sums compare equal."""
        total: float = sum(getattr(weights, a) * getattr(self, a).value for a in ASPECTS)
        return round(total, 9)


def score_rule() -> Source:
    """Return the guidance's rule for weighing the four scores."""
    return guidance(4, "How is a use case's score calculated?")


def score(use_case: UseCase, profile: Profile) -> Scores:
    """Return the four scores of a use case for a company."""
    return Scores(
        _value(use_case, profile),
        _feasibility(use_case, profile),
        _data(use_case, profile),
        _risk(use_case, profile),
    )


def _value(use_case: UseCase, profile: Profile) -> Score:
    """One more for a function and enough goals served, one less where no function is.

    Two of the stated goals are enough, or the only one: most use cases serve some goal.
    """
    level = use_case.value
    reasons = [_rated("value", level, use_case.benefit.source())]
    missing = tuple(key for key in ("goals", "functions") if not profile.many(key))
    goals = set(profile.many("goals"))
    serves_goals = bool(goals) and len(goals & set(use_case.goals)) >= min(2, len(goals))
    if "functions" in missing:
        level = _lowered(level, UNKNOWN)
        reasons.append(_said("functions_unknown", profile, "functions"))
    elif set(profile.many("functions")).isdisjoint(use_case.functions):
        level = _lowered(level)
        reasons.append(_said("functions_unserved", profile, "functions"))
    elif serves_goals:
        level = min(5, level + 1)
        reasons.append(_said("goals_served", profile, "goals", "functions"))
    if "goals" in missing:
        reasons.append(_said("goals_unknown", profile, "goals"))
    return Score(level, tuple(reasons), missing)


def _feasibility(use_case: UseCase, profile: Profile) -> Score:
    """One less where the data lie in systems that have no interface."""
    level, interfaces = use_case.feasibility, profile.one("interfaces")
    reasons = [_rated("feasibility", level)]
    if not any(IN_SYSTEMS.issuperset(kinds) for kinds in use_case.needs()):
        return Score(level, tuple(reasons))
    if interfaces is None:
        reasons.append(_said("interfaces_unknown", profile, "interfaces"))
        return Score(_lowered(level, UNKNOWN), tuple(reasons), ("interfaces",))
    if interfaces == "none":
        level = _lowered(level)
        reasons.append(_said("interfaces_none", profile, "interfaces"))
    return Score(level, tuple(reasons))


def _data(use_case: UseCase, profile: Profile) -> Score:
    """The weakest decides: kinds at hand, quality, owners; only missing data count 1."""
    missing = [k for k in ("data_kinds", "data_quality", "data_owners") if not profile.known(k)]
    held = set(profile.many("data_kinds"))
    levels = [
        QUALITY.get(profile.one("data_quality") or "", UNKNOWN),
        OWNERS.get(profile.one("data_owners") or "", UNKNOWN),
    ]
    if "data_kinds" in missing:
        levels.append(UNKNOWN)
        reasons = [_said("kinds_unknown", profile, "data_kinds")]
    elif lacking := [kinds for kinds in use_case.needs() if held.isdisjoint(kinds)]:
        levels.append(1)
        text = words("usecases", "kinds_missing").filled(kinds=_named(lacking))
        reasons = [Statement(text, profile.sources("data_kinds"))]
    else:
        reasons = [_said("kinds_held", profile, "data_kinds")]
    for key, known in (("data_quality", QUALITY), ("data_owners", OWNERS)):
        answer = profile.one(key) if profile.one(key) in known else "unknown"
        reasons.append(_said(f"{key}_{answer}", profile, key))
    return Score(min(levels), tuple(reasons), tuple(missing))


def _risk(use_case: UseCase, profile: Profile) -> Score:
    """One less for the cautious where errors reach customers or weigh more."""
    level, appetite = use_case.risk, profile.one("risk_appetite")
    reasons = [_rated("risk", level)]
    if level > GRAVE or appetite in ("medium", "high"):
        return Score(level, tuple(reasons))
    if appetite is None:
        reasons.append(_said("appetite_unknown", profile, "risk_appetite"))
        return Score(_lowered(level, UNKNOWN), tuple(reasons), ("risk_appetite",))
    reasons.append(_said("appetite_low", profile, "risk_appetite"))
    return Score(_lowered(level), tuple(reasons))


def _named(needs: Sequence[Sequence[str]]) -> Words:
    """Return kinds of data by name, the alternatives of each joined by "or"."""
    names = form().field("data_kinds").options
    return Words(
        "、".join("或".join(names[kind].zh for kind in kinds) for kinds in needs),
        ", ".join(" or ".join(names[kind].en for kind in kinds) for kinds in needs),
    )


def _lowered(level: int, least: int = 1) -> int:
    return min(level, max(least, level - 1))


def _rated(aspect: Aspect, level: int, *more: Source) -> Statement:
    """Say what the catalogue gives an aspect: the editors' rating on the guidance's scale."""
    rating = Source("assumption", words("usecases", "rating"), reference="usecases")
    name = words("usecases", aspect)
    text = words("usecases", "rated").filled(aspect=name, score=same(str(level)))
    return Statement(text, (guidance(*_SCALE), rating, *more))


def _said(text: str, profile: Profile, *keys: str) -> Statement:
    return Statement(words("usecases", text), tuple(s for k in keys for s in profile.sources(k)))
