"""The command line: each command translates its arguments, calls `Assistant`, and prints.

Exit codes: 0 done · 1 unexpected failure · 2 wrong usage, setting or question ·
3 the documents hold no answer · 4 some sources were not taken in · 5 the index cannot
be used · 6 a model or engine failed · 7 busy · 8 not found · 9 the answers got worse.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import errors
from assistant.surfaces import adapt, engine, strategy, users
from assistant.surfaces import eval as evaluation
from assistant.surfaces.terminal import (
    Groups,
    User,
    next_question,
    open_assistant,
    principal_of,
    print_json,
    print_table,
    progress_bar,
    show_answer,
)

if TYPE_CHECKING:
    pass

EXIT_UNEXPECTED, EXIT_USAGE, EXIT_REFUSED, EXIT_QUARANTINED = 1, 2, 3, 4
_EXIT_CODES: tuple[tuple[type[errors.AssistantError], int], ...] = (
    (errors.EngineBusyError, 7),
    (errors.EngineError, 6),
    (errors.ModelError, 6),
    (errors.StoreError, 5),
    (errors.SourceError, EXIT_QUARANTINED),
    (errors.NotFoundError, 8),
    (errors.AssistantError, EXIT_USAGE),
)

app = typer.Typer(
    help="Answers from strategy guidance and your company's papers, with citations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(engine.app, name="engine")
app.add_typer(evaluation.app, name="eval")
app.add_typer(adapt.app, name="adapt")
app.add_typer(strategy.app, name="strategy")
app.add_typer(users.app, name="users")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app()
    except errors.AssistantError as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question; `-` reads one a line from stdin.")],
    group: Groups = None,
    user: User = "anonymous",
    conversation: Annotated[
        str | None, typer.Option("--conversation", "-c", help="Go on with this conversation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question, with its sources."""
    principal = principal_of(user, group)
    questions = (
        [line.strip() for line in sys.stdin if line.strip()] if question == "-" else [question]
    )
    answers = []
    with open_assistant() as assistant:
        for each in questions:
            if len(questions) > 1 and not as_json:
                typer.secho(f"\n{each}", bold=True)
            answers.append(show_answer(assistant, each, conversation, principal, as_json))
    if any(answer.refused for answer in answers):
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def chat(group: Groups = None, user: User = "anonymous") -> None:
    """Hold a conversation in the terminal; follow-up questions are understood."""
    principal = principal_of(user, group)
    with open_assistant() as assistant:
        typer.echo("正在加载模型…… Loading models …", err=True)
        assistant.warm_up()
        typer.echo(
            "请输入问题，空行或 Ctrl-D 结束。Ask a question; an empty line or Ctrl-D ends.\n",
            err=True,
        )
        conversation = None
        while question := next_question():
            try:
                conversation = show_answer(
                    assistant, question, conversation, principal, as_json=False
                ).conversation_id
            except (errors.QuestionError, errors.EngineError) as error:
                typer.secho(str(error), fg="red", err=True)
            typer.echo()


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 8,
    group: Groups = None,
    as_json: AsJson = False,
) -> None:
    """Show the passages found for a query, with the score of each leg."""
    with open_assistant() as assistant:
        hits = assistant.search(query, k=k, principal=principal_of("anonymous", group))
    if as_json:
        print_json([asdict(hit) for hit in hits])
        return
    for rank, hit in enumerate(hits, 1):
        path = " > ".join(dict.fromkeys((hit.document.title, *hit.chunk.heading)))
        typer.secho(f"{rank}. {path}", bold=True)
        typer.secho(
            f"   score {hit.score:.3f} · dense {hit.dense_score:.3f} · "
            f"lexical {hit.lexical_score:.2f} · {hit.document.source}",
            fg="bright_black",
        )
        text = " ".join(hit.chunk.text.split())
        typer.echo(f"   {text[:160]}{'…' if len(text) > 160 else ''}")
    if not hits:
        typer.echo("Nothing found. `assistant documents` lists what you may read.", err=True)


