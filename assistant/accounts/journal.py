"""The file of the accounts and its audit log: what was done, by whom, from where.

Passwords, tokens and question texts are never written to the log.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assistant.accounts.records import AuditEntry
from assistant.errors import StoreError
from assistant.index.database import (
    connect,
    make_folder,
    transaction,
    translated_errors,
    unwritable,
)

logger = logging.getLogger(__name__)

ACCESS_FILE = "access.sqlite"
TOUCH_S = 60
_TEXT_CHARS = 500

# Times are seconds since 1970; those of the log are text, exact to a microsecond.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, groups TEXT NOT NULL,
    active INTEGER NOT NULL, created_at REAL NOT NULL, seen_at REAL, password TEXT
);
CREATE TABLE IF NOT EXISTS invitations (
    digest TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at REAL NOT NULL, used_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS session_user ON sessions (user_id);
CREATE TABLE IF NOT EXISTS attempts (user TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, name TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL, used_at REAL,
    revoked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS spent (digest TEXT PRIMARY KEY, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS signing (key BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, detail TEXT NOT NULL, address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
"""


class Journal:
    """One SQLite file that only its owner can read; every change to it is one transaction.

    Raises:
        StoreError: the data directory cannot be used.
    """

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        make_folder(data_dir)
        self._path = data_dir / ACCESS_FILE
        self._lock = threading.RLock()
        self._clock = clock
        _make_private(self._path)
        with translated_errors(self._path):
            self._db = connect(self._path)
            self._db.executescript(_SCHEMA)

    def audit(
        self, actor: str, action: str, target: str = "", detail: str = "", address: str = ""
    ) -> None:
        """Write down what somebody did; ``actor`` is ``""`` for the machine itself."""
        with self._change() as db:
            self._note(db, actor, action, target, detail, address)

    def audit_log(self, limit: int = 200, before: datetime | None = None) -> list[AuditEntry]:
        """Return what was done, latest first; ``before`` is the ``at`` of the last one known."""
        until = "~" if before is None else stamp(before.timestamp())
        rows = self._all(
            "SELECT * FROM audit WHERE at < ? ORDER BY at DESC, id DESC LIMIT ?", until, limit
        )
        return [
            AuditEntry(
                at=datetime.fromisoformat(row["at"]),
                actor=row["actor"],
                action=row["action"],
                target=row["target"],
                detail=row["detail"],
                address=row["address"],
            )
            for row in rows
        ]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _note(
        self,
        db: sqlite3.Connection,
        actor: str,
        action: str,
        target: str = "",
        detail: str = "",
        address: str = "",
    ) -> None:
        texts = (_storable(text) for text in (actor, action, target, detail, address))
        db.execute(
            "INSERT INTO audit (at, actor, action, target, detail, address) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (stamp(self._clock()), *texts),
        )

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._db, self._path) as db:
            yield db

    def _touch(self, statement: str, *values: object) -> None:
        """Write down that something was used; a full disk must not keep people out."""
        try:
            with self._change() as db:
                db.execute(statement, values)
        except StoreError as error:
            logger.warning("A use was not written down: %s", error)

    def _all(self, query: str, *values: object) -> list[Any]:
        with self._lock, translated_errors(self._path):
            return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: object) -> Any:
        with self._lock, translated_errors(self._path):
            return self._db.execute(query, values).fetchone()


def digest(token: str) -> str:
    """Return what is kept of a token that this program made.

    One round of SHA-256 is enough: a slow hash protects passwords because they can be
    guessed, and nobody guesses 192 random bits. Looking a digest up may take as long as it
    likes too: what its timing tells is about the digest, from which no token follows.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def moment(seconds: float | None) -> datetime | None:
    """Return a time that is kept as seconds."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _make_private(path: Path) -> None:
    """Make the file, before anything is in it, one that others cannot read."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise unwritable(path.parent, error) from error


def stamp(seconds: float) -> str:
    """Return a time as the audit log keeps it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _storable(text: str) -> str:
    return text[:_TEXT_CHARS].encode("utf-8", "replace").decode("utf-8")
