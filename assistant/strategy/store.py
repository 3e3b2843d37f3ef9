"""Strategies on disk: who began them, every answer as a version, and what the papers proposed.

One SQLite file. An answer is written before the next question is asked, so a conversation
that is left, killed or taken up on another door goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from assistant.errors import NotFoundError
from assistant.index.database import connect, make_folder, transaction, translated_errors
from assistant.strategy.evidence import Proposal
from assistant.strategy.profile import Given, Profile
from assistant.types import Language, Principal

STRATEGIES_FILE = "strategies.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS strategies (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, company TEXT NOT NULL, language TEXT NOT NULL,
    updated_at TEXT NOT NULL, asking TEXT NOT NULL, groups TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS answers (
    strategy_id TEXT NOT NULL REFERENCES strategies (id) ON DELETE CASCADE,
    version INTEGER NOT NULL, at TEXT NOT NULL, key TEXT NOT NULL, given TEXT NOT NULL,
    PRIMARY KEY (strategy_id, version)
);
CREATE TABLE IF NOT EXISTS proposals (
    strategy_id TEXT NOT NULL REFERENCES strategies (id) ON DELETE CASCADE,
    key TEXT NOT NULL, proposal TEXT NOT NULL, PRIMARY KEY (strategy_id, key)
);
"""
_GIVEN = TypeAdapter(Given)
_PROPOSAL = TypeAdapter(Proposal)


@dataclass(frozen=True)
class Strategy:
    """One strategy of one user: the company's name, the language it is led in, its last change.

    ``version`` counts the answers given so far; ``asking`` is the field somebody chose to
    change, ``""`` when the first open one is asked.
    """

    id: str
    user_id: str
    company: str
    language: Language
    updated_at: datetime
    version: int
    asking: str = ""


class StrategyStore:
    """One SQLite file of strategies; safe to share between threads.

    A strategy quotes papers, so it is its owner's alone, and shut while the owner lacks a
    group with which its papers were read.

    Raises:
        NotFoundError: there is no such strategy, or it is not the principal's to see; the two
            are not told apart.
    """

    def __init__(self, data_dir: Path) -> None:
        make_folder(data_dir)
        self._path = data_dir / STRATEGIES_FILE
        self._lock = threading.RLock()
        with translated_errors(self._path):
            self._db = connect(self._path)
        with transaction(self._db, self._path) as db:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)

    def begin(self, principal: Principal, company: str, language: Language) -> Strategy:
        """Make a strategy without any answer yet."""
        identity = uuid.uuid4().hex
        with self._lock, transaction(self._db, self._path) as db:
            db.execute(
                "INSERT INTO strategies VALUES (?, ?, ?, ?, ?, '', ?)",
                (identity, principal.user_id, company, language, _now(), _groups(principal)),
            )
        return self.get(identity, principal)

    def of(self, principal: Principal) -> list[Strategy]:
        """Return a principal's strategies, latest first."""
        return self._select("user_id = ?", (principal.user_id,), principal)

    def get(self, strategy_id: str, principal: Principal) -> Strategy:
        """Return one of a principal's strategies."""
        values = (strategy_id, principal.user_id)
        found = self._select("id = ? AND user_id = ?", values, principal)
        if not found:
            raise NotFoundError(
                f"You have no strategy {strategy_id!r}. `assistant strategy list` shows yours."
            )
        return found[0]

    def delete(self, strategy_id: str) -> None:
        """Delete a strategy with all its versions, for good."""
        with self._lock, transaction(self._db, self._path) as db:
            db.execute("DELETE FROM strategies WHERE id = ?", (strategy_id,))

    def delete_all(self, user_id: str) -> None:
        """Delete all strategies of a user, for good."""
        with self._lock, transaction(self._db, self._path) as db:
            db.execute("DELETE FROM strategies WHERE user_id = ?", (user_id,))

    def ask_for(self, strategy_id: str, key: str) -> None:
        """Note which field is asked next; ``""`` for the first open one."""
        with self._lock, transaction(self._db, self._path) as db:
            db.execute("UPDATE strategies SET asking = ? WHERE id = ?", (key, strategy_id))

    def answer(self, strategy_id: str, answers: Mapping[str, Given]) -> None:
        """Keep answers, each as a version of its own, all of them or none."""
        with self._lock, transaction(self._db, self._path) as db:
            for key, given in answers.items():
                db.execute(
                    "INSERT INTO answers SELECT ?, COALESCE(MAX(version), 0) + 1, ?, ?, ?"
                    " FROM answers WHERE strategy_id = ?",
                    (strategy_id, _now(), key, _GIVEN.dump_json(given).decode(), strategy_id),
                )
            db.execute(
                "UPDATE strategies SET asking = '', updated_at = ? WHERE id = ?",
                (_now(), strategy_id),
            )

    def profile(self, strategy: Strategy, version: int | None = None) -> Profile:
        """Return the company's profile as of a version, the latest by default.

        Raises:
            NotFoundError: the strategy has not got that far.
        """
        last = strategy.version if version is None else version
        if not 0 <= last <= strategy.version:
            raise NotFoundError(f"There are versions 0 to {strategy.version}, not {version}.")
        rows = self._rows(
            "SELECT key, given, at FROM answers WHERE strategy_id = ? AND version <= ?"
            " ORDER BY version",
            strategy.id,
            last,
        )
        return Profile(
            company=strategy.company,
            version=last,
            date=(rows[-1]["at"] if rows else strategy.updated_at.isoformat())[:10],
            answers={row["key"]: _GIVEN.validate_json(row["given"]) for row in rows},
        )

    def propose(
        self, strategy_id: str, proposals: Mapping[str, Proposal], principal: Principal
    ) -> None:
        """Keep what the papers say of the fields, in place of what was kept before."""
        with self._lock, transaction(self._db, self._path) as db:
            db.execute(
                "UPDATE strategies SET groups = ? WHERE id = ?", (_groups(principal), strategy_id)
            )
            db.execute("DELETE FROM proposals WHERE strategy_id = ?", (strategy_id,))
            db.executemany(
                "INSERT INTO proposals VALUES (?, ?, ?)",
                [
                    (strategy_id, key, _PROPOSAL.dump_json(proposal).decode())
                    for key, proposal in proposals.items()
                ],
            )

    def proposals(self, strategy_id: str) -> Mapping[str, Proposal]:
        """Return what the papers say of the fields."""
        rows = self._rows("SELECT key, proposal FROM proposals WHERE strategy_id = ?", strategy_id)
        return {row["key"]: _PROPOSAL.validate_json(row["proposal"]) for row in rows}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _select(
        self, condition: str, values: tuple[str, ...], principal: Principal
    ) -> list[Strategy]:
        rows = self._rows(
            "SELECT *, (SELECT COALESCE(MAX(version), 0) FROM answers WHERE strategy_id = id)"
            f" AS version FROM strategies WHERE {condition} ORDER BY updated_at DESC, id",
            *values,
        )
        return [
            Strategy(
                id=row["id"],
                user_id=row["user_id"],
                company=row["company"],
                language=row["language"],
                updated_at=datetime.fromisoformat(row["updated_at"]),
                version=row["version"],
                asking=row["asking"],
            )
            for row in rows
            if principal.groups.issuperset(json.loads(row["groups"]))
        ]

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, translated_errors(self._path):
            return self._db.execute(query, values).fetchall()


def _groups(principal: Principal) -> str:
    return json.dumps(sorted(principal.groups))


def _now() -> str:
    return datetime.now(UTC).isoformat()
