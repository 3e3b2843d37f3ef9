"""The appendices: the inputs, the formulas, and the sources."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.decisions import cheapest
from assistant.strategy.plan import Plan
from assistant.strategy.profile import form, show
from assistant.strategy.types import Block, Figure, Heading, Table


def chapters(writer: Writer, plan: Plan) -> list[Block]:
    """Return the appendices; the sources come last, once everything has been cited."""
    blocks = [*_inputs(writer, plan), *_formulas(writer, plan), Heading(writer.text("sources"))]
    for prefix, entries in writer.marks.lists().items():
        name = f"sources_{prefix}" if prefix else "sources_documents"
        blocks += [Heading(writer.text(name), 2), entries]
    return blocks


def _inputs(writer: Writer, plan: Plan) -> list[Block]:
    profile = plan.profile
    rows = [
        (
            writer.say(field.name),
            show(field, profile.answers.get(field.key), writer.language)
            or writer.text("not_known"),
            writer.marks.cite(profile.sources(field.key), 3),
        )
        for field in form().fields
    ]
    return [
        Heading(writer.text("inputs")),
        writer.paragraph("inputs_lead", version=profile.version, date=profile.date),
        Table(
            caption=writer.text("inputs_table"),
            columns=writer.columns("field", "answer", "basis"),
            rows=tuple(rows),
            widths=(0.24, 0.58, 0.18),
        ),
    ]


def _formulas(writer: Writer, plan: Plan) -> list[Block]:
    rows = [
        (writer.say(each.label), writer.show(each), each.formula)
        for each in figures(plan)
        if each.formula
    ]
    return [
        Heading(writer.text("formulas")),
        Table(
            caption=writer.text("formulas_table"),
            columns=writer.columns("quantity", "result", "formula"),
            rows=tuple(rows),
            widths=(0.24, 0.28, 0.48),
        ),
    ]


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Return the plan's figures that a formula gave, in the order of the brief."""
    value, costs, best = plan.value, plan.costs, cheapest(plan.costs)
    smallest = plan.sizing.sizes[0]
    known = (
        plan.sizing.users,
        *smallest.figures,
        *(each for needs in plan.sizing.data for each in needs.figures),
        *plan.sizing.tuning.figures,
        costs.api_price,
        *best.figures,
        costs.break_even,
        costs.break_even_calls,
        costs.rent_or_buy,
        value.hours,
        value.benefit,
        value.pilot,
        value.payback,
        *(phase.cost for phase in plan.roadmap.phases if phase.cost is not value.pilot),
        plan.roadmap.cost,
        plan.roadmap.people,
    )
    return tuple(each for each in known if each is not None)
