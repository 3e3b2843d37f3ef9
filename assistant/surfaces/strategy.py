"""`assistant strategy …`: the interview in the terminal, and the brief as files."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.surfaces.terminal import (
    Groups,
    User,
    next_question,
    open_assistant,
    principal_of,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from assistant.strategy import Strategies, Turn, Weights
    from assistant.surfaces.strategies import RemoteStrategies
    from assistant.types import Language

    Desk = Strategies | RemoteStrategies

app = typer.Typer(
    help="Lead a company from questions to a written, cited strategy.", no_args_is_help=True
)


class BriefLanguage(StrEnum):
    """The languages a brief is written in."""

    zh = "zh"
    en = "en"
    both = "both"


StrategyId = Annotated[str, typer.Argument(help="The strategy; `assistant strategy list`.")]
Out = Annotated[Path, typer.Option(help="The folder the brief's files go to.")]
Spoken = Annotated[BriefLanguage, typer.Option("--language", "-l", help="zh, en or both.")]
Weighted = Annotated[
    str, typer.Option(help="Weights of value, feasibility, data and risk, such as 35,25,25,15.")
]
Prose = Annotated[bool, typer.Option(help="Let the language model write connecting sentences.")]


@app.command()
def start(
    company: Annotated[str, typer.Argument(help="The company's name.")],
    language: Annotated[BriefLanguage, typer.Option("--language", "-l")] = BriefLanguage.zh,
    user: User = "anonymous",
    group: Groups = None,
) -> None:
    """Begin a strategy and answer its questions; leave with Ctrl-D and go on later."""
    with open_assistant() as assistant:
        strategies = assistant.strategies(principal_of(user, group))
        spoken: Language = "en" if language == BriefLanguage.en else "zh"
        _converse(strategies, strategies.begin(company, spoken))


@app.command()
def resume(strategy_id: StrategyId, user: User = "anonymous", group: Groups = None) -> None:
    """Go on with a strategy where it was left."""
    with open_assistant() as assistant:
        strategies = assistant.strategies(principal_of(user, group))
        _converse(strategies, strategies.ask(strategy_id))


@app.command("list")
def list_strategies(user: User = "anonymous", group: Groups = None) -> None:
    """List your strategies."""
    with open_assistant() as assistant:
        listed = assistant.strategies(principal_of(user, group)).all()
    rows = [(s.id, f"{s.updated_at:%Y-%m-%d %H:%M}", str(s.version), s.company) for s in listed]
    print_table(("id", "updated", "version", "company"), rows)


@app.command()
def answer(
    strategy_id: StrategyId,
    field: Annotated[str, typer.Argument(help="The field; `assistant strategy profile` names it.")],
    text: Annotated[str, typer.Argument(help="What you answer.")],
    user: User = "anonymous",
    group: Groups = None,
) -> None:
    """Settle one field of the profile, or change it."""
    with open_assistant() as assistant:
        assistant.strategies(principal_of(user, group)).answer(strategy_id, field, text)


@app.command()
def profile(
    strategy_id: StrategyId,
    version: Annotated[int | None, typer.Option(help="As of this version.")] = None,
    against: Annotated[int | None, typer.Option(help="Show what changed since this one.")] = None,
    user: User = "anonymous",
    group: Groups = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is known of the company, or what changed between two versions."""
    from assistant.strategy.profile import form, show

    with open_assistant() as assistant:
        strategies = assistant.strategies(principal_of(user, group))
        strategy = strategies.get(strategy_id)
        if against is not None:
            last = strategy.version if version is None else version
            changes = strategies.compare(strategy_id, against, last)
            print_table(("field", "before", "after"), [(c.key, c.before, c.after) for c in changes])
            return
        known = strategies.profile(strategy_id, version)
    if as_json:
        print_json({key: asdict(given) for key, given in known.answers.items()})
        return
    rows = [
        (field.key, show(field, known.answers.get(field.key), strategy.language))
        for field in form().fields
    ]
    print_table(("field", "value"), rows)


