"""The use cases that suit a company: scored from its profile, ranked, and the ranking shaken.

Value, feasibility, data readiness and risk count 1 to 5, a higher risk score meaning less risk
(guidance, chapter 4). An unknown answer counts as the worse one, but never down to 1: only
what is known keeps a use case out of the first batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import product
from typing import Literal

from assistant.errors import ConfigurationError
from assistant.strategy.catalogue import UseCase, use_cases
from assistant.strategy.guidance import guidance
from assistant.strategy.profile import Profile
from assistant.strategy.texts import words
from assistant.strategy.types import Source, Statement, same

Aspect = Literal["value", "feasibility", "data", "risk"]

ASPECTS: tuple[Aspect, ...] = ("value", "feasibility", "data", "risk")
# Data that business systems hold: without an interface they come as exported files.
IN_SYSTEMS = frozenset({"tables", "tickets", "transactions", "medical_records", "sensor"})
QUALITY = {"clean": 5, "mixed": 3, "poor": 2}
OWNERS = {"yes": 5, "partly": 4, "no": 2}
# A risk score of at most this reaches customers or weighs more: the cautious take one off.
GRAVE = 3
UNKNOWN = 2
# Sensitivity: weights move in hundredths; the grid's are 0.05 to 0.60 in twentieths.
_STEPS = 100
_GRID, _GRID_LEAST, _GRID_MOST = 20, 1, 12
_SCALE = (4, "Which four aspects decide a large-model use case?")
_VETO = (4, "Is a high score enough?")


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
            raise ConfigurationError(
                f"Weights must be 0 or more, and not all 0: {given}. Correct them."
            )
        for aspect in ASPECTS:
            object.__setattr__(self, aspect, getattr(self, aspect) / total)

    def moved(self, aspect: Aspect, to: float) -> Weights:
        """Return the weights with one set to ``to``, the others sharing the rest as before."""
        rest = 1 - getattr(self, aspect)
        shares = {a: getattr(self, a) / rest if rest else 1 / 3 for a in ASPECTS if a != aspect}
        return Weights(**{a: share * (1 - to) for a, share in shares.items()}, **{aspect: to})


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


@dataclass(frozen=True)
class RankedUseCase:
    """A use case as it stands for one company.

    ``relevant`` tells that it eases work the company named, ``held`` why it stays out of the
    first batch (empty: it does not), ``missing`` which unknown fields lowered its scores.
    """

    use_case: UseCase
    scores: Scores
    total: float
    relevant: bool
    held: tuple[Statement, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """The use cases that suit a company, the best first.

    ``ranked`` are the relevant ones, ``others`` suit the industry but none of the functions
    named; ``notes`` hold for all of them.
    """

    ranked: tuple[RankedUseCase, ...]
    others: tuple[RankedUseCase, ...]
    weights: Weights
    notes: tuple[Statement, ...] = ()

    @property
    def first_batch(self) -> tuple[RankedUseCase, ...]:
        """The relevant use cases that nothing holds back, the best first."""
        return tuple(each for each in self.ranked if not each.held)


@dataclass(frozen=True)
class Tolerance:
    """How far one weight can go, others rescaled, before the top set changes (None: it never does).

    ``up`` and ``down`` are changes of the weight in hundredths of the whole.
    """

    aspect: Aspect
    up: float | None
    down: float | None


@dataclass(frozen=True)
class Sensitivity:
    """How firm the top of a ranking is.

    Of ``combinations`` of weights on a fixed grid, ``kept`` give the same ``top`` use cases.
    """

    top: tuple[str, ...]
    tolerances: tuple[Tolerance, ...]
    combinations: int
    kept: int

    @property
    def share(self) -> float:
        """The share of the combinations that keep the top set, 0 to 1."""
        return self.kept / self.combinations


def rank(
    profile: Profile,
    weights: Weights = Weights(),
    catalogue: Sequence[UseCase] | None = None,
) -> Ranking:
    """Return the use cases that suit a company, the best first.

    Equal totals are ordered by value, then feasibility, then id.
    """
    suited = [
        _placed(use_case, profile, weights)
        for use_case in (use_cases() if catalogue is None else catalogue)
        if use_case.suits(profile.one("industry"))
    ]
    suited.sort(key=lambda each: _order(each, weights))
    return Ranking(
        ranked=tuple(each for each in suited if each.relevant),
        others=tuple(each for each in suited if not each.relevant),
        weights=weights,
        notes=tuple(_notes(profile)),
    )


def sensitivity(ranking: Ranking, top: int = 3) -> Sensitivity:
    """Return how firm the first ``top`` use cases of a ranking's first batch are.

    Raises:
        ValueError: ``top`` is less than 1.
    """
    if top < 1:
        raise ValueError("At least one use case must be looked at.")
    batch, weights = ranking.first_batch, ranking.weights
    now = _top(batch, weights, top)
    grid = [_top(batch, each, top) == now for each in _grid()]
    tolerances = tuple(
        Tolerance(a, _limit(batch, weights, top, a, 1), _limit(batch, weights, top, a, -1))
        for a in ASPECTS
    )
    ids = tuple(each.use_case.id for each in batch[:top])
    return Sensitivity(ids, tolerances, combinations=len(grid), kept=sum(grid))


def _placed(use_case: UseCase, profile: Profile, weights: Weights) -> RankedUseCase:
    stated = profile.many("functions")
    scores = Scores(
        _value(use_case, profile),
        _feasibility(use_case, profile),
        _data(use_case, profile),
        _risk(use_case, profile),
    )
    unknown = [key for aspect in ASPECTS for key in getattr(scores, aspect).missing]
    if not profile.known("industry"):
        unknown.append("industry")
    return RankedUseCase(
        use_case=use_case,
        scores=scores,
        total=scores.total(weights),
        relevant=not stated or not set(stated).isdisjoint(use_case.functions),
        held=tuple(_held(scores)),
        missing=tuple(dict.fromkeys(unknown)),
    )


def _order(each: RankedUseCase, weights: Weights) -> tuple[float, int, int, str]:
    scores = each.scores
    return -scores.total(weights), -scores.value.value, -scores.feasibility.value, each.use_case.id


def _value(use_case: UseCase, profile: Profile) -> Score:
    """One more for a stated goal and function served, one less where no function is."""
    score = use_case.value
    reasons = [_rated("value", score, use_case.benefit.source())]
    missing = tuple(key for key in ("goals", "functions") if not profile.many(key))
    serves_goal = not set(profile.many("goals")).isdisjoint(use_case.goals)
    if "functions" in missing:
        score = _lowered(score, UNKNOWN)
        reasons.append(_said("functions_unknown", profile, "functions"))
    elif set(profile.many("functions")).isdisjoint(use_case.functions):
        score = _lowered(score)
        reasons.append(_said("functions_unserved", profile, "functions"))
    elif serves_goal:
        score = min(5, score + 1)
        reasons.append(_said("goals_served", profile, "goals", "functions"))
    if "goals" in missing:
        reasons.append(_said("goals_unknown", profile, "goals"))
    return Score(score, tuple(reasons), missing)


def _feasibility(use_case: UseCase, profile: Profile) -> Score:
    """One less where the data lie in systems that have no interface."""
    score, interfaces = use_case.feasibility, profile.one("interfaces")
    reasons = [_rated("feasibility", score)]
    if not any(IN_SYSTEMS.issuperset(kinds) for kinds in use_case.needs()):
        return Score(score, tuple(reasons))
    if interfaces is None:
        reasons.append(_said("interfaces_unknown", profile, "interfaces"))
        return Score(_lowered(score, UNKNOWN), tuple(reasons), ("interfaces",))
    if interfaces == "none":
        score = _lowered(score)
        reasons.append(_said("interfaces_none", profile, "interfaces"))
    return Score(score, tuple(reasons))


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
    elif any(held.isdisjoint(kinds) for kinds in use_case.needs()):
        levels.append(1)
        reasons = [_said("kinds_missing", profile, "data_kinds")]
    else:
        reasons = [_said("kinds_held", profile, "data_kinds")]
    for key, known in (("data_quality", QUALITY), ("data_owners", OWNERS)):
        text = profile.one(key) if profile.one(key) in known else "unknown"
        reasons.append(_said(f"{key}_{text}", profile, key))
    return Score(min(levels), tuple(reasons), tuple(missing))


def _risk(use_case: UseCase, profile: Profile) -> Score:
    """One less for the cautious where errors reach customers or weigh more."""
    score, appetite = use_case.risk, profile.one("risk_appetite")
    reasons = [_rated("risk", score)]
    if score > GRAVE or appetite in ("medium", "high"):
        return Score(score, tuple(reasons))
    if appetite is None:
        reasons.append(_said("appetite_unknown", profile, "risk_appetite"))
        return Score(_lowered(score, UNKNOWN), tuple(reasons), ("risk_appetite",))
    reasons.append(_said("appetite_low", profile, "risk_appetite"))
    return Score(_lowered(score), tuple(reasons))


def _lowered(score: int, least: int = 1) -> int:
    return min(score, max(least, score - 1))


def _rated(aspect: Aspect, score: int, *more: Source) -> Statement:
    """Say what the catalogue gives an aspect: the editors' rating on the guidance's scale."""
    rating = Source("assumption", words("usecases", "rating"), reference="usecases")
    name = words("usecases", aspect)
    text = words("usecases", "rated").filled(aspect=name, score=same(str(score)))
    return Statement(text, (guidance(*_SCALE), rating, *more))


def _said(text: str, profile: Profile, *keys: str) -> Statement:
    return Statement(words("usecases", text), tuple(s for k in keys for s in profile.sources(k)))


def _held(scores: Scores) -> Iterator[Statement]:
    for aspect in ASPECTS:
        score: Score = getattr(scores, aspect)
        if score.value == 1:
            text = words("usecases", "held").filled(aspect=words("usecases", aspect))
            because = (s for reason in score.reasons for s in reason.sources)
            yield Statement(text, tuple(dict.fromkeys((guidance(*_VETO), *because))))


def _notes(profile: Profile) -> Iterator[Statement]:
    """Say that nobody owns the result, without which the guidance starts nothing."""
    if profile.one("business_owner") != "yes":
        known = "no" if profile.known("business_owner") else "unknown"
        text = words("usecases", f"business_owner_{known}")
        yield Statement(text, (guidance(*_VETO), *profile.sources("business_owner")))


def _top(batch: Sequence[RankedUseCase], weights: Weights, top: int) -> frozenset[str]:
    best = sorted(batch, key=lambda each: _order(each, weights))[:top]
    return frozenset(each.use_case.id for each in best)


def _limit(
    batch: Sequence[RankedUseCase], weights: Weights, top: int, aspect: Aspect, sign: int
) -> float | None:
    """Return the smallest change of a weight in one direction that changes the top set."""
    now = _top(batch, weights, top)
    for step in range(1, _STEPS + 1):
        to = round(getattr(weights, aspect) + sign * step / _STEPS, 9)
        if not 0 <= to <= 1:
            return None
        if _top(batch, weights.moved(aspect, to), top) != now:
            return step / _STEPS
    return None


def _grid() -> Iterator[Weights]:
    """Every combination of weights of the grid that sums to 1."""
    for parts in product(range(_GRID_LEAST, _GRID_MOST + 1), repeat=len(ASPECTS)):
        if sum(parts) == _GRID:
            yield Weights(*(part / _GRID for part in parts))
