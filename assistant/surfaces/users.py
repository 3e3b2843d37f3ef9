"""`assistant users …`: who may use the server, from its own machine.

It works on the data directory itself, beside a running server, so that a forgotten
password of the last administrator locks nobody out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from assistant.accounts.store import Accounts

ACTOR = "command line"

app = typer.Typer(help="Who may use the server.", no_args_is_help=True)


class Role(StrEnum):
    """What a user may do."""

    reader = "reader"
    editor = "editor"
    admin = "admin"


Name = Annotated[str, typer.Argument(help="The name they sign in with.")]


@app.command("list")
def list_users() -> None:
    """List the users with their roles and groups."""
    with _accounts() as accounts:
        for user in accounts.users():
            state = "" if user.active else "  (deactivated)"
            typer.echo(f"{user.id}\t{user.role}\t{', '.join(user.groups)}{state}")


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.reader,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="What they may read; repeat for more.")
    ] = None,
) -> None:
    """Make a user and print the link with which they set a password, once."""
    with _accounts() as accounts:
        accounts.create_user(name, role=role.value, groups=group or (), actor=ACTOR)
        typer.echo(_link(accounts, name))


@app.command()
def invite(name: Name) -> None:
    """Print a new link with which a user sets a password, once; earlier links end."""
    with _accounts() as accounts:
        typer.echo(_link(accounts, name))


@contextmanager
def _accounts() -> Iterator[Accounts]:
    from assistant.accounts.store import Accounts
    from assistant.settings import Settings

    settings = Settings()
    with closing(Accounts(settings.data_dir, settings.session_hours)) as accounts:
        yield accounts


def _link(accounts: Accounts, name: str) -> str:
    from assistant.settings import Settings

    settings = Settings()
    address = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    return f"{address}/welcome/{accounts.invite(name, actor=ACTOR)}"
