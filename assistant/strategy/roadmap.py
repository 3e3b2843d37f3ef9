"""The roadmap: phases with gates, tasks with owners and dependencies, people, measures, money.

Phases, durations and gates are the guidance's (``data/roadmap.yaml``); tasks that readiness
makes superfluous are left out, and the money is the estimator's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from assistant.strategy.estimate.options import Option
from assistant.strategy.estimate.ranges import Range, figure, number, range_of
from assistant.strategy.guidance import Section, guidance
from assistant.strategy.profile import Profile, form, show
from assistant.strategy.readiness import Readiness
from assistant.strategy.texts import checked
from assistant.strategy.types import NOTHING, Figure, Source, Statement, Words, same
from assistant.strategy.value import YUAN, assumptions

WEEKS_A_MONTH = 52 / 12
# The guidance's line for payback, where the company has set none.
PAYBACK_MONTHS = 24.0
_PILOT = "pilot"
_OWN_RULE = Source(
    "assumption",
    Words(
        "运营阶段按购置费加运行费计算，不按指南的30%比例。",
        "Operation is reckoned as purchase and running, not as the guidance's share of 30%.",
    ),
)
# The measures whose figure of today a field of the profile holds.
_MEASURED = {"time": "minutes_per_enquiry"}


class TaskEntry(BaseModel):
    """A task as the data file gives it; see ``data/roadmap.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weeks: int
    owner: Words
    zh: str
    en: str
    after: tuple[int, ...] = ()
    gap: dict[str, float] = {}
    unless: dict[str, str] = {}


class PhaseEntry(BaseModel):
    """A phase as the data file gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: Words
    weeks: tuple[int, int, int]
    share: float
    guidance: Section
    tasks: tuple[TaskEntry, ...]
    gate: Words


class KpiEntry(BaseModel):
    """A measure with its target; ``{payback}`` and ``{time}`` are filled in from the profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    zh: str
    en: str
    target: str
    guidance: Section


class RoleEntry(BaseModel):
    """A role and the share of a full post it takes in the pilot: low, likely, high."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: tuple[float, float, float]
    name: Words
    does: Words


class Road(BaseModel):
    """All of ``data/roadmap.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phases: tuple[PhaseEntry, ...]
    kpis: tuple[KpiEntry, ...]
    roles: tuple[RoleEntry, ...]
    roles_guidance: Section


@dataclass(frozen=True)
class Task:
    """A task from week ``start`` to ``end`` of the whole road; ``after`` are earlier tasks."""

    text: Words
    owner: Words
    start: int
    end: int
    after: tuple[Words, ...]


@dataclass(frozen=True)
class Phase:
    """A phase: when it runs (likely weeks), how long it may take, its tasks, gate and money."""

    id: str
    name: Words
    start: int
    end: int
    weeks: tuple[int, int, int]
    tasks: tuple[Task, ...]
    gate: Statement
    cost: Figure | None


@dataclass(frozen=True)
class Kpi:
    """A measure, its target, and its figure of today where the profile holds one."""

    name: Words
    target: Words
    today: Words
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Roadmap:
    """The whole road; ``people`` is the size of the pilot's team in full posts."""

    phases: tuple[Phase, ...]
    people: Figure
    roles: tuple[RoleEntry, ...]
    cost: Figure

    @property
    def pilot(self) -> Phase:
        """The phase of the pilot."""
        return next(phase for phase in self.phases if phase.id == _PILOT)

    @property
    def weeks(self) -> int:
        """The likely length in weeks."""
        return self.phases[-1].end


def plan_road(profile: Profile, readiness: Readiness, pilot: Figure, way: Option) -> Roadmap:
    """Return the road of a company.

    Args:
        profile: what is settled already makes tasks superfluous.
        readiness: so do dimensions without a gap.
        pilot: the cost of the pilot; assessment and scaling follow by the guidance's shares.
        way: how it is run; its purchase and its running fall in the operation.
    """
    scores = {each.dimension.key: each.score for each in readiness.dimensions}
    costs = {entry.id: _cost(entry, pilot, way) for entry in road().phases}
    phases: list[Phase] = []
    for entry in road().phases:
        start = phases[-1].end if phases else 0
        needed = [task for task in entry.tasks if not _superfluous(task, profile, scores)]
        phases.append(_phase(entry, start, needed, costs[entry.id]))
    return Roadmap(tuple(phases), _people(), road().roles, _total(costs))


def measures(profile: Profile) -> tuple[Kpi, ...]:
    """Return the measures with their targets, and today's figures as far as they are known."""
    minutes = profile.number("minutes_per_enquiry")
    payback = profile.number("payback_months") or PAYBACK_MONTHS
    saved = assumptions().values("time_saved").likely
    targets = {
        "payback": Words(f"≤ {payback:g}个月", f"≤ {payback:g} months"),
        "time": Words(
            f"≤ {minutes * (1 - saved):.1f}分钟", f"≤ {minutes * (1 - saved):.1f} minutes"
        )
        if minutes
        else Words("先测现状", "measure today first"),
    }
    return tuple(_measure(entry, targets, profile) for entry in road().kpis)


