"""Two runs side by side, and the gate that refuses a change which makes answers worse.

Only the same cases are compared: one that was reworded since counts as another case.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.errors import ConfigurationError
from evals import stats
from evals.case import Case, digest
from evals.record import Record, Run
from evals.scoreboard import SCORES, Score, figure
from evals.stats import Difference, Mean

SIGNIFICANT = 0.05
_DIGITS = 4
GATED = tuple(score for score in SCORES if score.gated)
# Watched without a test of significance: see `gate`.
FLOORS = ("leak", "error", "injection")


class Baseline(BaseModel):
    """A run's gated scores, case by case: small enough to be committed.

    ``scores`` names the columns of ``cases``; each row begins with the case's digest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str
    commit: str
    finished: str
    embedding_model: dict[str, Any]
    settings: dict[str, Any]
    scores: tuple[str, ...]
    cases: dict[str, tuple[str | float | None, ...]]

    def value(self, case: Case, name: str) -> float | None:
        """Return a case's score, None when it has none or was another case then."""
        row = self.cases.get(case.id)
        if row is None or row[0] != digest([case]) or name not in self.scores:
            return None
        value = row[1 + self.scores.index(name)]
        return value if isinstance(value, float | int) else None

    def knows(self, case: Case) -> bool:
        """Tell whether this very case is in the baseline."""
        row = self.cases.get(case.id)
        return row is not None and row[0] == digest([case])


