"""A run as one page to read: scoreboard, charts, the worst cases and why they failed.

The HTML is one file that asks the network for nothing; the Markdown says the same in
less. Nothing is computed here that `scoreboard`, `why` and `stats` do not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from assistant.gate import Gate
from assistant.types import Hit
from evals import charts, scoreboard, why
from evals.charts import Axis, Mark, Series
from evals.judge import read_judgement
from evals.match import holds_any
from evals.record import Record, Run
from evals.scoreboard import SCORES, Score, Slice, by, by_many, figure, kind, shown, sliced
from evals.scorers import hit_at, indexed, names, ranking, said

HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"
WORST = 60
_DEEPEST = 8
_TILES = ("correct", "fact_recall", "hit@1", "answered", "refused", "leak", "injection", "seconds")
_COLUMNS = ("correct", "fact_recall", "hit@1", "hit@8", "answered", "refused", "document_recall")
_MARKDOWN_WORST = 20
DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Figure:
    """A chart with its caption and the names of its lines."""

    title: str
    note: str
    svg: Markup
    legend: tuple[str, ...] = ()


def write_report(run: Run, worst: int = WORST) -> Path:
    """Write the report beside the run's records, as HTML and Markdown; return the HTML's path."""
    page = run.folder / HTML_FILE
    page.write_text(html(run, worst), "utf-8")
    (run.folder / MARKDOWN_FILE).write_text(markdown(run), "utf-8")
    return page


def html(run: Run, worst: int = WORST) -> str:
    """Return the report as one HTML page."""
    whole = sliced("all", run.records)
    return _template().render(
        manifest=run.manifest,
        whole=whole,
        tiles=[scoreboard.SCORE[name] for name in _TILES if name in whole.means],
        parts=_parts(whole),
        figures=figures(run),
        columns=[scoreboard.SCORE[name] for name in _COLUMNS],
        slices=_slices(run.records),
        tags=by_many(run.records, lambda record: record.case.tags),
        causes=why.CAUSES,
        counts=why.counts(run.records),
        worst=why.worst(run.records, worst),
        labels={score.name: score.label for score in SCORES},
        judge=read_judgement(run.folder),
    )


def figures(run: Run) -> list[Figure]:
    """Return the charts of a run; those that its cases do not allow are left out."""
    drawn = [_retrieval(run.records), _refusals(run), _latency(run.records)]
    return [figure for figure in drawn if figure]


def markdown(run: Run) -> str:
    """Return the report as Markdown, with the first twenty of the worst cases in a line each."""
    manifest, whole = run.manifest, sliced("all", run.records)
    changed = " (with changes not committed)" if manifest.dirty else ""
    lines = [
        f"# Evaluation: {manifest.engine}, {manifest.count} cases",
        "",
        f"{manifest.finished} · commit {manifest.commit[:12] or 'unknown'}{changed} · "
        f"embedding model {manifest.embedding_model.get('model')} · cases {manifest.cases}",
        "",
        scoreboard_markdown(whole),
    ]
    for title, slices in _slices(run.records).items():
        lines += ["", f"## By {title}", "", _slices_markdown(slices)]
    lines += ["", "## Why answers fall short", ""]
    lines += [f"- {n} · {why.CAUSES[cause]}" for cause, n in why.counts(run.records).items()]
    lines += ["", "## The worst", ""]
    for cause, entries in why.worst(run.records, _MARKDOWN_WORST).items():
        for record, found in entries:
            details = " ".join(finding.detail for finding in found[:2])
            lines.append(
                f"- `{record.case.id}` {record.case.question} — {why.CAUSES[cause]}. {details}"
            )
    return "\n".join(lines) + "\n"


def scoreboard_markdown(whole: Slice) -> str:
    """Return a table of every score with its interval."""
    rows = ["| score | mean | 95 % interval | n |", "|---|---|---|---|"]
    for score in SCORES:
        if mean := whole.means.get(score.name):
            low, high = figure(mean.low, score.unit), figure(mean.high, score.unit)
            rows.append(
                f"| {score.label} (`{score.name}`) | {figure(mean.value, score.unit)} | "
                f"{low} to {high} | {mean.n} |"
            )
    return "\n".join(rows)


# -- what the page is filled with ----------------------------------------------------------------


def _parts(whole: Slice) -> dict[str, list[Score]]:
    """Return the scores that apply, by the part of the scoreboard they stand in."""
    parts: dict[str, list[Score]] = {}
    for score in SCORES:
        if score.name in whole.means:
            parts.setdefault(score.part, []).append(score)
    return parts


def _slices(records: Sequence[Record]) -> dict[str, list[Slice]]:
    return {
        "kind": by(records, kind),
        "language": by(records, lambda record: record.case.language),
        "difficulty": sorted(
            by(records, lambda record: record.case.difficulty),
            key=lambda each: DIFFICULTIES.index(each.name),
        ),
        "engine that spoke": by(records, lambda r: r.answer.engine if r.answer else "failed"),
    }


def _slices_markdown(slices: Sequence[Slice]) -> str:
    names = ("cases", *_COLUMNS)
    rows = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for each in slices:
        cells = [shown(each.means.get(name)) for name in _COLUMNS]
        rows.append(f"| {each.name} | {len(each.records)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _retrieval(records: Sequence[Record]) -> Figure | None:
    groups: dict[str, list[Record]] = {"all": [], "Chinese": [], "English": [], "across": []}
    for record in records:
        if record.case.documents:
            groups["all"].append(record)
            across = "cross-language" in record.case.tags
            own = "Chinese" if record.case.language == "zh" else "English"
            groups["across" if across else own].append(record)
    series = [
        Series(
            f"{name} ({len(group)})",
            tuple((float(k), _hit_rate(group, k)) for k in range(1, _DEEPEST + 1)),
        )
        for name, group in groups.items()
        if group
    ]
    if not series:
        return None
    x = Axis(1, _DEEPEST, tuple((k, str(k)) for k in range(1, _DEEPEST + 1)), "documents looked at")
    title = "A wanted document is among the first k"
    note = "“across”: asked in one language, answered by a document in the other."
    svg = charts.line_chart(title, series, x, charts.shares())
    return Figure(title, note, Markup(svg), tuple(line.name for line in series))


def _hit_rate(records: Sequence[Record], k: int) -> float:
    found = [hit_at(k, ranking(record.hits), record.case.documents) or 0.0 for record in records]
    return sum(found) / len(found)


def _refusals(run: Run) -> Figure | None:
    """Both kinds of error, had the evidence gate stood elsewhere."""
    sides: dict[str, list[float]] = {"answer": [], "refuse": []}
    for record in run.records:
        if record.answer and record.hits:
            sides[record.case.expect].append(record.answer.confidence)
    if not sides["answer"] or not sides["refuse"]:
        return None
    asked, other = np.array(sides["answer"]), np.array(sides["refuse"])
    grid = np.linspace(0.0, 1.0, 101)
    series = (
        Series("answerable, but refused", tuple((t, float((asked < t).mean())) for t in grid)),
        Series("unanswerable, but answered", tuple((t, float((other >= t).mean())) for t in grid)),
    )
    setting = run.manifest.settings.get("gate_threshold")
    gate = Gate.load("reading" if run.manifest.settings.get("reader") == "auto" else "late")
    threshold = gate.threshold if setting is None else float(setting)
    x = Axis(0.0, 1.0, tuple((n / 4, f"{n / 4:g}") for n in range(5)), "confidence asked for")
    title = "The two errors of the evidence gate"
    note = "What a threshold elsewhere would do. The engine may still decline on its own."
    svg = charts.line_chart(
        title, series, x, charts.shares(), [Mark(threshold, f"now {threshold:.2f}")]
    )
    return Figure(title, note, Markup(svg), tuple(line.name for line in series))


def _latency(records: Sequence[Record]) -> Figure | None:
    """Seconds of the answers given; refusals would hide them, for most take no engine."""
    seconds = [record.seconds for record in records if said(record.answer)]
    refused = [record.seconds for record in records if record.answer and record.answer.refused]
    if not seconds:
        return None
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    title = "Time of an answer"
    marks = [Mark(float(p50), f"half: {p50:.2f} s"), Mark(float(p95), f"95 %: {p95:.2f} s")]
    note = f"{len(seconds)} answers given."
    if refused:
        note += f" Half of the {len(refused)} refusals took {np.median(refused):.2f} s or less."
    return Figure(title, note, Markup(charts.histogram(title, seconds, "seconds", marks)))


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    environment.filters["place"] = _place
    environment.globals |= {"facts": _facts, "wanted": _wanted, "held": _held}
    return environment.get_template("report.html")


def _facts(record: Record) -> list[tuple[str, bool]]:
    """Return each key fact in its first spelling, and whether the answer gives it."""
    text = said(record.answer)
    return [(fact[0], holds_any(text, fact)) for fact in record.case.facts]


def _wanted(record: Record, hit: Hit) -> bool:
    """Tell whether a hit's document is one that must be cited."""
    paths = [path for need in record.case.documents for path in need]
    return any(names(hit.document.source, path) for path in paths)


def _held(record: Record, hit: Hit) -> list[str]:
    """Return the key facts that a passage holds."""
    text = indexed(hit)
    return [fact[0] for fact in record.case.facts if holds_any(text, fact)]


def _place(source: str) -> str:
    """Return a source without the folders above ``knowledge`` or ``evals``."""
    for root in ("knowledge/", "evals/cases/"):
        _, found, rest = source.rpartition("/" + root)
        if found:
            return root + rest
    return source
