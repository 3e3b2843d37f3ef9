"""The chapter on use cases: the ranking, its matrix, the chosen ones, what would change them."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.guidance import guidance
from assistant.strategy.plan import Plan
from assistant.strategy.scoring import ASPECTS, score_rule
from assistant.strategy.shown import score
from assistant.strategy.types import Block, Bullets, Chart, Dot, Heading, Source, Table
from assistant.strategy.usecases import RankedUseCase

# So many of the ranking are shown, and so many that are held back are explained.
SHOWN, HELD_SHOWN = 12, 6


def chapter(writer: Writer, plan: Plan) -> list[Block]:
    """Return the chapter."""
    ranking = plan.ranking
    shown = ranking.ranked[:SHOWN]
    weights = {aspect: f"{getattr(ranking.weights, aspect):.0%}" for aspect in ASPECTS}
    lead = writer.paragraph("usecases_lead", (score_rule(),), count=len(ranking.ranked), **weights)
    blocks: list[Block] = [
        Heading(writer.text("usecases")),
        lead,
        _table(writer, plan, shown),
        _matrix(writer, plan, shown),
    ]
    for each in plan.chosen:
        blocks += _described(writer, each)
    held = [each for each in ranking.ranked if each.held][:HELD_SHOWN]
    if held:
        blocks += [
            Heading(writer.text("held_back"), 2),
            Bullets(tuple(_held(writer, each) for each in held)),
        ]
    return [*blocks, *_sensitivity(writer, plan)]


def _table(writer: Writer, plan: Plan, shown: tuple[RankedUseCase, ...]) -> Table:
    rows = [
        (
            str(rank),
            writer.cited(writer.say(each.use_case.name), each.use_case.guidance_sources(), 1),
            *(str(getattr(each.scores, aspect).value) for aspect in ASPECTS),
            score(each.total),
            _status(writer, plan, each),
        )
        for rank, each in enumerate(shown, 1)
    ]
    return Table(
        caption=writer.text("usecases_table"),
        columns=writer.columns("rank", "usecase", *ASPECTS, "total", "status"),
        rows=tuple(rows),
        widths=(0.07, 0.33, 0.09, 0.11, 0.09, 0.09, 0.09, 0.13),
        numeric=(True, False, True, True, True, True, True, False),
    )


def _status(writer: Writer, plan: Plan, each: RankedUseCase) -> str:
    if each in plan.chosen:
        return writer.text("status_chosen" if each is plan.chosen[0] else "status_next")
    return writer.text("status_held" if each.held else "status_later")


def _matrix(writer: Writer, plan: Plan, shown: tuple[RankedUseCase, ...]) -> Chart:
    states = [
        writer.text(key) for key in ("status_chosen", "status_next", "status_later", "status_held")
    ]
    return Chart(
        kind="matrix",
        caption=writer.text("matrix"),
        x_label=writer.text("matrix_x"),
        y_label=writer.text("matrix_y"),
        dots=tuple(
            Dot(
                label=str(rank),
                x=each.scores.feasibility.value,
                y=each.scores.value.value,
                size=each.scores.data.value / 5,
                group=states.index(_status(writer, plan, each)),
                name=writer.say(each.use_case.name),
            )
            for rank, each in enumerate(shown, 1)
        ),
        groups=tuple(states),
    )


def _described(writer: Writer, each: RankedUseCase) -> list[Block]:
    use_case = each.use_case
    sources = use_case.guidance_sources()
    points = [
        writer.cited(writer.say(use_case.what), sources, 2),
        _reasons(writer, each),
        writer.cited(
            writer.text("benefit", text=use_case.benefit.text), (use_case.benefit.source(),)
        ),
        writer.cited(writer.text("needs", text=use_case.data_note), sources, 1),
        writer.cited(writer.text("oversight", text=use_case.oversight), sources, 1),
    ]
    if writer.say(use_case.regulation):
        text = writer.text("regulation", text=use_case.regulation)
        points.append(writer.cited(text, _rules(use_case.regulation.en)))
    return [Heading(writer.say(use_case.name), 2), Bullets(tuple(points))]


def _reasons(writer: Writer, each: RankedUseCase) -> str:
    """Return why the scores are what they are: each reason with its own sources."""
    reasons = [reason for aspect in ASPECTS for reason in getattr(each.scores, aspect).reasons]
    distinct = {reason.text: reason for reason in reasons}.values()
    return writer.text("why", reasons=writer.joined(writer.stated(r, 1) for r in distinct))


def _held(writer: Writer, each: RankedUseCase) -> str:
    reasons = writer.joined(writer.stated(reason, 2) for reason in each.held)
    separator = "：" if writer.language == "zh" else ": "
    return f"{writer.say(each.use_case.name)}{separator}{reasons}"


def _rules(text: str) -> list[Source]:
    """Return the sections on the laws that a text names."""
    european = ["Which EU rules apply?"] if "EU" in text or "GDPR" in text else []
    return [guidance(20, heading) for heading in ("Which Chinese rules apply?", *european)]


def _sensitivity(writer: Writer, plan: Plan) -> list[Block]:
    """Return how firm the first round is when the weights are others."""
    firm, top = plan.sensitivity, len(plan.chosen)
    if not top:
        return []
    share = f"{firm.share:.0%}"
    stable = writer.text("sensitivity_stable", count=firm.combinations, share=share, top=top)
    points = [writer.cited(stable, (score_rule(),))]
    for each in firm.tolerances:
        weight = getattr(plan.ranking.weights, each.aspect)
        moves = [
            writer.text(key, to=f"{weight + change:.0%}")
            for key, change in (("rises", each.up), ("falls", -each.down if each.down else None))
            if change is not None
        ]
        values = {"weight": writer.text(each.aspect), "top": top}
        said = (
            writer.text("sensitivity_weight", changes=writer.text("or").join(moves), **values)
            if moves
            else writer.text("sensitivity_never", **values)
        )
        points.append(writer.cited(said, (score_rule(),)))
    return [Heading(writer.text("sensitivity"), 2), Bullets(tuple(points))]
