"""The latest evaluation: its scores for the quality view, and its report as a page of its own.

Both are for administrators alone. Runs lie below ``<data_dir>/evals``, each in a folder of
its own, as ``assistant eval run --out <data_dir>/evals/<name>`` leaves them; that which
finished last counts. The harness is a part that need not be installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from assistant.errors import ConfigurationError, NotFoundError
from assistant.surfaces.http.depend import Asker, TheService, limited

router = APIRouter(dependencies=[Depends(limited)], include_in_schema=False)

FOLDER = "evals"
REPORT = "report.html"
# What a company wants to know first, of all that the report says.
SHOWN = (
    "correct",
    "fact_recall",
    "hit@1",
    "answered",
    "refused",
    "citation_precision",
    "leak",
    "injection",
)
_LIBRARIES = ("evals", "scipy")
# The report quotes documents and answers; whatever they hold, it may only be looked at.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True)
class Score:
    """A score of a run: the share of ``count`` cases, and its 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    count: int
    better: str


@dataclass(frozen=True)
class Evaluation:
    """A run: when it was made, of which engine, and how it scored; ``page`` is its report."""

    folder: Path
    finished: datetime
    engine: str
    cases: int
    scores: tuple[Score, ...]
    page: Path | None


def latest_evaluation(data_dir: Path) -> Evaluation | None:
    """Return the run that finished last, None where there is none.

    Raises:
        ConfigurationError: it cannot be read.
    """
    root = data_dir / FOLDER
    if any(find_spec(name) is None for name in _LIBRARIES) or not root.is_dir():
        return None
    from evals.record import MANIFEST_FILE, read_manifest

    folders = [path.parent for path in root.glob(f"*/{MANIFEST_FILE}")]
    finished = {f: m.finished for f in folders if (m := read_manifest(f)) and m.finished}
    if not finished:
        return None
    folder = max(finished, key=lambda each: finished[each])
    return _read(folder, (folder / MANIFEST_FILE).stat().st_mtime_ns)


@router.get("/evaluation")
def evaluation(service: TheService, asker: Asker) -> HTMLResponse:
    """Show the whole report of the evaluation that finished last."""
    asker.require("admin")
    found = latest_evaluation(service.settings.data_dir)
    if found is None or found.page is None:
        raise NotFoundError("There is no report yet. `assistant eval report` writes one.")
    page = found.page.read_text("utf-8")
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


@lru_cache(maxsize=2)
def _read(folder: Path, changed: int) -> Evaluation:
    """Read a run; ``changed`` makes it another one after it was made anew."""
    from evals.record import read_run
    from evals.scoreboard import SCORE, sliced

    run = read_run(folder)
    means = sliced("all", run.records).means
    scores = tuple(
        Score(name, mean.value, mean.low, mean.high, mean.n, SCORE[name].better)
        for name in SHOWN
        if (mean := means.get(name))
    )
    if not scores:
        raise ConfigurationError(f"The run in {folder} has no scores. Delete it and run again.")
    page = folder / REPORT
    return Evaluation(
        folder,
        datetime.fromisoformat(run.manifest.finished),
        run.manifest.engine,
        len(run.records),
        scores,
        page if page.is_file() else None,
    )
