"""The strategy measured: cited claims, figures that the plan holds, the same plan twice.

Three companies with answers, and with what a person who knows the business expects, stand in
``cases/strategy``. ``python -m evals.strategy`` prints the shares for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assistant.strategy import Brief, Given, Plan, Profile, Weights, form, make_plan, write
from assistant.strategy.brief.appendix import figures
from assistant.strategy.parse import parse
from assistant.strategy.profile import answered, show
from assistant.strategy.shown import plain, shown
from assistant.strategy.types import (
    Bullets,
    Heading,
    Paragraph,
    Source,
    SourceList,
    Statement,
    Table,
    Words,
    same,
)
from assistant.text import numbers

CASES = Path(__file__).parent / "cases" / "strategy"
COMPANIES = ("bank", "hospital", "manufacturer")
MARK = re.compile(r"\[[AI]?\d+\]")


@dataclass(frozen=True)
class Measured:
    """How a brief did: claims with a mark of all claims, and the numbers that nothing holds."""

    claims: int
    cited: int
    loose: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of the claims that carry a mark."""
        return self.cited / self.claims


def company(name: str) -> dict[str, Any]:
    """Return a company's case: its name, its answers, what is expected."""
    found: dict[str, Any] = yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))
    return found


def profile_of(name: str) -> Profile:
    """Return the profile that a company's answers make."""
    known = company(name)
    profile = Profile(company=known["company"], version=1, date="2026-11-24")
    for key, said in known["answers"].items():
        given = Given(parse(form().field(key), said), (answered(key, same(said)),))
        profile = profile.with_answer(key, given)
    return profile


def measure(brief: Brief, plan: Plan) -> Measured:
    """Return what a brief's statements rest on."""
    claims = list(_claims(brief))
    held = _held(plan)
    loose = {
        number
        for text in _texts(brief)
        for number in numbers(MARK.sub("", text))
        if number not in held
    }
    return Measured(len(claims), sum(bool(MARK.search(c)) for c in claims), tuple(sorted(loose)))


def _claims(brief: Brief) -> Iterator[str]:
    """Yield what a brief claims: the paragraphs that are no notes, and the points of its lists."""
    for block in brief.blocks:
        if isinstance(block, Paragraph) and block.role != "note":
            yield block.text
        elif isinstance(block, Bullets):
            yield from block.items


def _texts(brief: Brief) -> Iterator[str]:
    """Yield every text of a brief but its source lists, which quote others."""
    for block in brief.blocks:
        if isinstance(block, Heading | Paragraph):
            yield block.text
        elif isinstance(block, Bullets):
            yield from block.items
        elif isinstance(block, Table):
            yield block.caption
            for row in block.rows:
                yield from row
        else:
            assert not isinstance(block, SourceList) or block.entries


def _held(plan: Plan) -> set[str]:
    """Return the numbers of the computed facts, as both languages write them."""
    held: set[str] = set()
    for text in _facts(plan):
        held |= numbers(text)
    return held


def _facts(plan: Plan) -> Iterator[str]:
    for figure in figures(plan):
        yield figure.formula
        for language in ("zh", "en"):
            yield shown(figure, language)
            yield shown(figure, language, likely_only=True)
    for key, given in plan.profile.answers.items():
        yield show(form().field(key), given, "zh")
        yield show(form().field(key), given, "en")
    yield f"{plan.profile.version} {plan.profile.date} {plan.profile.company}"
    for phase in plan.roadmap.phases:
        yield " ".join(f"{task.start + 1}" for task in phase.tasks)
    yield f"{plan.sensitivity.share:.0%}"
    for each in plan.sensitivity.tolerances:
        weight = getattr(plan.ranking.weights, each.aspect)
        yield f"{weight:.0%}"
        yield f"{weight + (each.up or 0):.0%} {weight - (each.down or 0):.0%}"
    yield from _values(plan)


def _values(value: object) -> Iterator[str]:
    """Yield every word and number of a plan, however deep it lies."""
    if isinstance(value, Words):
        yield from (value.zh, value.en)
    elif isinstance(value, Source):
        yield from _values(value.title)
        yield from _values(value.quote)
    elif isinstance(value, Statement):
        yield from _values(value.text)
        yield from _values(value.sources)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float):
        yield f"{value} {value:g} {value:.2f} {value:.1f} {plain(value)}"
    elif isinstance(value, tuple | list):
        yield str(len(value))
        for each in value:
            yield from _values(each)
    elif hasattr(value, "__dataclass_fields__") or hasattr(type(value), "model_fields"):
        for each in vars(value).values():
            yield from _values(each)


def main() -> None:
    """Print the shares of each company in both languages."""
    for name in COMPANIES:
        profile = profile_of(name)
        plan = make_plan(profile, (), Weights())
        repeated = make_plan(profile, (), Weights()) == plan
        for language in ("zh", "en"):
            measured = measure(write(plan, language), plan)
            print(
                f"{name} {language}: {measured.cited} of {measured.claims} claims cited, "
                f"{len(measured.loose)} loose numbers {measured.loose}, "
                f"{len(plan.recommendations)} recommendations, same plan twice: {repeated}"
            )


if __name__ == "__main__":
    main()
