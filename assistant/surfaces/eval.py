"""`assistant eval`: each command translates its arguments, calls `evals`, and prints.

The harness is imported inside the commands alone: it brings libraries of its own, and
`assistant --help` is to stay quick.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.errors import ConfigurationError
from assistant.surfaces.terminal import progress_bar

if TYPE_CHECKING:
    from assistant import Settings
    from evals.record import Run

EXIT_REGRESSION = 9
BASELINE = Path("evals") / "baseline.json"
_LIBRARIES = ("jinja2", "scipy", "sklearn")

app = typer.Typer(
    help="Measure the answers: run the cases, report, compare, and refuse a regression.",
    no_args_is_help=True,
)

RunFolder = Annotated[
    Path | None, typer.Argument(help="A run's folder; the latest below evals/runs if left out.")
]
BaselineFile = Annotated[Path, typer.Option("--baseline", help="The committed scores.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="In place of the settings' own.")]
Values = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, as name=value; repeat for more.")
]


@app.callback()
def check() -> None:
    """Measure the answers: run the cases, report, compare, and refuse a regression."""
    if find_spec("evals") is None:
        raise ConfigurationError(
            "The evaluation harness is not installed. Run this in a checkout of the project, or "
            "install its wheel anew: pip install 'strategy-assistant[eval]'"
        )
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The evaluation harness needs {', '.join(missing)}. "
            "Run: pip install 'strategy-assistant[eval]'"
        )


@app.command()
def run(
    cases: Annotated[
        list[Path] | None, typer.Option("--cases", help="YAML files or folders of cases.")
    ] = None,
    engine: EngineName = None,
    values: Values = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Ask a sample of so many cases.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which sample.")] = 7,
    out: Annotated[
        Path | None, typer.Option("--out", help="The run's folder; default below evals/runs.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Questions asked at once.")] = 1,
) -> None:
    """Ask the cases and score the answers; a run that was stopped goes on where it stopped."""
    from evals.case import load_cases
    from evals.report import scoreboard_markdown
    from evals.run import run, sample
    from evals.scoreboard import sliced

    chosen = load_cases(cases or ())
    if limit:
        chosen = sample(chosen, limit, seed)
    with progress_bar() as tell:
        done = run(chosen, _settings(engine, values), out, workers=workers, progress=tell)
    typer.echo(scoreboard_markdown(sliced("all", done.records)))
    typer.secho(f"\n{done.folder}", bold=True)


@app.command()
def public(
    path: Annotated[Path, typer.Argument(help="The set's file or folder.")],
    layout: Annotated[str, typer.Option("--format", help="squad, beir, clapnq, rgb or nomiracl.")],
    engine: EngineName = None,
    values: Values = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Questions to draw; 0: all.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 7,
    out: Annotated[Path | None, typer.Option("--out", help="A JSON file with all answers.")] = None,
) -> None:
    """Measure search, answers and refusals on a public set, by its own measures and ours."""
    from evals.public_run import public_markdown, run_public

    with progress_bar() as tell:
        done = run_public(layout, path, _settings(engine, values), limit, seed, out, progress=tell)
    typer.echo(public_markdown(done))


@app.command()
def report(
    folder: RunFolder = None,
    worst: Annotated[int, typer.Option("--worst", help="How many of the worst cases.")] = 60,
) -> None:
    """Write a run's report beside it, as one HTML page and as Markdown."""
    from evals.report import write_report

    typer.echo(write_report(_run(folder), worst))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="The earlier run.")],
    b: Annotated[Path, typer.Argument(help="The later run.")],
) -> None:
    """Show what differs between two runs of the same cases, and the cases that flipped."""
    from evals.compare import compare, comparison_markdown
    from evals.record import read_run

    typer.echo(comparison_markdown(compare(read_run(a), read_run(b))))


@app.command()
def gate(folder: RunFolder = None, baseline: BaselineFile = BASELINE) -> None:
    """Hold a run against the baseline; a regression that is no chance ends with exit code 9."""
    from evals.compare import gate, read_baseline

    checks = gate(read_baseline(baseline), _run(folder))
    for each in checks:
        typer.secho(str(each), fg="red" if each.failed else None)
    if any(each.failed for each in checks):
        raise typer.Exit(EXIT_REGRESSION)


@app.command()
def baseline(folder: RunFolder = None, out: BaselineFile = BASELINE) -> None:
    """Make a run's scores the baseline of the gate; commit the file."""
    from evals.compare import make_baseline, write_baseline

    done = _run(folder)
    write_baseline(out, make_baseline(done))
    typer.echo(f"{out}: {len(done.records)} cases")


@app.command()
def judge(
    engine: Annotated[str, typer.Option("--engine", help="The engine that grades.")],
    folder: RunFolder = None,
    values: Values = None,
) -> None:
    """Let a language model grade a run's answers, and show whether it agrees with the facts."""
    from assistant.engines.base import load_engine
    from evals.judge import judge, write_judgement

    done, settings = _run(folder), _settings(engine, values)
    model = load_engine(engine, settings)
    try:
        with progress_bar() as tell:
            judgement = judge(model, done.records, tell)
    finally:
        model.close()
    write_judgement(done.folder, judgement)
    typer.echo(judgement)


@app.command()
def harvest(
    out: Annotated[Path, typer.Argument(help="The file to write.")] = Path("harvested.yaml"),
) -> None:
    """Turn disliked answers and refused questions into drafts of cases for a person to finish."""
    from assistant import Settings
    from evals.case import load_cases
    from evals.harvest import drafts, reviewable

    if out.exists():
        raise ConfigurationError(f"{out} exists. Finish it or name another file.")
    text, count = drafts(reviewable(Settings().data_dir), load_cases())
    out.write_text(text, "utf-8")
    typer.echo(f"{out}: {count} drafts to finish")


# -- translating --------------------------------------------------------------------------------


def _settings(engine: str | None, values: list[str] | None) -> Settings:
    from assistant import Settings

    pairs = dict(_pair(text) for text in values or ())
    return Settings(**pairs, **({"engine": engine} if engine else {}))


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ConfigurationError(f"--set {text!r} is not name=value, such as dense_weight=0.5.")
    return name.strip(), value.strip()


def _run(folder: Path | None) -> Run:
    from evals.record import latest, read_run

    return read_run(folder or latest())
