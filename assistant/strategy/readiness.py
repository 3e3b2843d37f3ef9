"""Readiness: six dimensions scored from the profile by the published rubric ``data/rubric.yaml``.

A score rests on what the papers or the interview say; what nobody knows counts as the
lowest level and is listed, and what no paper shows never reaches the highest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, model_validator

from assistant.strategy.guidance import Section
from assistant.strategy.holdings import memory_gb
from assistant.strategy.profile import Profile, form, show
from assistant.strategy.texts import checked
from assistant.strategy.types import Statement, Words
from assistant.types import Language

LOWEST, HIGHEST, SAID_AT_MOST = 1, 5, 4

_Steps = tuple[tuple[float, int], ...]


class Criterion(BaseModel):
    """One thing that is scored, by exactly one of its rules; see ``data/rubric.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Words
    raise_: Words
    guidance: Section
    field: str = ""
    options: dict[str, int] = {}
    numbers: _Steps = ()
    counts: tuple[int, ...] = ()
    memory: _Steps = ()
    known: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: dict[str, object]) -> dict[str, object]:
        return {"raise_" if key == "raise" else key: value for key, value in values.items()}

    @property
    def fields(self) -> tuple[str, ...]:
        """The profile's fields that it is scored from."""
        return self.known or (self.field,)


class Dimension(BaseModel):
    """One side of readiness: its criteria, and what each level from 1 to 5 means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    name: Words
    levels: tuple[Words, Words, Words, Words, Words]
    criteria: tuple[Criterion, ...]


class Rubric(BaseModel):
    """The whole rubric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Section
    dimensions: tuple[Dimension, ...]


@dataclass(frozen=True)
class CriterionScore:
    """A criterion's level from 1 to 5, and the statement of what it rests on.

    ``missing`` are the fields that nobody could answer; ``unproven`` says that the level was
    held at 4 because no paper of the company shows it.
    """

    criterion: Criterion
    level: int
    statement: Statement
    missing: tuple[str, ...] = ()
    unproven: bool = False


@dataclass(frozen=True)
class DimensionScore:
    """A dimension's score (the mean of its criteria, 1 to 5) and the level it has reached.

    ``raises`` are the actions that lift it by one level, the lowest criteria first.
    """

    dimension: Dimension
    score: float
    level: int
    criteria: tuple[CriterionScore, ...]
    raises: tuple[Statement, ...]

    @property
    def stage(self) -> Words:
        """What the state is called; far above its weakest criteria, these are named with it."""
        lowest = min(each.level for each in self.criteria)
        words = self.dimension.levels[min(self.level, lowest + 2) - 1]
        if self.level < lowest + 2:
            return words
        weak = [each.criterion.name for each in self.criteria if each.level == lowest]
        zh, en = "、".join(name.zh for name in weak), ", ".join(name.en for name in weak)
        return Words(f"{words.zh}短板：{zh}。", f"{words.en} Weakest: {en}.")

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that nobody could answer."""
        return tuple(dict.fromkeys(key for each in self.criteria for key in each.missing))


@dataclass(frozen=True)
class Readiness:
    """The scores of all dimensions; ``score`` is their mean."""

    score: float
    dimensions: tuple[DimensionScore, ...]


def assess(profile: Profile) -> Readiness:
    """Return how ready a company is, from what is known of it."""
    dimensions = tuple(_dimension(each, profile) for each in rubric().dimensions)
    return Readiness(_mean([each.score for each in dimensions]), dimensions)


def _dimension(dimension: Dimension, profile: Profile) -> DimensionScore:
    criteria = tuple(_criterion(each, profile) for each in dimension.criteria)
    score = _mean([each.level for each in criteria])
    level = int(score)
    return DimensionScore(dimension, score, level, criteria, _raises(criteria, level))


def _criterion(criterion: Criterion, profile: Profile) -> CriterionScore:
    missing = tuple(key for key in criterion.fields if not profile.known(key))
    level = _level(criterion, profile)
    sources = tuple(
        dict.fromkeys(source for key in criterion.fields for source in profile.sources(key))
    )
    unproven = level > SAID_AT_MOST and not any(source.kind == "company" for source in sources)
    if unproven:
        level = SAID_AT_MOST
    return CriterionScore(
        criterion, level, Statement(_said(criterion, profile), sources), missing, unproven
    )


def _level(criterion: Criterion, profile: Profile) -> int:
    if criterion.known:
        share = sum(profile.known(key) for key in criterion.known) / len(criterion.known)
        return LOWEST + int(share * (HIGHEST - LOWEST))
    if not profile.known(criterion.field):
        return LOWEST
    if criterion.options:
        return criterion.options[profile.one(criterion.field) or ""]
    if criterion.counts:
        chosen = len(profile.many(criterion.field))
        return criterion.counts[min(chosen, len(criterion.counts) - 1)]
    if criterion.memory:
        return _step(criterion.memory, memory_gb(profile.many(criterion.field)))
    return _step(criterion.numbers, profile.number(criterion.field) or 0.0)


def _step(steps: _Steps, value: float) -> int:
    """Return the level of the last step that a value reaches."""
    return max((level for least, level in steps if value >= least), default=LOWEST)


def _said(criterion: Criterion, profile: Profile) -> Words:
    """Return what is known of a criterion, in words."""

    def known(language: Language, nothing: str) -> list[str]:
        return [
            show(form().field(key), profile.answers.get(key), language) or nothing
            for key in criterion.fields
        ]

    return Words(
        f"{criterion.name.zh}：{'；'.join(known('zh', '尚未回答'))}",
        f"{criterion.name.en}: {'; '.join(known('en', 'not answered'))}",
    )


def _raises(criteria: tuple[CriterionScore, ...], level: int) -> tuple[Statement, ...]:
    """Return the actions that lift a dimension to its next level, the lowest criteria first.

    Each action lifts its criterion by at most two levels; as many are taken as it needs.
    """
    if level >= HIGHEST:
        return ()
    needed = (level + 1) * len(criteria) - sum(each.level for each in criteria)
    actions: list[Statement] = []
    for each in sorted(criteria, key=lambda each: each.level):
        if needed <= 0 or each.level >= HIGHEST:
            break
        actions.append(Statement(each.criterion.raise_, (each.criterion.guidance.source(),)))
        needed -= min(2, HIGHEST - each.level)
    return tuple(actions)


def _mean(values: list[float] | list[int]) -> float:
    return round(sum(values) / len(values), 2)


@lru_cache(maxsize=1)
def rubric() -> Rubric:
    """Return the rubric; see `texts.checked`."""
    return checked("rubric", Rubric)
