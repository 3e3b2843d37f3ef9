"""The use cases that suit a company, ranked by their scores, and how firm the ranking is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from assistant.strategy.catalogue import UseCase, use_cases
from assistant.strategy.evidence import sources_for
from assistant.strategy.guidance import guidance
from assistant.strategy.profile import Profile
from assistant.strategy.scoring import (
    ASPECTS,
    DEFAULT_WEIGHTS,
    Aspect,
    Score,
    Scores,
    Weights,
    score,
)
from assistant.strategy.texts import words
from assistant.strategy.types import Statement

__all__ = [
    "RankedUseCase",
    "Ranking",
    "Score",
    "Scores",
    "Sensitivity",
    "Tolerance",
    "UseCase",
    "Weights",
    "rank",
    "sensitivity",
    "use_cases",
]

# Sensitivity: weights move in hundredths; the grid's are 0.05 to 0.60 in twentieths.
_STEPS = 100
_GRID, _GRID_LEAST, _GRID_MOST = 20, 1, 12
_ORDER = (4, "In what order should several use cases proceed?")
_VETO = (4, "Is a high score enough?")


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
    weights: Weights = DEFAULT_WEIGHTS,
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
    scores = score(use_case, profile)
    unknown = [key for aspect in ASPECTS for key in getattr(scores, aspect).missing]
    if not profile.known("industry"):
        unknown.append("industry")
    return RankedUseCase(
        use_case=use_case,
        scores=scores,
        total=scores.total(weights),
        relevant=not stated or not set(stated).isdisjoint(use_case.functions),
        held=(*_held(scores), *_not_now(use_case, profile)),
        missing=tuple(dict.fromkeys(unknown)),
    )


def _order(each: RankedUseCase, weights: Weights) -> tuple[float, int, int, str]:
    scores = each.scores
    return -scores.total(weights), -scores.value.value, -scores.feasibility.value, each.use_case.id


def _held(scores: Scores) -> Iterator[Statement]:
    for aspect in ASPECTS:
        given: Score = getattr(scores, aspect)
        if given.value == 1:
            text = words("usecases", "held").filled(aspect=words("usecases", aspect))
            because = (s for reason in given.reasons for s in reason.sources)
            yield Statement(text, tuple(dict.fromkeys((guidance(*_VETO), *because))))


def _not_now(use_case: UseCase, profile: Profile) -> Iterator[Statement]:
    """Say that a use case is in use already, or that its risk allows preparation alone."""
    if use_case.id in profile.many("in_use"):
        yield Statement(
            words("usecases", "held_in_use"), sources_for(profile, "in_use", use_case.id)
        )
    if use_case.tier == "high":
        yield Statement(words("usecases", "held_high_tier"), (guidance(*_ORDER),))


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
