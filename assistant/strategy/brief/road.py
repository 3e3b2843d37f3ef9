"""The chapter on the roadmap: phases, tasks, people, measures, decisions."""

from __future__ import annotations

from assistant.strategy.brief.writer import Writer
from assistant.strategy.plan import Plan
from assistant.strategy.roadmap import Phase, Roadmap, Task
from assistant.strategy.shown import plain
from assistant.strategy.types import Bar, Block, Chart, Heading, Table


def chapter(writer: Writer, plan: Plan) -> list[Block]:
    """Return the chapter."""
    road = plan.roadmap
    return [
        Heading(writer.text("road")),
        writer.paragraph("road_lead", road.phases[0].gate.sources),
        _phases(writer, road),
        _tasks(writer, road),
        _gantt(writer, road),
        *_people(writer, road),
        _measures(writer, plan),
        _decisions(writer, plan),
    ]


def _gantt(writer: Writer, road: Roadmap) -> Chart:
    bars = []
    for group, phase in enumerate(road.phases):
        name = writer.say(phase.name)
        bars.append(Bar(name, phase.start, phase.end, group))
        bars += [Bar(writer.say(task.text), task.start, task.end, group) for task in phase.tasks]
        bars.append(Bar(f"{name} · {writer.text('gate')}", phase.end, phase.end, group))
    return Chart(
        kind="gantt",
        caption=writer.text("gantt"),
        x_label=writer.text("week"),
        bars=tuple(bars),
        groups=tuple(writer.say(phase.name) for phase in road.phases),
    )


def _phases(writer: Writer, road: Roadmap) -> Table:
    return Table(
        caption=writer.text("phases_table"),
        columns=writer.columns("phase", "weeks", "gate", "cost"),
        rows=tuple(_phase(writer, each) for each in road.phases),
        widths=(0.1, 0.13, 0.39, 0.38),
        numeric=(False, True, False, True),
    )


def _phase(writer: Writer, phase: Phase) -> tuple[str, ...]:
    low, likely, high = phase.weeks
    cost = phase.cost
    return (
        writer.say(phase.name),
        f"{likely} ({low}–{high})" if low < high else str(likely),
        writer.stated(phase.gate, 1),
        writer.cited(
            f"{plain(cost.likely)} ({plain(cost.low)}–{plain(cost.high)})", cost.sources, 2
        )
        if cost
        else "—",
    )


def _tasks(writer: Writer, road: Roadmap) -> Table:
    rows = [
        (
            writer.say(phase.name) if task is phase.tasks[0] else "",
            writer.say(task.text),
            f"{task.start + 1}–{task.end}",
            writer.say(task.owner),
            _depends(writer, task, position),
        )
        for position, phase in enumerate(road.phases)
        for task in phase.tasks
    ]
    return Table(
        caption=writer.text("tasks_table"),
        columns=writer.columns("phase", "task", "when", "owner", "depends"),
        rows=tuple(rows),
        widths=(0.1, 0.38, 0.1, 0.16, 0.26),
        numeric=(False, False, True, False, False),
    )


def _depends(writer: Writer, task: Task, position: int) -> str:
    if task.after:
        return writer.joined(writer.say(each) for each in task.after)
    return writer.text("previous_gate" if position else "start_of_road")


def _people(writer: Writer, road: Roadmap) -> list[Block]:
    rows = [
        (writer.say(role.name), writer.say(role.does), _share(role.share)) for role in road.roles
    ]
    return [
        Heading(writer.text("people"), 2),
        writer.paragraph("people_lead", road.people.sources, team=road.people),
        Table(
            caption=writer.text("people_table"),
            columns=writer.columns("role", "does", "share"),
            rows=tuple(rows),
            widths=(0.28, 0.48, 0.24),
            numeric=(False, False, True),
        ),
    ]


def _share(share: tuple[float, float, float]) -> str:
    low, likely, high = (plain(value) for value in share)
    return f"{likely} ({low}–{high})" if low != high else likely


def _measures(writer: Writer, plan: Plan) -> Table:
    rows = [
        (
            writer.cited(writer.say(each.name), each.sources, 2),
            writer.say(each.today) or writer.text("to_measure"),
            writer.say(each.target),
        )
        for each in plan.measures
    ]
    return Table(
        caption=writer.text("kpis_table"),
        columns=writer.columns("measure", "today", "target"),
        rows=tuple(rows),
        widths=(0.44, 0.28, 0.28),
    )


def _decisions(writer: Writer, plan: Plan) -> Table:
    rows = [
        (
            writer.say(each.what),
            writer.stated(each.decided, 2),
            writer.say(each.owner),
            str(each.week),
        )
        for each in plan.decisions
    ]
    return Table(
        caption=writer.text("decisions_table"),
        columns=writer.columns("decision", "decided", "owner", "by"),
        rows=tuple(rows),
        widths=(0.16, 0.52, 0.2, 0.12),
        numeric=(False, False, False, True),
    )
