"""The peers' figures as a Markdown table and as one HTML page with a bar chart.

It takes rows as `evals/bench/peers.py` measured them and computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.bench.peers import Row

COLUMNS = (
    "method", "recall@1", "recall@5", "MRR@10", "ms a question", "without embedding",
    "passages a second at ingest", "of it embedding", "memory, MB",
)  # fmt: skip
_WIDTH, _LEFT, _BAR, _STEP = 760, 330, 16, 44
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1f2933; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #d5dbe1; padding: .35rem .5rem; text-align: right; }
th:first-child, td:first-child, td[colspan] { text-align: left; }
.one { fill: #1f6f8b; } .five { fill: #a9cfdb; } .axis { stroke: #d5dbe1; }
svg text { font: 13px system-ui, sans-serif; fill: currentColor; }
@media (prefers-color-scheme: dark) { body { color: #e4e7eb; background: #161b22; }
  th, td { border-color: #3a424d; } .axis { stroke: #3a424d; } }
"""


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table; a method without figures says why."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        cells = [row.problem] + [""] * (len(COLUMNS) - 2) if row.problem else figures(row)
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(row: Row) -> list[str]:
    """Return a row's figures as text, in the order of the columns."""
    shares = [f"{value:.3f}" for value in (row.recall_1, row.recall_5, row.mrr)]
    times = [f"{value:.1f}" for value in (row.milliseconds, row.bare_milliseconds, row.ingest)]
    grown = "–" if row.megabytes is None else f"{row.megabytes:.0f}"
    return [*shares, *times, f"{row.embedding:.0%}", grown]


def page(heading: str, rows: Sequence[Row]) -> str:
    """Return one HTML page that asks the network for nothing."""
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Peers: {escape(heading)}</title><style>{_STYLE}</style>"
        f"<h1>Peers in one run</h1><p>{escape(heading)}. Each method has the same embedding "
        "model and a process of its own; times hold within this run alone. Dark: recall@1, "
        "light: recall@5.</p>"
        f"{chart([row for row in rows if not row.problem])}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></html>\n"
    )


def chart(rows: Sequence[Row]) -> str:
    """Return horizontal bars from 0 to 1: recall@1 dark, recall@5 light, best first."""
    parts = []
    bottom = 24 + _STEP * len(rows)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _x(tick)
        parts.append(f'<line class="axis" x1="{x:.0f}" x2="{x:.0f}" y1="20" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.0f}" y="14" text-anchor="middle">{tick:g}</text>')
    for place, row in enumerate(sorted(rows, key=lambda row: -row.recall_1)):
        y = 28 + place * _STEP
        label = escape(row.label.replace("`", ""))
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 20}" text-anchor="end">{label}</text>')
        bars = (("one", y, row.recall_1), ("five", y + _BAR, row.recall_5))
        for name, top, value in bars:
            width = _x(value) - _LEFT
            parts.append(
                f'<rect class="{name}" x="{_LEFT}" y="{top}" width="{width:.1f}" '
                f'height="{_BAR - 2}"/><text x="{_x(value) + 4:.1f}" y="{top + 12}">'
                f"{value:.3f}</text>"
            )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {bottom + 8}" role="img" '
        'aria-label="recall at 1, dark, and at 5, light, of each method">'
        f"<title>recall@1 dark, recall@5 light</title>{''.join(parts)}</svg>"
    )


def _cells(row: Row) -> str:
    label = f"<td>{escape(row.label.replace('`', ''))}</td>"
    if row.problem:
        return label + f'<td colspan="{len(COLUMNS) - 1}">{escape(row.problem)}</td>'
    return label + "".join(f"<td>{figure}</td>" for figure in figures(row))


def _x(value: float) -> float:
    return _LEFT + value * (_WIDTH - _LEFT - 60)
