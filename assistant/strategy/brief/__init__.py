"""The brief: the whole plan as one document in Chinese or English, ready to be rendered.

Each chapter is a module; the figures are the plan's, the words ``data/brief.yaml``'s, and
every statement carries the marks of its sources.
"""

from __future__ import annotations

from assistant.strategy.brief import (
    appendix,
    investment,
    readiness,
    risks,
    road,
    summary,
    usecases,
)
from assistant.strategy.brief.prose import Narrator, narrate
from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.types import Block, Brief, PageBreak
from assistant.types import Language

__all__ = ["Narrator", "write"]

CHAPTERS = (
    summary.recommendations,
    readiness.chapter,
    usecases.chapter,
    investment.chapter,
    risks.chapter,
    road.chapter,
)


def write(plan: Plan, language: Language, narrator: Narrator | None = None) -> Brief:
    """Return the brief of a plan; with a narrator, with its checked connecting prose."""
    writer = Writer(language)
    blocks: list[Block] = [*summary.page(writer, plan), PageBreak()]
    for chapter in CHAPTERS:
        written = chapter(writer, plan)
        blocks += narrate(written, language, narrator) if narrator else written
    blocks += [PageBreak(), *appendix.chapters(writer, plan)]
    return Brief(
        title=writer.text("title"),
        subtitle=plan.profile.company,
        date=plan.profile.date,
        language=language,
        blocks=tuple(blocks),
    )
