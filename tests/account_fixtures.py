"""Accounts, and a clock that is set by hand: `accounts` and `clock`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assistant.accounts.store import Accounts

PASSWORD = "correct horse battery"


HOME = "192.0.2.7"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    opened = Accounts(tmp_path, session_hours=12, clock=clock)
    yield opened
    opened.close()


def with_password(accounts: Accounts, user_id: str, role: str = "reader") -> str:
    accounts.create_user(user_id, role=role)  # type: ignore[arg-type]
    accounts.accept(accounts.invite(user_id), PASSWORD)
    return user_id


def actions(accounts: Accounts) -> list[tuple[str, str, str]]:
    return [(e.actor, e.action, e.target) for e in reversed(accounts.audit_log())]
