from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from assistant.conversation import Asked
from assistant.types import Subject
from assistant.usage import first_day, report

NOW = datetime(2026, 11, 4, 12, tzinfo=UTC)  # a Wednesday


def asked(
    days_ago: int = 0,
    document: str = "",
    *,
    refused: bool = False,
    verdict: str = "",
    engine: str = "llamacpp",
    whole: float | None = None,
) -> Asked:
    timings = {} if whole is None else {"whole": whole}
    return Asked(NOW - timedelta(days=days_ago), refused, verdict, engine, timings, document)


def test_days_have_no_gap_and_verdicts_count_on_the_day_of_their_answer() -> None:
    since = first_day(3, NOW)
    told = report(
        [asked(2, verdict="up"), asked(refused=True), asked(verdict="down")], {}, since, NOW
    )
    assert [(d.day.day, d.questions, d.refused, d.up, d.down) for d in told.days] == [
        (2, 1, 0, 1, 0),
        (3, 0, 0, 0, 0),
        (4, 2, 1, 0, 1),
    ]


@pytest.mark.parametrize(("days", "counted"), [(0, 1), (-5, 1), (30, 30), (10**9, 366)])
def test_the_number_of_days_has_bounds(days: int, counted: int) -> None:
    assert len(report([], {}, first_day(days, NOW), NOW).days) == counted


def test_percentiles_are_by_nearest_rank() -> None:
    told = report([asked(whole=float(i)) for i in range(1, 101)], {}, first_day(1, NOW), NOW)
    assert (told.whole.count, told.whole.p50, told.whole.p95) == (100, 50.0, 95.0)
    assert (told.retrieval.count, told.retrieval.p50) == (0, 0.0)
    one = report([asked(whole=2.0)], {}, first_day(1, NOW), NOW)
    assert (one.whole.p50, one.whole.p95) == (2.0, 2.0)


def test_engines_are_those_that_wrote() -> None:
    many = [asked(), asked(), asked(engine="extractive"), asked(engine="none"), asked(engine="")]
    assert report(many, {}, first_day(1, NOW), NOW).engines == {"llamacpp": 2, "extractive": 1}


def test_topics_are_weekly_and_what_may_not_be_named_is_one_rest() -> None:
    many = [asked(0, "a"), asked(1, "a"), asked(0, "s"), asked(0, "t"), asked(7, "b"), asked(0)]
    told = report(many, {"a": "休假", "b": "水泵"}, first_day(30, NOW), NOW)
    assert [(t.week, t.title, t.questions) for t in told.topics] == [
        (date(2026, 10, 26), "水泵", 1),
        (date(2026, 11, 2), "", 2),
        (date(2026, 11, 2), "休假", 2),
    ]


def test_subjects_are_counted_with_their_refusals_the_commonest_first() -> None:
    questions = [
        replace(asked(refused=refused), topic=topic)
        for topic, refused in (("cost", False), ("cost", True), ("", False), ("data", True))
    ]
    found = report(questions, {}, first_day(7, NOW), NOW).subjects
    assert found == (Subject("cost", 2, 1), Subject("", 1, 0), Subject("data", 1, 1))
