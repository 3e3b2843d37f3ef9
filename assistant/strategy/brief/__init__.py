"""The brief: the whole plan as one document in Chinese or English, ready to be rendered.

Each chapter is a module; the figures are the plan's, the words ``data/brief.yaml``'s, and
every statement carries the marks of its sources.
"""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel

from assistant.strategy.brief import (
    appendix,
    investment,
    readiness,
    risks,
    road,
    summary,
    usecases,
)
from assistant.strategy.brief.prose import narrate
from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.types import Block, Brief, PageBreak
from assistant.types import Language

__all__ = ["write"]

CHAPTERS = (
    summary.recommendations,
    readiness.chapter,
    usecases.chapter,
    investment.chapter,
    risks.chapter,
    road.chapter,
)


def write(plan: Plan, language: Language, engine: BaseChatModel | None = None) -> Brief:
    """Return the brief of a plan; with an engine, with its checked connecting prose."""
    writer = Writer(language)
    blocks: list[Block] = [*summary.page(writer, plan), PageBreak()]
    for chapter in CHAPTERS:
        written = chapter(writer, plan)
        blocks += narrate(written, writer, engine) if engine else written
    blocks += [PageBreak(), *appendix.chapters(writer, plan)]
    return Brief(
        title=writer.text("title"),
        subtitle=plan.profile.company,
        date=plan.profile.date,
        language=language,
        blocks=tuple(blocks),
    )
