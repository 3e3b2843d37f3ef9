"""Count how the assistant is used: questions a day, latency, engines, topics a week.

Days and weeks are those of this machine's time zone. It names nobody, and no document
that whoever reads the report may not read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from assistant.conversation import Asked
from assistant.types import Latency, Subject, Topic, UsageDay, UsageReport

_MOST_DAYS = 366


def first_day(days: int, now: datetime | None = None) -> datetime:
    """Return the beginning of the first of ``days`` days, 366 at most, of which today is one."""
    today = (now or datetime.now()).astimezone().date()
    first = today - timedelta(days=min(max(1, days), _MOST_DAYS) - 1)
    return datetime.combine(first, time()).astimezone()


def report(
    asked: Sequence[Asked], titles: Mapping[str, str], since: datetime, now: datetime | None = None
) -> UsageReport:
    """Return the report of the questions asked ``since`` a `first_day`.

    ``titles`` are those of the documents that may be named, by their ids.
    """
    today = (now or datetime.now()).astimezone().date()
    engines = Counter(one.engine for one in asked if one.engine not in ("", "none"))
    return UsageReport(
        days=_days(asked, since.date(), today),
        retrieval=_latency(asked, "retrieve"),
        first_token=_latency(asked, "first_token"),
        whole=_latency(asked, "whole"),
        engines=dict(engines.most_common()),
        topics=_topics(asked, titles),
        subjects=_subjects(asked),
    )


def _days(asked: Iterable[Asked], first: date, last: date) -> tuple[UsageDay, ...]:
    questions, refused = Counter[date](), Counter[date]()
    verdicts = Counter[tuple[date, str]]()
    for one in asked:
        day = _local_day(one)
        questions[day] += 1
        refused[day] += one.refused
        verdicts[day, one.verdict] += 1
    every = (first + timedelta(days=i) for i in range((last - first).days + 1))
    return tuple(
        UsageDay(day, questions[day], refused[day], verdicts[day, "up"], verdicts[day, "down"])
        for day in every
    )


def _topics(asked: Iterable[Asked], titles: Mapping[str, str]) -> tuple[Topic, ...]:
    """Count by week and first cited document, oldest week first, in it the commonest first."""
    counts = Counter[tuple[date, str]]()
    for one in asked:
        if one.document_id:
            day = _local_day(one)
            monday = day - timedelta(days=day.weekday())
            counts[monday, titles.get(one.document_id, "")] += 1
    ordered = sorted(counts.items(), key=lambda pair: (pair[0][0], -pair[1], pair[0][1]))
    return tuple(Topic(week, title, count) for (week, title), count in ordered)


def _subjects(asked: Sequence[Asked]) -> tuple[Subject, ...]:
    """Count by topic, the commonest first."""
    questions = Counter(one.topic for one in asked)
    refused = Counter(one.topic for one in asked if one.refused)
    ordered = sorted(questions.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Subject(name, count, refused[name]) for name, count in ordered)


def _latency(asked: Iterable[Asked], stage: str) -> Latency:
    seconds = sorted(one.timings[stage] for one in asked if stage in one.timings)
    if not seconds:
        return Latency()
    return Latency(len(seconds), _at_most(seconds, 0.50), _at_most(seconds, 0.95))


def _at_most(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: ``share`` of the values are no greater."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _local_day(one: Asked) -> date:
    return one.at.astimezone().date()
