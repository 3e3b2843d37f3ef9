"""What commands share: who asks whom, and what they write to a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from assistant import Answer, Assistant, Client, Principal


_STRONG = re.compile(r"\*\*([^*\n]+)\*\*")

Groups = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", help="A group you belong to; repeat for more."),
]
User = Annotated[str, typer.Option("--user", "-u", help="Whose conversations these are.")]


def open_assistant() -> Assistant | Client:
    """Return the assistant; while a server of this machine holds its documents, a way to that."""
    import socket

    from assistant.core import Assistant
    from assistant.index.store import owner_card
    from assistant.settings import Settings
    from assistant.surfaces.client import Client

    settings = Settings()
    card = owner_card(settings.data_dir) or {}
    # In another container the same address would lead elsewhere.
    if "url" not in card or card["host"] != socket.gethostname():
        return Assistant(settings)
    typer.echo(f"Asking the server at {card['url']}, which holds {settings.data_dir}.", err=True)
    return Client(str(card["url"]), str(card["token"]))


def principal_of(user: str, groups: list[str] | None) -> Principal:
    """Return who asks, from what the options say."""
    from assistant import Principal

    return Principal(user, groups or ())


def _styled(text: str) -> str:
    """Return a piece of an answer with its ``**strong**`` words in bold, if this is a terminal."""
    return _STRONG.sub(lambda match: typer.style(match[1], bold=True), text)


def show_answer(
    assistant: Assistant | Client,
    question: str,
    conversation: str | None,
    principal: Principal,
    as_json: bool,
) -> Answer:
    """Print an answer as it comes, then its sources; return it."""
    from assistant.export import place

    for event in assistant.stream(question, conversation_id=conversation, principal=principal):
        if event.kind == "token" and not as_json:
            typer.echo(_styled(event.text), nl=False)
    answer = event.answer
    assert answer is not None
    if as_json:
        print_json(asdict(answer))
        return answer
    typer.echo()
    for citation in answer.citations:
        typer.secho(f"  [{citation.marker}] {place(citation)}", fg="bright_black")
    return answer


def next_question() -> str:
    """Return what is typed next, ``""`` at the end."""
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows below the names of their columns."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Any]:
    """Yield a progress callback that draws a bar on stderr, when there is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def tell(step: Any) -> None:
        if step.stage not in tasks:
            tasks[step.stage] = bar.add_task(step.stage, total=step.total)
        bar.update(tasks[step.stage], completed=step.done, total=step.total)

    with bar:
        yield tell
