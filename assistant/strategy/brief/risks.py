"""The chapter on risks, and on what the papers contradict."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.risks import HIGH, MEDIUM, Risk, catalogue
from assistant.strategy.types import Block, Bullets, Chart, Dot, Heading, Table


def chapter(writer: Writer, plan: Plan) -> list[Block]:
    """Return the chapter."""
    blocks: list[Block] = [
        Heading(writer.text("risks")),
        writer.paragraph("risks_lead", (catalogue().lines.source(),)),
        _table(writer, plan.risks),
        _chart(writer, plan.risks),
        Heading(writer.text("findings"), 2),
    ]
    if plan.findings:
        return [*blocks, Bullets(tuple(writer.stated(each) for each in plan.findings))]
    return [*blocks, writer.paragraph("no_findings")]


def _chart(writer: Writer, risks: tuple[Risk, ...]) -> Chart:
    return Chart(
        kind="risks",
        caption=writer.text("risks_chart"),
        x_label=writer.text("likelihood"),
        y_label=writer.text("impact"),
        dots=tuple(
            Dot(
                label=str(number),
                x=risk.likelihood,
                y=risk.impact,
                group=0 if risk.score >= HIGH else 1 if risk.score >= MEDIUM else 2,
                name=writer.say(risk.name),
            )
            for number, risk in enumerate(risks, 1)
        ),
    )


def _table(writer: Writer, risks: tuple[Risk, ...]) -> Table:
    keys = ("number", "risk", "now", "after", "owner", "controls", "signal")
    return Table(
        caption=writer.text("risks_table"),
        columns=writer.columns(*keys),
        rows=tuple(_row(writer, number, risk) for number, risk in enumerate(risks, 1)),
        widths=(0.06, 0.16, 0.09, 0.09, 0.12, 0.3, 0.18),
        numeric=(True, False, True, True, False, False, False),
    )


def _row(writer: Writer, number: int, risk: Risk) -> tuple[str, ...]:
    held = [f"√ {writer.stated(each, 1)}" for each in risk.held]
    planned = [writer.say(each.text) for each in risk.planned]
    return (
        str(number),
        writer.cited(writer.say(risk.name), risk.sources, 2),
        f"{risk.likelihood}×{risk.impact}={risk.score}",
        f"{risk.residual_likelihood}×{risk.impact}={risk.residual}",
        writer.say(risk.owner),
        writer.joined([*held, *planned]),
        writer.say(risk.signal),
    )
