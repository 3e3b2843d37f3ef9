"""The risk register: likelihood × impact for this company, controls, owner, early signal.

The risks, their base scores and what changes them stand in ``data/risks.yaml``; a control
counts as held only where the profile shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from assistant.strategy.guidance import Section
from assistant.strategy.profile import Profile
from assistant.strategy.texts import checked
from assistant.strategy.types import Source, Statement, Words
from assistant.strategy.usecases import RankedUseCase

# The guidance's lines: from here a risk must be lowered before launch, or needs a dated remedy.
HIGH, MEDIUM = 15, 8
# A use case whose risk score (5 is harmless) is at most this brings a risk of its own.
RISKY_USE_CASE = 3


class Adjustment(BaseModel):
    """What the profile changes: where one of its conditions holds, the scores are moved."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    field: str
    is_: tuple[str, ...] = ()
    has: str = ""
    below: float | None = None
    unknown: bool = False
    likelihood: int = 0
    impact: int = 0

    def holds(self, profile: Profile) -> bool:
        """Tell whether the profile meets the condition."""
        if self.unknown:
            return not profile.known(self.field)
        if self.below is not None:
            number = profile.number(self.field)
            return number is not None and number < self.below
        if self.has:
            return self.has in profile.many(self.field)
        return profile.one(self.field) in self.is_


class Control(BaseModel):
    """Something that lowers a risk; ``held`` are the profile's answers that show it in place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: str
    en: str
    held: dict[str, tuple[str, ...] | Literal["known"]] = {}

    def sources(self, profile: Profile) -> tuple[Source, ...]:
        """Return what shows that the control is in place, nothing where it is not."""
        shown = self.held and all(
            profile.known(key) if values == "known" else profile.one(key) in values
            for key, values in self.held.items()
        )
        return tuple(s for key in self.held for s in profile.sources(key)) if shown else ()


class RiskEntry(BaseModel):
    """A risk as the catalogue knows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: Words
    likelihood: int
    impact: int
    owner: Words
    when: tuple[Adjustment, ...]
    controls: tuple[Control, ...]
    signal: Words
    guidance: Section


class RiskCatalogue(BaseModel):
    """All risks, and the section that says how they are scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: Section
    risks: tuple[RiskEntry, ...]


@dataclass(frozen=True)
class Risk:
    """One line of the register. Scores are from 1 to 5, their product at most 25.

    ``held`` are the controls in place, each with the paper or answer that shows it;
    ``planned`` those still to come. ``residual`` is the likelihood once all are in place.
    """

    id: str
    name: Words
    likelihood: int
    impact: int
    residual_likelihood: int
    owner: Words
    held: tuple[Statement, ...]
    planned: tuple[Statement, ...]
    signal: Words
    sources: tuple[Source, ...]

    @property
    def score(self) -> int:
        """Likelihood × impact today."""
        return self.likelihood * self.impact

    @property
    def residual(self) -> int:
        """Likelihood × impact with all controls in place."""
        return self.residual_likelihood * self.impact


def register(profile: Profile, chosen: tuple[RankedUseCase, ...]) -> tuple[Risk, ...]:
    """Return the risks of a company with the use cases it has chosen, the gravest first."""
    entries = [_risk(entry, profile) for entry in catalogue().risks]
    entries += [
        _use_case_risk(each, profile) for each in chosen if each.use_case.risk <= RISKY_USE_CASE
    ]
    return tuple(sorted(entries, key=lambda risk: (-risk.score, -risk.impact, risk.id)))


def _risk(entry: RiskEntry, profile: Profile) -> Risk:
    changes = [change for change in entry.when if change.holds(profile)]
    shown = [(control, control.sources(profile)) for control in entry.controls]
    held = tuple(Statement(Words(c.zh, c.en), sources) for c, sources in shown if sources)
    source = entry.guidance.source()
    planned = tuple(Statement(Words(c.zh, c.en), (source,)) for c, sources in shown if not sources)
    # A paper is not yet practice: however many controls stand in papers, they lower it once.
    likelihood = _scale(entry.likelihood + sum(c.likelihood for c in changes) - bool(held))
    reasons = [s for change in changes for s in profile.sources(change.field)]
    return Risk(
        id=entry.id,
        name=entry.name,
        likelihood=likelihood,
        impact=_scale(entry.impact + sum(change.impact for change in changes)),
        residual_likelihood=_scale(likelihood - len(planned)),
        owner=entry.owner,
        held=held,
        planned=planned,
        signal=entry.signal,
        sources=tuple(dict.fromkeys((source, *reasons))),
    )


def _use_case_risk(ranked: RankedUseCase, profile: Profile) -> Risk:
    """Return the risk that a use case itself brings: its errors, held by its own oversight."""
    use_case = ranked.use_case
    sources = use_case.guidance_sources()
    impact = _scale(6 - use_case.risk)
    return Risk(
        id=f"use-case-{use_case.id}",
        name=Words(f"“{use_case.name.zh}”出错", f"Errors in “{use_case.name.en}”"),
        likelihood=3,
        impact=impact,
        residual_likelihood=2,
        owner=Words("业务负责人", "Business owner"),
        held=(),
        planned=(Statement(use_case.oversight, sources),),
        signal=Words("复核中改动的比例上升", "Reviewers change more and more"),
        sources=sources,
    )


def _scale(value: int) -> int:
    return max(1, min(5, value))


@lru_cache(maxsize=1)
def catalogue() -> RiskCatalogue:
    """Return the risks; see `texts.checked`."""
    return checked("risks", RiskCatalogue)
