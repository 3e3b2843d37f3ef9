"""Findings: where the company's papers contradict the guidance, or one another.

Figures are compared, not opinions: the checks of ``data/checks.yaml`` read one figure each,
and the profile's numeric fields are findings where two papers differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from assistant.strategy.evidence import Proposal, Search, folded, read_sentences
from assistant.strategy.guidance import Section
from assistant.strategy.profile import Given, form, show
from assistant.strategy.texts import checked, words
from assistant.strategy.types import Source, Statement, Words
from assistant.types import Language

_LANGUAGES: tuple[Language, Language] = ("zh", "en")


class Check(BaseModel):
    """One figure to compare; see ``data/checks.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: Words
    unit: Words
    queries: tuple[str, ...]
    patterns: tuple[str, ...]
    least: float | None = None
    most: float | None = None
    scale: dict[str, float] = {}
    guidance: Section | None = None


class Checks(BaseModel):
    """All checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: tuple[Check, ...]


@dataclass(frozen=True)
class _Figure:
    """A figure that a paper gives."""

    value: float
    source: Source


def find(search: Search, proposals: Mapping[str, Proposal]) -> tuple[Statement, ...]:
    """Return what contradicts what, each with the passages that say so."""
    findings = [finding for check in checks() for finding in _findings(check, search)]
    return (*findings, *_differing(proposals))


def _findings(check: Check, search: Search) -> list[Statement]:
    figures = _figures(check, search)
    by_value: dict[float, _Figure] = {}
    for figure in figures:
        by_value.setdefault(figure.value, figure)
    findings = []
    papers = {figure.source.title.zh for figure in by_value.values()}
    if len(by_value) > 1 and len(papers) > 1 and not check.guidance:
        findings.append(_contradiction(check, tuple(by_value.values())))
    broken = [figure for figure in by_value.values() if _breaks(check, figure.value)]
    findings += [_against_guidance(check, figure) for figure in broken[:1]]
    return findings


def _figures(check: Check, search: Search) -> list[_Figure]:
    return [
        _Figure(value, each.source())
        for each in read_sentences(search, check.queries)
        for pattern in check.patterns
        for match in re.finditer(pattern, folded(each.text), re.IGNORECASE)
        for value in [check.scale.get(match["n"].casefold()) or _number(match["n"])]
    ]


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _breaks(check: Check, value: float) -> bool:
    too_low = check.least is not None and value < check.least
    too_high = check.most is not None and value > check.most
    return too_low or too_high


def _contradiction(check: Check, figures: Sequence[_Figure]) -> Statement:
    said = [_amount(figure.value, check.unit) for figure in figures]
    zh = "、".join(
        f"《{f.source.title.zh}》为{amount.zh}" for f, amount in zip(figures, said, strict=True)
    )
    en = ", ".join(
        f"{amount.en} in “{f.source.title.en}”" for f, amount in zip(figures, said, strict=True)
    )
    text = words("findings", "contradiction").filled(name=check.name, said=Words(zh, en))
    return Statement(text, tuple(figure.source for figure in figures))


def _against_guidance(check: Check, figure: _Figure) -> Statement:
    assert check.guidance is not None
    low = check.least is not None
    limit = check.least if check.least is not None else check.most
    text = words("findings", "below" if low else "above").filled(
        name=check.name,
        said=_amount(figure.value, check.unit),
        advised=_amount(limit or 0.0, check.unit),
        paper=figure.source.title,
    )
    return Statement(text, (figure.source, check.guidance.source()))


def _differing(proposals: Mapping[str, Proposal]) -> list[Statement]:
    """Return the numeric fields for which two papers give different figures."""
    findings = []
    for key, proposal in proposals.items():
        asked = form().field(key)
        readings = (proposal.reading, *proposal.others)
        papers = [reading.sources[0].title.zh for reading in readings]
        if asked.kind != "number" or len(set(papers)) < 2:
            continue
        zh, en = (
            [show(asked, Given(each.value, each.sources), language) for each in readings]
            for language in _LANGUAGES
        )
        said = Words("、".join(zh), ", ".join(en))
        text = words("findings", "differing").filled(name=asked.name, said=said)
        findings.append(Statement(text, tuple(reading.sources[0] for reading in readings)))
    return findings


def _amount(value: float, unit: Words) -> Words:
    number = f"{value:,.10g}"
    return Words(f"{number}{unit.zh}", f"{number}{'' if unit.en == '%' else ' '}{unit.en}")


@lru_cache(maxsize=1)
def checks() -> tuple[Check, ...]:
    """Return the checks; see `texts.checked`."""
    return checked("checks", Checks).checks