@app.command()
def ingest(
    sources: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    group: Annotated[
        list[str] | None,
        typer.Option("--group", "-g", help="Who may read them; default: as before, or everyone."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take documents in; run it again after they changed."""
    with open_assistant() as assistant, progress_bar(quiet=as_json) as tell:
        report = assistant.ingest(*sources, groups=group, progress=tell)
    if as_json:
        print_json(asdict(report))
    else:
        counts = [
            f"{len(getattr(report, name))} {name}"
            for name in ("added", "updated", "unchanged", "removed", "quarantined")
        ]
        typer.echo(f"{', '.join(counts)}; {report.chunks} passages in {report.seconds:.1f} s")
        for twin in report.duplicates:
            typer.echo(f"  {twin.source}: {twin.similarity:.0%} the same text as {twin.of}")
        for bad in report.quarantined:
            typer.secho(f"  {bad.source}: {bad.reason}", fg="yellow", err=True)
    if report.quarantined:
        raise typer.Exit(EXIT_QUARANTINED)


@app.command()
def documents(
    group: Groups = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Those not taken in, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the documents you may read."""
    with open_assistant() as assistant:
        if quarantined:
            bad = assistant.quarantined()
            if as_json:
                print_json([asdict(entry) for entry in bad])
            else:
                print_table(("source", "reason"), [(b.source, b.reason) for b in bad])
            return
        listed = assistant.documents(principal_of("anonymous", group))
    if as_json:
        print_json([asdict(document) for document in listed])
        return
    print_table(
        ("id", "title", "language", "groups", "version", "passages", "source"),
        [
            (
                d.id,
                d.title,
                d.language,
                ", ".join(d.groups),
                str(d.version),
                str(d.chunks),
                d.source,
            )
            for d in listed
        ],
    )


@app.command()
def remove(
    document_ids: Annotated[list[str], typer.Argument(help="Ids from `assistant documents`.")],
) -> None:
    """Remove documents from the index; their files stay where they are."""
    with open_assistant() as assistant:
        for document_id in document_ids:
            assistant.remove(document_id)
            typer.echo(f"removed {document_id}")


@app.command()
def reindex() -> None:
    """Build the index anew from the documents it holds, after the embedding model changed."""
    with open_assistant() as assistant, progress_bar() as tell:
        assistant.reindex(progress=tell)
    typer.echo("The index is rebuilt.")


@app.command()
def conversations(
    conversation_id: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
    user: User = "anonymous",
    group: Groups = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it.")] = False,
    as_json: AsJson = False,
) -> None:
    """List your conversations, or export one as Markdown or JSON."""
    from assistant.export import export_json, export_markdown

    principal = principal_of(user, group)
    with open_assistant() as assistant:
        if conversation_id is None:
            listed = assistant.conversations(principal)
            if as_json:
                print_json([asdict(c) for c in listed])
            else:
                rows = [(c.id, f"{c.updated_at:%Y-%m-%d %H:%M}", c.title) for c in listed]
                print_table(("id", "updated", "title"), rows)
        elif delete:
            assistant.delete_conversation(conversation_id, principal)
            typer.echo(f"deleted {conversation_id}")
        else:
            found = assistant.conversation(conversation_id, principal)
            typer.echo(export_json(found) if as_json else export_markdown(found), nl=as_json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: a free one.")] = None,
) -> None:
    """Serve the page and the API; Ctrl-C stops it."""
    from assistant.settings import Settings
    from assistant.surfaces.serve import serve as run

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run(Settings(**given), lambda line: typer.echo(line))


@app.command()
def slack() -> None:
    """Answer in Slack, with the tokens of the settings; Ctrl-C stops it."""
    from assistant.settings import Settings
    from assistant.surfaces.slack.command import slack as run

    with open_assistant() as assistant:
        run(Settings(), assistant, lambda line: typer.echo(line))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Explain what is installed, what would answer, and what to do about each problem."""
    from assistant.surfaces.doctor import examine

    checks = examine()
    if as_json:
        print_json([asdict(check) for check in checks])
    for check in () if as_json else checks:
        sign, colour = ("ok", "green") if check.ok else ("!!", "red")
        typer.secho(f"{sign} ", fg=colour, nl=False)
        typer.echo(f"{check.name}: {check.found}")
        if check.remedy:
            typer.echo(f"     → {check.remedy}")
    if not all(check.ok for check in checks):
        raise typer.Exit(EXIT_UNEXPECTED)


@app.command()
def config(as_json: AsJson = False) -> None:
    """Show every setting: its value, where it can be set, and what it means."""
    from assistant.settings import Settings, config_file

    settings = Settings()
    if as_json:
        typer.echo(settings.model_dump_json(indent=2))
        return
    typer.echo(f"# {config_file().resolve()} or the environment\n")
    for name, setting in Settings.model_fields.items():
        typer.secho(f"{name} = {getattr(settings, name)!s}", bold=True)
        typer.echo(f"    {setting.description} (ASSISTANT_{name.upper()})")


if __name__ == "__main__":
    main()