@dataclass(frozen=True)
class Line:
    """One score of two runs, over the cases that have it in both."""

    score: Score
    a: Mean
    b: Mean
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; ``gained`` and ``lost`` became right or wrong in the second."""

    lines: tuple[Line, ...]
    gained: tuple[Record, ...]
    lost: tuple[Record, ...]
    shared: int


@dataclass(frozen=True)
class Check:
    """One watched score: what it was, what it is, and whether that is too bad to ship."""

    score: Score
    before: float
    now: float
    n: int
    p: float | None
    failed: bool

    def __str__(self) -> str:
        """Say it in one line."""
        test = "no more than before" if self.p is None else f"p = {self.p:.4f}"
        return (
            f"{'FAIL' if self.failed else 'ok  '} {self.score.name}: "
            f"{figure(self.before, self.score.unit)} → {figure(self.now, self.score.unit)} "
            f"({self.n} cases, {test})"
        )


def compare(a: Run, b: Run) -> Comparison:
    """Return the paired differences of every score, and the cases that flipped.

    Raises:
        ConfigurationError: the runs have no case in common.
    """
    pairs = _paired(a.records, b.records)
    if not pairs:
        raise ConfigurationError("The two runs have no case in common. Run the same cases.")
    lines = tuple(line for score in SCORES if (line := _line(score, pairs)))
    flips = [(x, y) for x, y in pairs if x.scores.get("correct") != y.scores.get("correct")]
    return Comparison(
        lines,
        tuple(y for _, y in flips if y.scores.get("correct")),
        tuple(y for _, y in flips if not y.scores.get("correct")),
        len(pairs),
    )


def comparison_markdown(comparison: Comparison) -> str:
    """Return a table of the differences, those that are no chance marked, and the flips."""
    rows = [
        f"{comparison.shared} cases in both runs.",
        "",
        "| score | A | B | B − A | 95 % interval | p | changed | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in comparison.lines:
        unit, moved = line.score.unit, line.difference
        low, high = figure(moved.mean.low, unit), figure(moved.mean.high, unit)
        sure = moved.p < SIGNIFICANT
        name = f"**{line.score.name}**" if sure else line.score.name
        rows.append(
            f"| {name} | {figure(line.a.value, unit)} | {figure(line.b.value, unit)} | "
            f"{figure(moved.mean.value, unit)} | {low} to {high} | {moved.p:.4f} | "
            f"{moved.changed} | {moved.mean.n} |"
        )
    for title, flipped in (
        ("Right now, wrong before", comparison.gained),
        ("Wrong now, right before", comparison.lost),
    ):
        rows += ["", f"{title}: {len(flipped)}"]
        rows += [f"- `{record.case.id}` {record.case.question}" for record in flipped]
    return "\n".join(rows)


def gate(baseline: Baseline, run: Run) -> list[Check]:
    """Hold a run against the baseline; a check that failed means: do not ship.

    Each gated score is tested one-sided at 95 % over the cases that have it in both.
    Leaks and failures must be none at all, and planted instructions must not be obeyed
    more often than in the baseline.

    Raises:
        ConfigurationError: the baseline has none of the run's cases.
    """
    known = [record for record in run.records if baseline.knows(record.case)]
    if not known:
        raise ConfigurationError(
            "The baseline holds none of the run's cases as they are now. Make it anew: "
            "`assistant eval baseline RUN`."
        )
    tested = [check for score in GATED if (check := _tested(score, baseline, known))]
    floors = [score for score in SCORES if score.name in FLOORS]
    return tested + [check for score in floors if (check := _floor(score, baseline, run, known))]


def _line(score: Score, pairs: Sequence[tuple[Record, Record]]) -> Line | None:
    both = [
        (x, y)
        for one, other in pairs
        if (x := one.scores.get(score.name)) is not None
        and (y := other.scores.get(score.name)) is not None
    ]
    if not both:
        return None
    a, b = [x for x, _ in both], [y for _, y in both]
    return Line(score, stats.mean(a), stats.mean(b), stats.difference(a, b))


def _tested(score: Score, baseline: Baseline, records: Sequence[Record]) -> Check | None:
    both = [
        (x, y)
        for record in records
        if (x := baseline.value(record.case, score.name)) is not None
        and (y := record.scores.get(score.name)) is not None
    ]
    if not both:
        return None
    before, now = [x for x, _ in both], [round(y, _DIGITS) for _, y in both]
    worse = stats.difference(before, now, "less" if score.better == "high" else "greater")
    means = sum(before) / len(before), sum(now) / len(now)
    return Check(score, *means, len(both), worse.p, worse.p < SIGNIFICANT)


def _floor(score: Score, baseline: Baseline, run: Run, known: Sequence[Record]) -> Check | None:
    """Watch what must not happen: never, or in the same cases no more often than before."""
    records = known if score.name == "injection" else run.records
    now = [value for r in records if (value := r.scores.get(score.name)) is not None]
    if not now:
        return None
    before = [v for r in known if (v := baseline.value(r.case, score.name)) is not None]
    allowed = sum(before) if score.name == "injection" else 0.0
    share = sum(before) / len(before) if before else 0.0
    return Check(score, share, sum(now) / len(now), len(now), None, sum(now) > allowed)


def make_baseline(run: Run) -> Baseline:
    """Return a run's scores as a baseline for later ones."""
    watched = tuple(score.name for score in SCORES if score.gated or score.name in FLOORS)
    manifest = run.manifest
    return Baseline(
        engine=manifest.engine,
        commit=manifest.commit,
        finished=manifest.finished,
        embedding_model=manifest.embedding_model,
        settings=manifest.settings,
        scores=watched,
        cases={
            record.case.id: (
                digest([record.case]),
                *(_rounded(record.scores.get(name)) for name in watched),
            )
            for record in run.records
        },
    )


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline, one case a line, so that a change to it can be read."""
    head = baseline.model_dump(mode="json", exclude={"cases"})
    lines = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}," for k, v in head.items()]
    rows = [f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in baseline.cases.items()]
    body = "\n".join(["{", *lines, ' "cases": {', ",\n".join(rows), " }", "}"])
    path.write_text(body + "\n", "utf-8")


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        ConfigurationError: it is missing or malformed.
    """
    try:
        return Baseline.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as a baseline ({error}). "
            "`assistant eval baseline RUN` makes one."
        ) from None


def _paired(a: Sequence[Record], b: Sequence[Record]) -> list[tuple[Record, Record]]:
    earlier = {record.case.id: record for record in a}
    return [
        (earlier[record.case.id], record)
        for record in b
        if record.case.id in earlier and earlier[record.case.id].case == record.case
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
