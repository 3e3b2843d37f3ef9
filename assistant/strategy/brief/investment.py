"""The chapter on hardware, cost over three years, and what the first use case brings."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.decisions import cheapest
from assistant.strategy.estimate.options import Option
from assistant.strategy.estimate.serving import Serving
from assistant.strategy.guidance import guidance
from assistant.strategy.plan import Plan
from assistant.strategy.profile import form, show
from assistant.strategy.shown import plain
from assistant.strategy.sizing import EPOCHS, SAMPLE_TOKENS, SAMPLES, sizing_rule
from assistant.strategy.types import Block, Bullets, Chart, Figure, Heading, Line, Table
from assistant.strategy.value import assumptions

# A card cannot be used for longer: above it, renting always costs less.
HOURS_A_MONTH = 730


def chapter(writer: Writer, plan: Plan) -> list[Block]:
    """Return the chapter."""
    return [
        Heading(writer.text("investment")),
        *_sizing(writer, plan),
        *_tuning(writer, plan),
        *_costs(writer, plan),
        *_worth(writer, plan),
    ]


def _sizing(writer: Writer, plan: Plan) -> list[Block]:
    sizing, load = plan.sizing, plan.sizing.load
    lead = writer.paragraph(
        "sizing_lead",
        (
            *sizing.users.sources,
            *assumptions().sources("calls_per_day"),
            *sizing.card.sources,
            sizing_rule(),
        ),
        users=writer.show(sizing.users),
        calls=plain(load.calls_per_user_day),
        month=plain(load.calls),
        tokens=plain(load.call_tokens),
        peak=plain(load.peak_factor),
        card=sizing.card.text,
    )
    table = Table(
        caption=writer.text("sizing_table"),
        columns=writer.columns("model", "bits", "weights", "streams", "speed", "cards"),
        rows=tuple(_size(writer, each) for each in sizing.sizes),
        widths=(0.22, 0.12, 0.18, 0.16, 0.16, 0.16),
        numeric=(False, True, True, True, True, True),
    )
    return [Heading(writer.text("sizing"), 2), lead, table]


def _tuning(writer: Writer, plan: Plan) -> list[Block]:
    """Return what retrieval needs, and what fine-tuning would take."""
    example = guidance(12, "How long does it take to fine-tune a 7-billion-parameter model?")
    rag, finetuning = plan.sizing.data
    tuning = plan.sizing.tuning
    figures = [rag.test_questions, *finetuning.figures, tuning.run, tuning.plan, tuning.memory]
    rows = [
        (writer.cited(writer.say(each.label), each.sources, 2), writer.show(each))
        for each in dict.fromkeys(figures)
    ]
    return [
        Heading(writer.text("tuning"), 2),
        writer.paragraph(
            "tuning_lead",
            (example, *rag.examples.sources),
            samples=plain(SAMPLES),
            tokens=plain(SAMPLE_TOKENS),
            epochs=plain(EPOCHS),
        ),
        Table(
            caption=writer.text("tuning_table"),
            columns=writer.columns("quantity", "result"),
            rows=tuple(rows),
            widths=(0.5, 0.5),
        ),
    ]


def _size(writer: Writer, serving: Serving) -> tuple[str, ...]:
    sources = (*serving.model.sources, *serving.gpu.sources)
    return (
        writer.cited(serving.model.name, sources, 2),
        plain(serving.bits),
        _range(serving.weights),
        _range(serving.streams_per_gpu),
        _range(serving.stream_speed),
        _range(serving.gpus),
    )


def _costs(writer: Writer, plan: Plan) -> list[Block]:
    costs = plan.costs
    open_ones = [option for option in costs.options if option.barred is None]
    best = cheapest(costs)
    blocks: list[Block] = [
        Heading(writer.text("costs"), 2),
        writer.paragraph("costs_lead", best.total.sources),
        Table(
            caption=writer.text("costs_table"),
            columns=writer.columns("option", "upfront", "monthly", "three_years", "verdict"),
            rows=tuple(_option(writer, each, best) for each in costs.options),
            widths=(0.2, 0.14, 0.14, 0.26, 0.26),
            numeric=(False, True, True, True, False),
        ),
        Chart(
            kind="costs",
            caption=writer.text("costs_chart"),
            x_label=writer.text("months"),
            y_label=writer.text("money_axis"),
            lines=tuple(
                Line(writer.say(option.name), option.likely, option.low, option.high)
                for option in open_ones
            ),
        ),
    ]
    points = []
    if costs.rent_or_buy.likely <= HOURS_A_MONTH:
        text = writer.text("hours", hours=costs.rent_or_buy)
        points.append(writer.cited(text, costs.rent_or_buy.sources))
    if costs.break_even_calls:
        even = costs.break_even_calls
        points.insert(0, writer.cited(writer.text("even", calls=even), even.sources))
    return [*blocks, Bullets(tuple(points))] if points else blocks


def _option(writer: Writer, option: Option, best: Option) -> tuple[str, ...]:
    if option.barred:
        verdict = writer.stated(option.barred, 1)
    else:
        verdict = writer.text("cheapest" if option is best else "possible")
    name = writer.cited(writer.say(option.name), option.per_month.sources, 2)
    return (
        name,
        plain(option.upfront.likely),
        plain(option.monthly.likely),
        _range(option.total),
        verdict,
    )


def _worth(writer: Writer, plan: Plan) -> list[Block]:
    value, profile = plan.value, plan.profile
    points = []
    if value.hours:
        cases, minutes = (
            show(form().field(key), profile.answers[key], writer.language)
            for key in ("enquiries_per_month", "minutes_per_enquiry")
        )
        text = writer.text("worth_hours", cases=cases, minutes=minutes, hours=value.hours)
        points.append(writer.cited(text, value.hours.sources))
    if value.benefit:
        running = cheapest(plan.costs).per_month
        text = writer.text("worth_benefit", benefit=value.benefit, running=running)
        points.append(writer.cited(text, (*value.benefit.sources, *running.sources)))
    text = writer.text("worth_pilot", pilot=value.pilot)
    points.append(writer.cited(text, value.pilot.sources))
    worth = [each for each in plan.recommendations if each.headline][2]
    points.append(writer.stated(worth))
    return [Heading(writer.text("worth"), 2), Bullets(tuple(points))]


def _range(figure: Figure) -> str:
    low, likely, high = (plain(v) for v in (figure.low, figure.likely, figure.high))
    return likely if low == high else f"{likely} ({low}–{high})"
