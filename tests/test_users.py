"""`assistant users` on the data directory of a server."""

from __future__ import annotations

from contextlib import closing

from typer.testing import CliRunner

from assistant import Settings
from assistant.accounts.store import Accounts
from assistant.surfaces.cli import app


def test_a_user_is_made_and_their_link_sets_a_password() -> None:
    runner = CliRunner()
    made = runner.invoke(app, ["users", "add", "wu", "--role", "editor", "-g", "finance"])
    assert made.exit_code == 0, made.output
    first = made.stdout.strip().rpartition("/welcome/")[2]
    again = runner.invoke(app, ["users", "invite", "wu"]).stdout.strip().rpartition("/")[2]
    assert "wu\teditor\tfinance" in runner.invoke(app, ["users", "list"]).stdout
    with closing(Accounts(Settings().data_dir)) as accounts:
        assert accounts.accept(again, "a long enough word").id == "wu"
        assert accounts.sign_in("wu", "a long enough word")
        assert first != again
        actions = [(entry.actor, entry.target) for entry in accounts.audit_log()]
    assert ("command line", "wu") in actions
