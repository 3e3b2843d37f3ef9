"""The chapter on readiness: scores, what they rest on, what would raise them, what is missing."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.profile import form
from assistant.strategy.readiness import DimensionScore, rubric
from assistant.strategy.shown import score
from assistant.strategy.types import Bar, Block, Chart, Heading, Table


def chapter(writer: Writer, plan: Plan) -> list[Block]:
    """Return the chapter."""
    dimensions = plan.readiness.dimensions
    blocks: list[Block] = [
        Heading(writer.text("readiness")),
        writer.paragraph("readiness_lead", (rubric().rules.source(),)),
        Chart(
            kind="readiness",
            caption=writer.text("readiness_chart"),
            bars=tuple(_bar(writer, each) for each in dimensions),
        ),
        Table(
            caption=writer.text("readiness_table"),
            columns=writer.columns("dimension", "score", "meaning", "raise"),
            rows=tuple(_row(writer, each) for each in dimensions),
            widths=(0.1, 0.08, 0.32, 0.5),
            numeric=(False, True, False, False),
        ),
    ]
    missing = dict.fromkeys(key for each in dimensions for key in each.missing)
    if missing:
        named = writer.listed(writer.say(form().field(key).name) for key in missing)
        sources = [source for key in missing for source in plan.profile.sources(key)]
        blocks.append(writer.paragraph("missing", sources, fields=named))
    return [*blocks, _evidence(writer, dimensions)]


def _bar(writer: Writer, scored: DimensionScore) -> Bar:
    return Bar(writer.say(scored.dimension.name), 0.0, scored.score, note=score(scored.score))


def _row(writer: Writer, scored: DimensionScore) -> tuple[str, ...]:
    raises = writer.joined(writer.stated(each, 1) for each in scored.raises)
    return (
        writer.say(scored.dimension.name),
        score(scored.score),
        writer.say(scored.stage),
        raises or writer.text("nothing_to_raise"),
    )


def _evidence(writer: Writer, dimensions: tuple[DimensionScore, ...]) -> Table:
    rows = [
        (
            writer.say(scored.dimension.name) if first else "",
            str(each.level),
            writer.stated(each.statement, 3) + (writer.text("unproven") if each.unproven else ""),
        )
        for scored in dimensions
        for first, each in ((each is scored.criteria[0], each) for each in scored.criteria)
    ]
    return Table(
        caption=writer.text("evidence_table"),
        columns=writer.columns("dimension", "level", "known"),
        rows=tuple(rows),
        widths=(0.12, 0.08, 0.8),
        numeric=(False, True, False),
    )