def _measure(entry: KpiEntry, targets: Mapping[str, Words], profile: Profile) -> Kpi:
    field = _MEASURED.get(entry.key, "")
    today = form().field(field) if field else None
    given = profile.answers.get(field)
    sources = profile.sources(field) if given and given.value is not None else ()
    return Kpi(
        name=Words(entry.zh, entry.en),
        target=targets.get(entry.target.strip("{}"), same(entry.target)),
        today=Words(show(today, given, "zh"), show(today, given, "en")) if today else NOTHING,
        sources=(entry.guidance.source(), *sources),
    )


def _superfluous(task: TaskEntry, profile: Profile, scores: Mapping[str, float]) -> bool:
    """Tell whether a task is done already, or has no gap to close."""
    done = task.unless and all(profile.one(key) == option for key, option in task.unless.items())
    closed = task.gap and all(scores[key] >= below for key, below in task.gap.items())
    return bool(done or closed)


def _phase(
    entry: PhaseEntry, start: int, needed: Sequence[TaskEntry], cost: Figure | None
) -> Phase:
    tasks: dict[int, Task] = {}
    for position, task in enumerate(entry.tasks, 1):
        if task not in needed:
            continue
        before = [tasks[other] for other in task.after if other in tasks]
        begin = max((each.end for each in before), default=start)
        after = tuple(each.text for each in before)
        text = Words(task.zh, task.en)
        tasks[position] = Task(text, task.owner, begin, begin + task.weeks, after)
    return Phase(
        id=entry.id,
        name=entry.name,
        start=start,
        end=start + entry.weeks[1],
        weeks=entry.weeks,
        tasks=tuple(tasks.values()),
        gate=Statement(entry.gate, (_steps(),)),
        cost=cost,
    )


def _cost(entry: PhaseEntry, pilot: Figure, way: Option) -> Figure | None:
    """Return what a phase costs: its share of the round beside the pilot's, or running it.

    The guidance gives operation a share too; here it is what is bought and paid in its months.
    """
    label = Words(f"{entry.name.zh}阶段", f"Phase “{entry.name.en}”")
    if entry.id == _PILOT:
        return pilot
    if entry.share:
        ratio = entry.share / next(each.share for each in road().phases if each.id == _PILOT)
        values = range_of(pilot) * ratio
        formula = f"{number(pilot.likely)} × {number(ratio)} = {number(values.likely)}"
        split = guidance(19, "How is a large-model budget split by stage?")
        return figure(f"cost_{entry.id}", label, values, YUAN, formula, (split, *pilot.sources))
    if entry.id == "operate":
        months = round(entry.weeks[1] / WEEKS_A_MONTH)
        values = range_of(way.upfront) + range_of(way.monthly) * months
        formula = (
            f"{number(way.upfront.likely)} + {number(way.monthly.likely)} × {months} "
            f"= {number(values.likely)}"
        )
        return figure("cost_operate", label, values, YUAN, formula, (_OWN_RULE, *way.total.sources))
    return None


def _total(costs: Mapping[str, Figure | None]) -> Figure:
    known = [cost for cost in costs.values() if cost]
    values = range_of(known[0])
    for cost in known[1:]:
        values = values + range_of(cost)
    return figure(
        "cost_round",
        Words("首轮总费用", "Cost of the first round"),
        values,
        YUAN,
        f"{' + '.join(number(cost.likely) for cost in known)} = {number(values.likely)}",
        tuple(source for cost in known for source in cost.sources),
    )


def _people() -> Figure:
    shares = [Range(*role.share) for role in road().roles]
    values = shares[0]
    for share in shares[1:]:
        values = values + share
    return figure(
        "team",
        Words("试点团队", "The pilot's team"),
        Range(*(round(each, 2) for each in (values.low, values.likely, values.high))),
        Words("个全职岗位", "full posts"),
        f"{' + '.join(number(s.likely) for s in shares)} = {number(round(values.likely, 2))}",
        (
            guidance(22, "How many people does it take to start?"),
            road().roles_guidance.source(),
            Source(
                "assumption",
                Words(
                    "每个角色占用的岗位比例为编者假设，一人可兼数职。",
                    "The share of a post that each role takes is the editors' assumption; one "
                    "person may hold several.",
                ),
            ),
        ),
    )


def _steps() -> Source:
    return guidance(21, "How does a company form a large-model strategy step by step?")


@lru_cache(maxsize=1)
def road() -> Road:
    """Return the phases, measures and roles; see `texts.checked`."""
    return checked("roadmap", Road)