@app.command()
def brief(
    strategy_id: StrategyId,
    out: Out = Path("brief"),
    language: Spoken = BriefLanguage.both,
    weights: Weighted = "",
    prose: Prose = False,
    user: User = "anonymous",
    group: Groups = None,
) -> None:
    """Write the brief as Markdown, Word and PDF."""
    with open_assistant() as assistant:
        strategies = assistant.strategies(principal_of(user, group))
        _write(strategies, strategy_id, out, language, _weights(weights), prose)


@app.command()
def demo(
    company: Annotated[
        Path, typer.Option(exists=True, help="The folder with the company's papers.")
    ] = Path("knowledge/company"),
    out: Out = Path("brief"),
    name: Annotated[str, typer.Option(help="The company's name; the folder's by default.")] = "",
    language: Spoken = BriefLanguage.both,
) -> None:
    """Read a folder of papers, take over what they say, and write the brief at once.

    Nothing is kept but the brief: the papers are indexed in a folder that goes away. What
    they do not say counts as not known.
    """
    from assistant.core import Assistant
    from assistant.settings import Settings
    from assistant.strategy.render import chinese_font
    from assistant.types import EVERYONE_GROUP, Principal

    chinese_font()  # what is missing is told now, not when all papers have been read
    with TemporaryDirectory(prefix="assistant-strategy-") as folder:
        settings = Settings(data_dir=Path(folder))
        with Assistant(settings) as assistant:
            report = assistant.ingest(company)
            for refused in report.quarantined:
                typer.secho(f"{refused.source}: {refused.reason}", fg="yellow", err=True)
            groups = assistant.groups()
            restricted = [group for group in groups if group != EVERYONE_GROUP]
            if restricted:
                said = f"The brief may quote papers meant for: {', '.join(restricted)}."
                typer.secho(said, fg="yellow", err=True)
            reader = Principal("demo", groups)
            strategies = assistant.strategies(reader)
            turn = strategies.begin(name or company.resolve().name)
            typer.echo(strategies.say(turn.strategy_id, "accept all").text.splitlines()[0])
            strategies.say(turn.strategy_id, "finish")
            _write(strategies, turn.strategy_id, out, language, None, False)


@app.command()
def delete(strategy_id: StrategyId, user: User = "anonymous", group: Groups = None) -> None:
    """Delete a strategy with all its versions, for good."""
    with open_assistant() as assistant:
        assistant.strategies(principal_of(user, group)).delete(strategy_id)


def _converse(strategies: Desk, turn: Turn) -> None:
    """Hold the interview until it is done or left."""
    typer.echo(turn.text)
    while not turn.done and (said := next_question()):
        turn = strategies.say(turn.strategy_id, said)
        typer.echo(f"\n{turn.text}")
    if turn.done:
        typer.secho(f"\nassistant strategy brief {turn.strategy_id}", fg="bright_black")
    else:
        typer.secho(f"\nassistant strategy resume {turn.strategy_id}", fg="bright_black")


def _write(
    strategies: Desk,
    strategy_id: str,
    out: Path,
    language: BriefLanguage,
    weights: Weights | None,
    prose: bool,
) -> None:
    from assistant.strategy.render import write_brief

    spoken: list[Language] = ["zh", "en"]
    for each in spoken:
        if language not in (BriefLanguage.both, each):
            continue
        written = strategies.brief(strategy_id, language=each, weights=weights, prose=prose)
        for path in write_brief(written, out, f"brief.{each}"):
            if path.suffix != ".png":
                typer.echo(str(path))


def _weights(text: str) -> Weights | None:
    """Return weights written as four numbers, None for none.

    Raises:
        QuestionError: they are not four numbers that can be weights.
    """
    from assistant.errors import QuestionError
    from assistant.strategy import Weights

    if not text:
        return None
    try:
        value, feasibility, data, risk = (float(part) for part in text.split(","))
        return Weights(value, feasibility, data, risk)
    except ValueError as error:
        raise QuestionError(
            f"--weights takes four numbers, such as 35,25,25,15, not {text!r} ({error})."
        ) from None
