"""The executive summary on one page, and the list of recommendations."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.profile import form
from assistant.strategy.risks import HIGH
from assistant.strategy.shown import score
from assistant.strategy.types import Block, Bullets, Heading, Paragraph

# What fits on one page beside the six points.
_DECISIONS, _MISSING = 4, 6


def page(writer: Writer, plan: Plan) -> list[Block]:
    """Return the summary: the state, the first step, the money, the risks, the road."""
    points = [
        _ready(writer, plan),
        *(writer.stated(each, most=2) for each in plan.recommendations if each.headline),
        _risks(writer, plan),
        _road(writer, plan),
        *_missing(writer, plan),
    ]
    decisions = [
        writer.text(
            "decision_line",
            what=each.what,
            owner=each.owner,
            week=each.week,
            decided=writer.stated(each.decided, most=1),
        )
        for each in plan.decisions[:_DECISIONS]
    ]
    return [
        Heading(writer.text("summary")),
        Paragraph(writer.text("summary_lead"), "note"),
        Bullets(tuple(points)),
        Heading(writer.text("next_steps"), 2),
        Bullets(tuple(decisions)),
    ]


def recommendations(writer: Writer, plan: Plan) -> list[Block]:
    """Return all recommendations, the most important first."""
    return [
        Heading(writer.text("recommendations")),
        writer.paragraph("recommendations_lead"),
        Bullets(tuple(writer.stated(each) for each in plan.recommendations), numbered=True),
    ]


def _ready(writer: Writer, plan: Plan) -> str:
    order = sorted(plan.readiness.dimensions, key=lambda each: -each.score)
    best, worst = order[0], order[-1]
    text = writer.text(
        "summary_ready",
        score=score(plan.readiness.score),
        best=best.dimension.name,
        best_score=score(best.score),
        worst=worst.dimension.name,
        worst_score=score(worst.score),
    )
    sources = (s for each in (best, worst) for s in each.criteria[0].statement.sources[:1])
    return writer.cited(text, sources, 2)


def _risks(writer: Writer, plan: Plan) -> str:
    top = plan.risks[0]
    text = writer.text(
        "summary_risks",
        count=len(plan.risks),
        high=sum(risk.score >= HIGH for risk in plan.risks),
        top=top.name,
        score=top.score,
    )
    return writer.cited(text, top.sources, 2)


def _road(writer: Writer, plan: Plan) -> str:
    pilot = plan.roadmap.pilot
    text = writer.text(
        "summary_road",
        phases=len(plan.roadmap.phases),
        weeks=plan.roadmap.weeks,
        start=pilot.start + 1,
        end=pilot.end,
        people=plan.roadmap.people,
    )
    return writer.cited(text, (*pilot.gate.sources, *plan.roadmap.people.sources), 2)


def _missing(writer: Writer, plan: Plan) -> list[str]:
    missing = [field for field in form().fields if not plan.profile.known(field.key)]
    if not missing:
        return []
    named = writer.listed(writer.say(field.name) for field in missing[:_MISSING])
    more = "…" if len(missing) > _MISSING else ""
    text = writer.text("summary_missing", count=len(missing), fields=named + more)
    return [writer.cited(text, plan.profile.sources(missing[0].key), 1)]
